use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of `connector = "file-drop"`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDropOptions {
    /// The folder that files are put into, relative to this file. What was read is moved into its
    /// folders `done` and `failed`.
    #[schemars(length(min = 1), example = &"drop/techexpo")]
    pub folder: PathBuf,
    /// Why these people may be contacted: a consent column or a statement is demanded. Write the
    /// column that says so, or a statement for all of the list, or `{ unknown = true }`.
    #[schemars(example = &serde_json::json!({ "column": "Opt-in" }))]
    pub consent: ConsentRule,
    /// Only files of such names are read; `*` and `?` may stand in it. None: all.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"techexpo-*.csv")]
    pub pattern: Option<String>,
    /// The sheet of an Excel file. None: the first.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"Leads")]
    pub sheet: Option<String>,
    /// A short code of the show or list: the same badge at another show is another registration.
    /// None: the campaign, or else the source's name.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"techexpo-2026")]
    pub show: Option<String>,
    /// The column that identifies a person of the list. None: the badge or registration id, if there
    /// is such a column.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"Badge ID")]
    pub id_column: Option<String>,
    /// The campaign member status of people whose row says none.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"Visited booth")]
    pub member_status: Option<String>,
    /// The time zone (IANA) of times without one: that of the show.
    #[serde(default = "utc")]
    #[schemars(length(min = 1), example = &"Europe/Berlin")]
    pub timezone: String,
    /// The order of day, month and year in dates such as 03/04/2026. None: those that can be read
    /// both ways are left alone.
    #[serde(default)]
    #[schemars(example = &"dmy")]
    pub date_order: Option<DateOrder>,
    /// The encoding of text files that are neither UTF-8 nor UTF-16 with a mark. None:
    /// Windows-1252, with a warning.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"windows-1250")]
    pub encoding: Option<String>,
    /// What stands between the cells of a text file: one character, or `tab`. None: found out.
    #[serde(default)]
    #[schemars(length(min = 1), example = &";")]
    pub delimiter: Option<String>,
    /// The row of the headers, counted from 1 and with blank ones. None: found out.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000), example = 3)]
    pub header_row: Option<u32>,
    /// Seconds between two looks into the folder. A file is read when two looks saw the same size
    /// and time, or `<name>.done` lies beside it.
    #[serde(default = "scan_seconds")]
    #[schemars(range(min = 1, max = 86_400), example = 30)]
    pub scan_seconds: u64,
    /// Domains whose people are no leads, such as the exhibitor's own.
    #[serde(default)]
    #[schemars(example = &["example.com"])]
    pub exclude_domains: Vec<String>,
    /// Whether each file waits until a person has seen what it would become, and has accepted it:
    /// `leadstream plan FILE --accept`.
    #[serde(default = "yes")]
    #[schemars(example = true)]
    pub confirm: bool,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn scan_seconds() -> u64 {
    30
}

fn yes() -> bool {
    true
}

/// Why the people of a list may be contacted: exactly one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentRule {
    /// The column in which people said yes or no. A file without it is not taken.
    #[schemars(length(min = 1), example = &"Opt-in")]
    pub column: Option<String>,
    /// Why all people of the list may be contacted; kept with each lead as evidence. A row's own no
    /// goes before it.
    #[schemars(length(min = 1), example = &"Handed their badge to be scanned under a sign that says that we write afterwards")]
    pub statement: Option<String>,
    /// Nobody knows: consent stays open, whatever a column says, save a no.
    #[schemars(example = true)]
    pub unknown: bool,
}

/// The order of day, month and year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// 31/12/2026
    Dmy,
    /// 12/31/2026
    Mdy,
    /// 2026/12/31
    Ymd,
}

impl FileDropOptions {
    /// The byte between cells, if the configuration says so. What is no single byte is refused by
    /// `config`.
    pub fn delimiter_byte(&self) -> Option<u8> {
        match self.delimiter.as_deref()? {
            "tab" | "\t" => Some(b'\t'),
            one if one.len() == 1 => one.bytes().next(),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) fn options(toml: &str) -> FileDropOptions {
    let with = format!("folder = 'drop'\nconsent = {{ unknown = true }}\n{toml}");
    toml::from_str(&with).unwrap()
}
