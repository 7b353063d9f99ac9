use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Condition, OneOrMany, Record, Take, Template};

/// What is asked for on a schedule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// Tells several apart; part of the cursor's name.
    #[serde(default = "poll")]
    pub name: String,
    /// What it reads, in a few words.
    #[serde(default)]
    pub help: String,
    /// Only if this option is set (and is not `false`).
    pub when: Option<String>,
    /// As in crontab, five or six fields, unless the source sets another.
    pub schedule: Option<String>,
    /// The request's method.
    #[serde(default)]
    pub method: Method,
    /// Its path, after the base URL. Values are percent-encoded.
    pub path: Template,
    /// Its query. A parameter of which a name has no value is left out.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Whether the literals of query values are sent as they are, and only what is inserted is encoded
    /// (Rest.li: `(start:{cursor})`).
    #[serde(default)]
    pub raw_query: bool,
    /// Its headers, beside the manifest's.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// Its JSON body; names may stand in texts, and a member of which one has no value is left out.
    pub body: Option<RequestBody>,
    /// Where the records are in the answer.
    pub records: String,
    /// How far we are.
    pub cursor: Option<Cursor>,
    /// How the next page is asked for.
    #[serde(default)]
    pub paging: Paging,
    /// Repeats all of this for each item of a list.
    pub each: Option<Each>,
    /// Lists beside the records whose entries belong to them.
    #[serde(default, deserialize_with = "super::one_or_many")]
    pub join: Vec<Join>,
    /// Records are rows of cells under a header row.
    pub rows: Option<Rows>,
    /// Lookups that are kept with each record.
    #[serde(default)]
    pub lookups: Vec<String>,
    /// How long the vendor keeps records: there is a warning before what was not read is gone.
    pub retention_days: Option<u32>,
    /// In place of the manifest's `[record]`.
    pub record: Option<Record>,
    /// Added to the manifest's `[fields]`.
    #[serde(default)]
    pub fields: BTreeMap<String, Take>,
}

/// A JSON body with names in its texts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct RequestBody(pub toml::Table);

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Reads as well, with a body that says what.
    Post,
}

/// How far we are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Where a record says it. Kind `token`: where the answer does.
    pub from: OneOrMany,
    /// What it is.
    #[serde(default)]
    pub kind: CursorKind,
    /// How `{cursor}` and `{until}` are written.
    #[serde(default)]
    pub format: TimeFormat,
    /// The option with the vendor's time zone, for formats without one; UTC if not said.
    pub zone: Option<String>,
    /// So much is asked for again each time: what shows up late is not missed.
    #[serde(default)]
    pub overlap_seconds: u64,
    /// How far the first run goes back; all there is if not said.
    pub first_days: Option<u32>,
    /// The order in which records come.
    #[serde(default)]
    pub order: Order,
    /// The vendor takes no `since`: a walk ends at the first page that holds nothing newer. Only with
    /// `order = "descending"`.
    #[serde(default)]
    pub stops: bool,
}

/// What a cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CursorKind {
    /// A time.
    #[default]
    Time,
    /// A number that grows.
    Number,
    /// A text that only the vendor understands.
    Token,
}

/// The order in which records come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// None that the vendor promises: the cursor moves when a walk is complete.
    #[default]
    Unordered,
    /// Oldest first: the cursor moves with each page.
    Ascending,
    /// Newest first.
    Descending,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `2026-03-01T10:00:00.000Z`
    #[default]
    Rfc3339,
    /// `2026-03-01T10:00:00Z`
    Rfc3339Seconds,
    /// `2026-03-01T10:00:00+00:00`
    Rfc3339Offset,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// `2026-03-01 10:00:00`, in the zone.
    DateTime,
    /// `2026-03-01`, in the zone.
    Date,
    /// Days since 1899-12-30, in the zone (spreadsheets).
    Serial,
}

/// How the next page is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paging {
    /// How.
    pub style: PagingStyle,
    /// The query parameter that it goes into,
    pub query: Option<String>,
    /// or the member of the body; dots go into inner ones.
    pub body: Option<String>,
    /// Where the token, address or value is: in the answer, or for `after_last` in the last record.
    pub from: Option<String>,
    /// `token`, `next_url`: in this header of the answer (for `next_url`, RFC 8288 `rel="next"`).
    pub header: Option<String>,
    /// `page`: the first page's number (1 if not said).
    pub first: Option<u64>,
    /// Records on a full page, as the request asks for.
    pub size: Option<u32>,
    /// The query parameter that asks for `size`.
    pub size_query: Option<String>,
    /// The vendor's own word that there is more. Without it: a token or address is there; for `page`,
    /// `offset` and `after_last`, a page that is not empty.
    pub more_when: Option<Condition>,
    /// `offset`: where the answer says how many there are in all.
    pub total: Option<String>,
}

/// How the next page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PagingStyle {
    /// There is one page.
    #[default]
    None,
    /// By number.
    Page,
    /// By how many were read.
    Offset,
    /// By a token of the answer.
    Token,
    /// By the address that the answer gives, on the manifest's hosts only.
    NextUrl,
    /// By a value of the last record.
    AfterLast,
    /// By the cursor itself: the next page begins at the last record's time, one second back. A page
    /// that is one second throughout goes on by offset (the parameter `query`).
    Cursor,
}

