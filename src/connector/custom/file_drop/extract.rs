//! One row to one submission. Pure, and raw: nothing is normalised here.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::column::{Role, in_form, plain};
use super::consent::consent;
use super::date::{self, When};
use super::identity::{Known, vendor_id};
use super::options::FileDropOptions;
use super::reading::{self, fold};
use crate::config::FieldMapping;
use crate::model::{Event, Extracted, Millis, Verdict};

/// What is noted at each meeting; unlike `message`, all of it is kept.
const NOTES: &str = "notes";

const NUMBERS: [&str; 4] = ["phone", "mobile", "fax", "postal_code"];

/// What rows are read by.
#[derive(Debug)]
pub(super) struct RowReader {
    pub fields: BTreeMap<String, FieldMapping>,
    pub options: FileDropOptions,
    /// The code of the show or list; none: the source's name.
    pub show: Option<String>,
    pub zone: TimeZone,
}

/// A column of a row that is not blank.
struct Cell<'a> {
    name: &'a str,
    text: &'a str,
    role: Role,
    /// Named by the configuration for a lead field.
    is_configured: bool,
}

impl RowReader {
    pub fn extract(&self, cells: &[(String, String)], event: &Event) -> Extracted {
        let cells_by_role = self.by_role(cells);
        let met = self.met(&cells_by_role);
        let show = self.show.as_deref().unwrap_or(&event.source);
        let mut found = reading::read(self.form(&cells_by_role), event, &self.fields);
        found.verdict = match found.verdict {
            Verdict::Test(why) => Verdict::Test(why),
            _ => Verdict::Genuine,
        };
        mend_numbers(&mut found.fields);
        self.set_consent(&cells_by_role, &mut found.fields);
        if let Some(status) = &self.options.member_status {
            let fields = &mut found.fields;
            fields
                .entry("member_status".to_owned())
                .or_insert_with(|| status.clone());
        }
        if let Some(note) = self.note(&cells_by_role, met.as_ref(), show) {
            found.fields.insert(NOTES.to_owned(), note);
        }
        if self.is_excluded(&found.fields) {
            found.verdict = Verdict::Skipped(
                "the address is of a domain that is no lead's (`exclude_domains`)".to_owned(),
            );
        }
        found.at = met.as_ref().and_then(Met::at);
        found.vendor_id = Some(vendor_id(&Known {
            id: self.id(&cells_by_role),
            when: met.map(|met| match met.at() {
                Some(at) => at.to_string(),
                None => met.text,
            }),
            fields: &found.fields,
            cells,
            show,
        }));
        found
    }

    /// When the person was met, if the row says so. Date and time may have a column each.
    pub fn met_text(&self, cells: &[(String, String)]) -> Option<Met> {
        self.met(&self.by_role(cells))
    }

