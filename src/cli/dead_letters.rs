//! `leadstream dead-letters`: what needs a person, with reason, hint and how to replay.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, output};
use crate::store::OpenDeadLetter;

/// The most that are shown.
const MOST: usize = 10_000;

/// Arguments of `dead-letters`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those of this source.
    #[arg(long)]
    source: Option<String>,
    /// Print JSON, one dead letter a line.
    #[arg(long)]
    json: bool,
}

/// Shows what needs a person.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let Some(store) = super::open_store(config_path).await else {
        return Exit::Failure;
    };
    match store.dead_letters(args.source.as_deref(), MOST).await {
        Ok(letters) if args.json => {
            for letter in &letters {
                output::line(&to_json(letter).to_string());
            }
            Exit::Success
        }
        Ok(letters) => {
            output::line(&to_text(&letters));
            Exit::Success
        }
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            Exit::Failure
        }
    }
}

fn to_json(letter: &OpenDeadLetter) -> Value {
    json!({
        "event": letter.event,
        "source": &*letter.source,
        "at": letter.at.to_string(),
        "code": letter.code,
        "message": letter.message,
        "hint": letter.hint,
    })
}

fn to_text(letters: &[OpenDeadLetter]) -> String {
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
        if count == 1 { "" } else { "s" }
    );
    text
}
