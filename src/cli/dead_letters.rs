//! `leadstream dead-letters`: what needs a person, by cause, with what to do and how to replay.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, output};
use crate::deliver::salesforce::cause::Cause;
use crate::store::{DeadCause, OpenDeadLetter, Store, StoreError};

/// The most that are shown one by one.
const MOST: usize = 10_000;

/// The most characters of a message that stands for many.
const MOST_CHARS: usize = 300;

/// Arguments of `dead-letters`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those of this source.
    #[arg(long)]
    source: Option<String>,
    /// Show them one by one, oldest first.
    #[arg(long, conflicts_with = "group")]
    list: bool,
    /// Print JSON, one dead letter a line.
    #[arg(long)]
    json: bool,
    /// With --json: one cause a line.
    #[arg(long, requires = "json")]
    group: bool,
}

/// Shows what needs a person.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let Some(store) = super::open_store(config_path).await else {
        return Exit::Failure;
    };
    match show(args, &store).await {
        Ok(text) => {
            output::line(&text);
            Exit::Success
        }
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            Exit::Failure
        }
    }
}

async fn show(args: &Args, store: &Store) -> Result<String, StoreError> {
    let source = args.source.as_deref();
    if args.list || args.json && !args.group {
        let letters = store.dead_letters(source, MOST).await?;
        return Ok(if args.json {
            lines(letters.iter().map(letter_json))
        } else {
            letters_text(&letters)
        });
    }
    let causes = store.dead_causes(source).await?;
    Ok(if args.json {
        lines(causes.iter().map(cause_json))
    } else {
        causes_text(&causes, source)
    })
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    let lines: Vec<String> = values.map(|value| value.to_string()).collect();
    lines.join("\n")
}

fn letter_json(letter: &OpenDeadLetter) -> Value {
    json!({
        "event": letter.event,
        "source": &*letter.source,
        "at": letter.at.to_string(),
        "code": letter.code,
        "cause": letter.cause,
        "message": letter.message,
        "hint": letter.hint,
    })
}

fn cause_json(cause: &DeadCause) -> Value {
    json!({
        "cause": cause.cause,
        "code": cause.code,
        "dead_letters": cause.letters,
        "leads": cause.leads,
        "first_at": cause.first.to_string(),
        "last_at": cause.last.to_string(),
        "message": cause.message,
        "hint": cause.hint,
    })
}

fn letters_text(letters: &[OpenDeadLetter]) -> String {
    if letters.is_empty() {
        return "no dead letters".to_owned();
    }
    let mut text = String::new();
    for letter in letters {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{} {} [{}] {}\n  {}\n  help: {}\n",
            letter.at, letter.event, letter.source, letter.code, letter.message, letter.hint
        );
    }
    let count = letters.len();
    let _ = write!(
        text,
        "{count} dead letter{}; after mending, `leadstream replay <event id>…` or `replay --all-dead`",
        plural(count as u64)
    );
    text
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn causes_text(causes: &[DeadCause], source: Option<&str>) -> String {
    if causes.is_empty() {
        return "no dead letters".to_owned();
    }
    let mut text = String::new();
    for cause in causes {
        let (count, what) = match cause.leads {
            0 => (cause.letters, "event"),
            leads => (leads, "lead"),
        };
        let sentence = Cause::parse(&cause.cause).sentence();
        let is_own_words = sentence.is_none();
        let sentence = sentence.unwrap_or_else(|| shortened(&cause.message));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{count} {what}{}: {sentence}", plural(count));
        if !is_own_words {
            let _ = writeln!(text, "  e.g. {}", shortened(&cause.message));
        }
        let of_source = source.map(|source| format!(" --source {}", quoted(source)));
        let _ = writeln!(
            text,
            "  {} to {}\n  help: {}\n  after mending: leadstream replay --cause {}{}\n",
            cause.first,
            cause.last,
            cause.hint,
            quoted(&cause.cause),
            of_source.unwrap_or_default()
        );
    }
    let letters: u64 = causes.iter().map(|cause| cause.letters).sum();
    let _ = write!(
        text,
        "{letters} dead letter{} of {} cause{}; one by one: `leadstream dead-letters --list`",
        plural(letters),
        causes.len(),
        plural(causes.len() as u64)
    );
    text
}

fn shortened(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    match line.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Millis;

    fn cause(cause: &str, letters: u64, leads: u64, message: &str) -> DeadCause {
        DeadCause {
            cause: cause.to_owned(),
            code: cause.split(' ').next().unwrap_or_default().to_owned(),
            letters,
            leads,
            first: Millis(1_772_359_200_000),
            last: Millis(1_772_362_800_000),
            message: message.to_owned(),
            hint: "mend it".to_owned(),
        }
    }

    #[test]
    fn one_cause_reads_as_one_thing_to_do() {
        let causes = [
            cause(
                "salesforce.picklist_value Lead.Industry",
                214,
                212,
                "`Crypto` does not go into `Industry`: it is not in its list",
            ),
            cause("event.unreadable it's", 1, 0, "the body is no JSON"),
        ];
        insta::assert_snapshot!(causes_text(&causes, None), @r"
        212 leads: Industry: the value is not in the picklist
          e.g. `Crypto` does not go into `Industry`: it is not in its list
          2026-03-01T10:00:00.000Z to 2026-03-01T11:00:00.000Z
          help: mend it
          after mending: leadstream replay --cause 'salesforce.picklist_value Lead.Industry'

        1 event: the body is no JSON
          2026-03-01T10:00:00.000Z to 2026-03-01T11:00:00.000Z
          help: mend it
          after mending: leadstream replay --cause 'event.unreadable it'\''s'

        215 dead letters of 2 causes; one by one: `leadstream dead-letters --list`
        ");
        assert_eq!(causes_text(&[], None), "no dead letters");
    }
}