    /// The cells that hold something, with what their columns are.
    fn by_role<'c>(&self, cells: &'c [(String, String)]) -> Vec<Cell<'c>> {
        let filled = cells.iter().filter(|(_, text)| !text.trim().is_empty());
        filled
            .map(|(name, text)| Cell {
                name,
                text: text.trim(),
                role: Role::of(name),
                is_configured: self.is_configured(name),
            })
            .collect()
    }

    fn met(&self, cells: &[Cell<'_>]) -> Option<Met> {
        let is_time = |text: &str| {
            text.len() <= 11 && text.contains(':') && text.starts_with(|c: char| c.is_ascii_digit())
        };
        let of = |role| cells.iter().filter(move |cell| cell.role == role);
        let moment = of(Role::When).find(|cell| !is_time(cell.text))?;
        let time = of(Role::When)
            .chain(of(Role::Time))
            .find(|cell| is_time(cell.text) && cell.name != moment.name);
        let text = match time {
            Some(time) if !moment.text.contains(':') => format!("{} {}", moment.text, time.text),
            _ => moment.text.to_owned(),
        };
        let when = date::read(&text, self.options.date_order, &self.zone);
        Some(Met { text, when })
    }

    /// The row as a form would send it: what only lists have set apart.
    fn form(&self, cells: &[Cell<'_>]) -> Vec<(String, String)> {
        let consent = self.options.consent.column.as_deref().map(fold);
        let is_meant = |field: &str| {
            let mut meant = cells.iter().filter(|cell| in_form(cell.name).is_none());
            meant.any(|cell| cell.role == Role::Field(field_of(field)))
        };
        cells
            .iter()
            .filter(|cell| {
                let is_consent =
                    Some(fold(cell.name)) == consent || cell.role == Role::Field("consent");
                cell.is_configured || !(is_consent || cell.role == Role::Note)
            })
            .map(|cell| {
                let name = match in_form(cell.name) {
                    Some(field) if !cell.is_configured && !is_meant(field) => field,
                    // Values of one meaning belong together, as in a form.
                    _ if !cell.is_configured && matches!(cell.role, Role::Field(_)) => {
                        plain(cell.name)
                    }
                    _ => cell.name,
                };
                (name.to_owned(), cell.text.to_owned())
            })
            .collect()
    }

    fn set_consent(&self, cells: &[Cell<'_>], fields: &mut BTreeMap<String, String>) {
        let rule = &self.options.consent;
        let column = rule.column.as_deref().map(fold);
        let cell = cells.iter().find(|cell| match &column {
            Some(column) => fold(cell.name) == *column,
            None => cell.role == Role::Field("consent"),
        });
        let is_date = cell.is_some_and(|cell| {
            date::read(cell.text, self.options.date_order, &self.zone) != When::Unreadable
        });
        match consent(rule, cell.map(|cell| cell.text), is_date) {
            Some(consent) => {
                fields.insert("consent".to_owned(), consent);
            }
            None => {
                fields.remove("consent");
            }
        }
        if let Some(cell) = cell
            && !fields.contains_key("consent")
        {
            fields.insert(cell.name.to_owned(), cell.text.to_owned());
        }
    }

    /// All that was noted, after when and by whom: notes of several meetings stay apart, and sort.
    fn note(&self, cells: &[Cell<'_>], met: Option<&Met>, show: &str) -> Option<String> {
        let mut notes: Vec<&str> = Vec::new();
        for cell in cells {
            if cell.role == Role::Note && !cell.is_configured && !notes.contains(&cell.text) {
                notes.push(cell.text);
            }
        }
        if notes.is_empty() {
            return None;
        }
        let lines: Vec<&str> = notes
            .iter()
            .flat_map(|note| note.lines())
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let when = met.map(|met| match met.at() {
            Some(at) => date::shown(at, &self.zone),
            None => met.text.clone(),
        });
        let by = cells.iter().find(|cell| cell.role == Role::By);
        let head: Vec<&str> = [when.as_deref(), Some(show), by.map(|by| by.text)]
            .into_iter()
            .flatten()
            .collect();
        Some(format!("{}: {}", head.join(", "), lines.join("\n")))
    }

    fn id<'c>(&self, cells: &[Cell<'c>]) -> Option<&'c str> {
        let wanted = self.options.id_column.as_deref().map(fold);
        let cell = cells.iter().find(|cell| match &wanted {
            Some(wanted) => fold(cell.name) == *wanted,
            None => cell.role == Role::Id,
        });
        cell.map(|cell| cell.text)
    }

    fn is_excluded(&self, fields: &BTreeMap<String, String>) -> bool {
        let domain = fields.get("email").and_then(|email| email.rsplit_once('@'));
        domain.is_some_and(|(_, domain)| {
            let domain = domain.trim().to_lowercase();
            self.options.exclude_domains.iter().any(|excluded| {
                let excluded = excluded.trim_start_matches('@').to_lowercase();
                domain == excluded || domain.ends_with(&format!(".{excluded}"))
            })
        })
    }

    fn is_configured(&self, name: &str) -> bool {
        let mut from = self.fields.values().flat_map(|mapping| &mapping.from);
        from.any(|from| from == name || fold(from) == fold(name))
    }
}

/// When a person was met.
#[derive(Debug)]
pub(super) struct Met {
    /// As it is written.
    pub text: String,
    /// What that means.
    pub when: When,
}

impl Met {
    fn at(&self) -> Option<Millis> {
        match self.when {
            When::At(at) => Some(at),
            When::Ambiguous | When::Unreadable => None,
        }
    }
}

/// A lead field's name as the table of fields has it.
fn field_of(name: &str) -> &'static str {
    crate::model::field::find(name).map_or("", |field| field.name)
}

/// Numbers that a sheet has spoiled: `49891234567.0` can be mended; of `1.41556E+10` the last digits
/// are gone, and it is kept as what it is.
fn mend_numbers(fields: &mut BTreeMap<String, String>) {
    for name in NUMBERS {
        let Some(value) = fields.get(name) else {
            continue;
        };
        if is_spoiled(value) {
            if let Some(value) = fields.remove(name) {
                fields.insert(format!("{name}_spoiled"), value);
            }
        } else if let Some(digits) = value.strip_suffix(".0")
            && digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            let digits = digits.to_owned();
            fields.insert(name.to_owned(), digits);
        }
    }
}

/// Whether a number was rounded by a sheet: `4,8221E+11`.
pub(super) fn is_spoiled(text: &str) -> bool {
    let Some((digits, exponent)) = text.trim().split_once(['E', 'e']) else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.starts_with(|first: char| first.is_ascii_digit())
        && is_number(&digits.replace([',', '.'], ""))
        && exponent.strip_prefix('+').is_some_and(is_number)
}
