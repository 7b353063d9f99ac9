use std::time::Duration;

use super::info::grouped;
use super::{Exit, failed, hint_of, output};
use crate::config::{self, StoreConfig};
use crate::edge::clock::{Clock as _, SystemClock};
use crate::model::Millis;
use crate::store::{Copied, CopyError, CopyStart, StoreCopy};

/// How often a line is written where no bar can be drawn, and how often the bar is.
const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR_EVERY: Duration = Duration::from_millis(100);

/// Signs of a bar.
const BAR: u64 = 30;

/// Back to the line's start, and wipe it.
const WIPE: &str = "\r\u{1b}[2K";

/// Arguments of `store copy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An empty database of PostgreSQL: `postgres://<user>@<host>/<database>`. `${NAME}` in it
    /// stands for an environment variable, as in the configuration; the password may also be in
    /// PGPASSWORD.
    #[arg(
        long,
        value_name = "URL",
        env = "LEADSTREAM_COPY_TO",
        hide_env_values = true
    )]
    to: String,
}

pub(super) async fn run(args: &Args, store: &StoreConfig) -> Exit {
    let to = match config::with_variables(&args.to, &|name| std::env::var(name).ok()) {
        Ok(to) => to,
        Err(problem) => return failed(&problem.message, problem.hint.as_deref()),
    };
    match copy(store, &to).await {
        Ok(()) => Exit::Success,
        Err(CopyError::Store(error)) => failed(&error, hint_of(&error)),
        Err(error) => failed(&error, None),
    }
}

async fn copy(store: &StoreConfig, to: &str) -> Result<(), CopyError> {
    let Some(mut copy) = StoreCopy::begin(store, to).await? else {
        output::line("it was copied there before, and has not changed since: nothing to do");
        return Ok(());
    };
    output::line(&format!(
        "{} {}",
        match copy.start() {
            CopyStart::Empty => "copying to",
            CopyStart::Resumed => "going on where the last copy stopped, to",
            CopyStart::Anew =>
                "the store has changed since the last copy stopped: starting anew, to",
        },
        copy.target()
    ));
    let mut screen = Screen::new();
    while let Some(copied) = copy.step().await? {
        screen.show(copied);
    }
    screen.leave();
    for copied in copy.progress() {
        output::line(&in_numbers(copied));
    }
    output::line("comparing both");
    let target = copy.target();
    copy.finish().await?;
    output::line(&format!(
        "copied: as many rows in all tables, and the same books. Now set `[store] url` to {target}, with its \
         password, and start leadstream. The SQLite files are as they were; never run on them again beside it"
    ));
    Ok(())
}

/// Shows how far it has come: a bar on a terminal, a line now and then elsewhere.
struct Screen {
    can_be_drawn_on: bool,
    last: Millis,
}

impl Screen {
    fn new() -> Self {
        Self {
            can_be_drawn_on: output::stdout_can_be_drawn_on(),
            last: SystemClock.now(),
        }
    }

    fn show(&mut self, copied: Copied) {
        let now = SystemClock.now();
        let every = if self.can_be_drawn_on {
            BAR_EVERY
        } else {
            LINE_EVERY
        };
        // A clock that was set back shows as well.
        if now >= self.last && now.since(self.last) < every {
            return;
        }
        self.last = now;
        if self.can_be_drawn_on {
            output::part(&format!("{WIPE}{} {}", bar(copied), in_numbers(&copied)));
        } else {
            output::line(&in_numbers(&copied));
        }
    }

    fn leave(&self) {
        if self.can_be_drawn_on {
            output::part(WIPE);
        }
    }
}

fn bar(copied: Copied) -> String {
    let full = (copied.rows * BAR)
        .checked_div(copied.of)
        .unwrap_or(BAR)
        .min(BAR);
    let (full, rest) = (full as usize, (BAR - full) as usize);
    format!("[{}{}]", "#".repeat(full), "-".repeat(rest))
}

fn in_numbers(copied: &Copied) -> String {
    let percent = (copied.rows * 100).checked_div(copied.of).unwrap_or(100);
    format!(
        "{:<12} {} of {} rows, {percent} %",
        copied.table,
        grouped(copied.rows),
        grouped(copied.of)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_with_the_rows_and_an_empty_table_is_done() {
        let copied = |rows, of| Copied {
            table: "lead",
            rows,
            of,
        };
        assert_eq!(bar(copied(0, 30)), format!("[{}]", "-".repeat(30)));
        assert_eq!(
            bar(copied(15, 30)),
            format!("[{0}{1}]", "#".repeat(15), "-".repeat(15))
        );
        assert_eq!(bar(copied(0, 0)), format!("[{}]", "#".repeat(30)));
        assert_eq!(
            in_numbers(&copied(1_500, 2_000)),
            "lead         1,500 of 2,000 rows, 75 %"
        );
        assert_eq!(in_numbers(&copied(0, 0)), "lead         0 of 0 rows, 100 %");
    }
}
