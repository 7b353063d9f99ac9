//! Says what becomes of the leads, line by line. The lines hold colours: whoever prints them to what
//! is no terminal strips those.

use std::collections::{BTreeMap, HashSet};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::stage::Addresses;
use crate::model::{End, EventId, SourceName};
use crate::store::{AuditLine, Progress};

const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The most characters of a name: names come from outside.
const NAME_CHARS: usize = 40;

/// Something to show.
#[derive(Debug, Clone, Copy)]
pub enum Said<'t> {
    /// Where to look, or what became of one event.
    Line(&'t str),
    /// The books at this moment, in one line. They take the place of the last ones.
    Books(&'t str),
}

/// What has been said so far.
#[derive(Debug)]
pub struct View {
    /// All events up to this one are at their end.
    pub floor: EventId,
    ends: BTreeMap<EventId, End>,
    /// The records that were named.
    records: HashSet<String>,
    books: String,
}

impl View {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self {
            floor: EventId(0),
            ends: BTreeMap::new(),
            records: HashSet::new(),
            books: String::new(),
        }
    }

    /// What became of the events that are at their end.
    pub fn ends(&self) -> &BTreeMap<EventId, End> {
        &self.ends
    }

    /// A line for each event that has come to its end since the last time. `progress` is that of
    /// all events after `floor`.
    pub fn news(&mut self, progress: &[Progress]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut all_ended = true;
        for event in progress {
            let Some(end) = event.end else {
                all_ended = false;
                continue;
            };
            if self.ends.insert(event.event, end).is_none() {
                let seen = self.seen(event, end);
                lines.push(line_of(event, end, seen));
            }
            if all_ended {
                self.floor = event.event;
            }
        }
        lines
    }

    /// Whether the record that `event` went into was named before.
    fn seen(&mut self, event: &Progress, end: End) -> bool {
        let id = event.salesforce_id.as_ref();
        let id = id.filter(|_| matches!(end, End::Synced | End::Merged));
        id.is_some_and(|id| !self.records.insert(id.clone()))
    }

    /// The books in one line, if they have changed.
    pub fn books(&mut self, books: &BTreeMap<SourceName, AuditLine>) -> Option<String> {
        let sum = |count: &dyn Fn(&AuditLine) -> u64| books.values().map(count).sum::<u64>();
        let ended = |end: End| sum(&|line| line.ends.get(&end).copied().unwrap_or(0));
        let text = format!(
            "{BOLD}received {} · merged {} · filtered {} · synced {} · dead {} · in flight {}{BOLD:#}",
            sum(&|line| line.accepted),
            ended(End::Merged),
            ended(End::Filtered),
            ended(End::Synced),
            ended(End::DeadLetter),
            sum(&AuditLine::in_flight),
        );
        if text == self.books {
            return None;
        }
        self.books.clone_from(&text);
        Some(text)
    }
}

/// Where to look.
pub fn welcome(at: &Addresses) -> String {
    let Addresses {
        config,
        daemon,
        sandbox,
        page,
    } = at;
    let file = shell_word(&config.display().to_string());
    format!(
        "{BOLD}leadstream demo{BOLD:#}: a landing page, the daemon and a Salesforce sandbox, all on this machine\n\
         \n  landing page   {page}/\
         \n  daemon         {daemon}/healthz  /readyz  /metrics\
         \n  Salesforce     {sandbox}/\
         \n  configuration  {}\
         \n  the books      leadstream --config {file} audit\
         \n  what is stuck  leadstream --config {file} dead-letters\n",
        config.display()
    )
}

fn line_of(event: &Progress, end: End, seen: bool) -> String {
    let who = name_of(event);
    let (style, word) = match end {
        End::Synced => (GREEN, "synced"),
        End::Merged => (CYAN, "merged"),
        End::Filtered | End::Erased => (DIM, end.name()),
        End::Review => (YELLOW, "review"),
        End::DeadLetter => (RED, "dead"),
    };
    let what = match (end, &event.dead_letter, &event.salesforce_id) {
        (End::DeadLetter, Some((code, message)), _) => {
            format!(" · {code}: {}", plain(message, 160))
        }
        (End::Synced, _, Some(id)) if seen => format!(" → {id} · the same person as before"),
        (End::Synced, _, Some(id)) => format!(" → {id}"),
        (_, _, id) => {
            let into = id.as_ref().map(|id| format!(" → {id}")).unwrap_or_default();
            let reason = event.reason.as_ref();
            let reason = reason.map(|reason| format!(" · {}", plain(reason, 160)));
            format!("{into}{}", reason.unwrap_or_default())
        }
    };
    format!(
        "{style}{word:<9}{style:#}{who}{what} {DIM}({}){DIM:#}",
        event.source
    )
}

/// The person's name, else their e-mail, else the receipt.
fn name_of(event: &Progress) -> String {
    let found: Value = serde_json::from_str(&event.found).unwrap_or_default();
    let field = |name: &str| found["fields"][name].as_str().unwrap_or_default();
    let name = format!("{} {}", field("first_name"), field("last_name"));
    let shown = [name.trim(), field("email")]
        .into_iter()
        .find(|text| !text.is_empty())
        .map(|text| plain(text, NAME_CHARS));
    shown.unwrap_or_else(|| event.event.to_string())
}

/// Text from outside as it can be shown in one line: nothing that steers a terminal.
fn plain(text: &str, most: usize) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(most)
        .collect()
}

/// A text that a shell takes for one word.
fn shell_word(text: &str) -> String {
    let harmless = |c: char| c.is_alphanumeric() || "/._-:".contains(c);
    if text.chars().all(harmless) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(event: i64, end: Option<End>) -> Progress {
        Progress {
            event: EventId(event),
            source: SourceName::new("demo"),
            end,
            reason: Some("spam: `website2` is filled in".to_owned()),
            dead_letter: Some(("lead.no_contact".to_owned(), "nobody to reach".to_owned())),
            found: r#"{"fields":{"first_name":"Chloé","last_name":"de la\u001b[2J Cruz"}}"#
                .to_owned(),
            salesforce_id: Some("00Q1".to_owned()),
        }
    }

    fn check(end: End, expect: &str) {
        let line = View::new().news(&[progress(1, Some(end))]).remove(0);
        assert_eq!(anstream::adapter::strip_str(&line).to_string(), expect);
    }

    #[test]
    fn each_end_has_its_line() {
        check(End::Synced, "synced   Chloé de la [2J Cruz → 00Q1 (demo)");
        check(
            End::Filtered,
            "filtered Chloé de la [2J Cruz → 00Q1 · spam: `website2` is filled in (demo)",
        );
        check(
            End::DeadLetter,
            "dead     Chloé de la [2J Cruz · lead.no_contact: nobody to reach (demo)",
        );
    }

    #[test]
    fn each_event_is_said_once_and_late_ones_are_not_passed_by() {
        let mut view = View::new();
        let synced = Some(End::Synced);
        let first = [progress(1, synced), progress(2, None), progress(3, synced)];
        assert_eq!(view.news(&first).len(), 2);
        assert_eq!(view.floor, EventId(1));
        assert_eq!(view.news(&first[1..]).len(), 0);
        let later = [progress(2, synced), progress(3, synced)];
        assert_eq!(view.news(&later).len(), 1);
        assert_eq!(view.floor, EventId(3));
    }

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(
            shell_word("/tmp/demo-1/leadstream.toml"),
            "/tmp/demo-1/leadstream.toml"
        );
        assert_eq!(shell_word("/tmp/it's mine"), r"'/tmp/it'\''s mine'");
    }
}