/// Repeats a poll for each item of a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// The option with the list, or
    pub option: Option<String>,
    /// the request that has it.
    pub path: Option<Template>,
    /// Its query.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Where the items are in the answer.
    pub records: Option<String>,
    /// How its next page is asked for.
    #[serde(default)]
    pub paging: Paging,
    /// Names for the request, bound for each item. With `option` the one name that it binds.
    #[serde(rename = "as")]
    pub bind: BTreeMap<String, Take>,
    /// Which of the names tells items apart; the first if not said.
    pub key: Option<String>,
    /// An item is read again only if one of these has changed since it was read to the end.
    #[serde(default)]
    pub changed_by: Vec<String>,
    /// Items that are left out.
    #[serde(default)]
    pub skip_when: Vec<Condition>,
    /// The option with the keys of the items that are read, in any order; all of them if it is not set.
    pub only: Option<String>,
}

/// A name that is bound by a value.
pub type Binding = BTreeMap<String, Take>;

/// Entries of a list beside the records that belong to them (side-loading).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// Where the entries are in the answer.
    pub list: String,
    /// The path in an entry that names its record.
    pub key: String,
    /// The path in the record that it equals.
    pub equals: String,
    /// The member under which the record gets its entries.
    #[serde(rename = "as")]
    pub name: String,
}

/// Rows of cells under a header row.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rows {
    /// The option with the header's row, counted from 1.
    pub header_row: Option<String>,
    /// The option with the column that tells rows apart.
    pub id_column: Option<String>,
}

/// A small table that is read once a walk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// The request's path.
    pub path: Template,
    /// Its query.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Where the entries are.
    pub list: OneOrMany,
    /// The path of the key in an entry.
    pub key: OneOrMany,
    /// The path of the value in an entry.
    pub value: OneOrMany,
    /// How its next page is asked for.
    #[serde(default)]
    pub paging: Paging,
}

/// The request for what a webhook only names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// Tells several apart.
    #[serde(default = "fetch")]
    pub name: String,
    /// Webhooks that it is for; all if not said.
    pub when: Option<Condition>,
    /// Names for the request, from the webhook's record.
    #[serde(rename = "as")]
    pub bind: Binding,
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The path.
    pub path: Template,
    /// The query.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// The literals of query values are sent as they are.
    #[serde(default)]
    pub raw_query: bool,
    /// The JSON body.
    pub body: Option<RequestBody>,
    /// Where the records are in the answer; the whole answer if not said.
    pub records: Option<String>,
    /// How long "there is no such record" is tried again: it may be readable only after some moments.
    #[serde(default = "ten")]
    pub missing_minutes: u32,
    /// Lookups that are kept with the record.
    #[serde(default)]
    pub lookups: Vec<String>,
    /// In place of the manifest's `[record]`.
    pub record: Option<Record>,
    /// Added to the manifest's `[fields]`.
    #[serde(default)]
    pub fields: BTreeMap<String, Take>,
}

/// How fast one account may be called: by all sources that share its credentials.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a second.
    pub requests_per_second: Option<f64>,
    /// Requests a minute.
    pub requests_per_minute: Option<u32>,
    /// Requests at once (1 if not said).
    pub concurrent: Option<u32>,
    /// The largest answer, in bytes (32 MiB if not said).
    pub max_answer_bytes: Option<usize>,
    /// How long an answer may take (60 seconds if not said).
    pub timeout_seconds: Option<u64>,
    /// The header that says how many requests are left.
    pub remaining_header: Option<String>,
    /// The header that says in how many seconds they are given anew.
    pub reset_header: Option<String>,
}

/// What an error of the vendor means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// The statuses that it is for; any but 2xx if none.
    #[serde(default)]
    pub status: Vec<u16>,
    /// A test on the answer (`of` is `page` or `header`).
    pub when: Option<Condition>,
    /// What is done.
    pub then: Reaction,
    /// How long to wait at least, in seconds.
    pub wait_seconds: Option<u64>,
    /// Where the answer says how long, in seconds or as a time.
    pub wait_from: Option<Take>,
    /// What a person is to do.
    #[serde(default)]
    pub hint: String,
}

/// What is done after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// Tried again soon, then later and later.
    Retry,
    /// The account is called too often: all of its sources wait.
    Throttle,
    /// A new token is had, once; if that does not help, the source pauses.
    Reauthorize,
    /// A person must do something: the source pauses, its cursor kept.
    Pause,
    /// There is no such record any more.
    Gone,
    /// The page token is no longer good: the walk begins anew.
    Restart,
    /// There is nothing (more) to read.
    End,
    /// The page is too large: asked for again with half its size.
    Shrink,
}

fn poll() -> String {
    "poll".to_owned()
}

fn fetch() -> String {
    "fetch".to_owned()
}

fn ten() -> u32 {
    10
}
