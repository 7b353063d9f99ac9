//! `leadstream demo`: all of it on this machine, without an account.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Exit, audit, output};
use crate::demo::{self, Options, Said};
use crate::edge::clock::SystemClock;
use crate::sandbox::Faults;
use crate::telemetry;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Check instead of waiting for Ctrl-C: every lead at its end, every person in the sandbox once.
    #[arg(long)]
    once: bool,
    /// How many leads are sent at the start.
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    leads: usize,
    /// Decides the leads, and which requests meet a fault.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Where configuration and store go; without it a temporary directory.
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// Where the daemon listens; without it 127.0.0.1:8080, or any port that is free.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the sandbox listens; without it 127.0.0.1:8090, or any port that is free.
    #[arg(long, value_name = "ADDRESS")]
    sandbox: Option<SocketAddr>,
    /// Where the landing page is; without it 127.0.0.1:8070, or any port that is free.
    #[arg(long, value_name = "ADDRESS")]
    page: Option<SocketAddr>,
    /// The part of requests that Salesforce answers 500 or 503, 0 to 1.
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_5xx: f64,
    /// The part of rows that are locked in Salesforce, 0 to 1.
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_lock: f64,
    /// The part of requests that Salesforce carries out but never answers, 0 to 1.
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_lost: f64,
}

/// Runs until Ctrl-C or SIGTERM, or once; fails if something is not as it must be.
pub async fn run(args: Args) -> Exit {
    telemetry::start_logging_from("warn");
    let faults = Faults {
        server_error_rate: args.fault_5xx,
        row_lock_rate: args.fault_lock,
        lost_answer_rate: args.fault_lost,
        ..Faults::default()
    };
    if let Err(message) = faults.check() {
        output::error_line(&format!("error: {message}"));
        return Exit::Failure;
    }
    let options = Options {
        directory: args.dir,
        daemon: args.listen,
        sandbox: args.sandbox,
        page: args.page,
        faults,
        seed: args.seed,
        leads: args.leads,
        once: args.once,
    };
    let screen = Screen::new();
    let finished = demo::run(&options, Arc::new(SystemClock), |said| screen.show(said)).await;
    screen.leave();
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    output::line(&format!("\n{}", audit::table(&finished.books)));
    if let Some(directory) = &finished.directory {
        output::line(&format!("its files are in {}", directory.display()));
    }
    for wrong in &finished.wrong {
        output::error_line(&format!("wrong: {wrong}"));
    }
    match (args.once, finished.stopped, finished.wrong.len()) {
        (true, false, 0) => {
            output::line(&format!(
                "verdict: all is well: every lead is at its end, and {} people are in Salesforce, each once",
                finished.people
            ));
            Exit::Success
        }
        (true, true, _) => {
            output::line("verdict: none, it was stopped");
            Exit::Failure
        }
        (true, false, wrong) => {
            output::line(&format!("verdict: {wrong} things are not as they must be"));
            Exit::Failure
        }
        (false, ..) => Exit::Success,
    }
}

/// Shows line after line; a terminal keeps the books at its bottom.
struct Screen {
    /// What stands at the bottom; none where it cannot be drawn over.
    bottom: Option<RefCell<String>>,
}

impl Screen {
    /// Back to the line's start, and wipe it.
    const WIPE: &str = "\r\u{1b}[2K";
    /// What does not fit into the line is cut off by the terminal: it would wipe only the last row.
    const CUT: &str = "\u{1b}[?7l";
    const CUT_NO_MORE: &str = "\u{1b}[?7h";

    fn new() -> Self {
        Self {
            bottom: output::stdout_can_be_drawn_on().then(RefCell::default),
        }
    }

    fn show(&self, said: Said<'_>) {
        let Some(bottom) = &self.bottom else {
            let (Said::Line(text) | Said::Books(text)) = said;
            output::line(text);
            return;
        };
        let line = match said {
            Said::Line(text) => format!("{text}\n"),
            Said::Books(text) => {
                text.clone_into(&mut bottom.borrow_mut());
                String::new()
            }
        };
        let (wipe, cut, cut_no_more) = (Self::WIPE, Self::CUT, Self::CUT_NO_MORE);
        output::part(&format!(
            "{wipe}{line}{cut}{}{cut_no_more}",
            bottom.borrow()
        ));
    }

    /// Leaves the last books where they are.
    fn leave(&self) {
        if self.bottom.is_some() {
            output::line("");
        }
    }
}
