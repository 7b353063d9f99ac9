//! The command line. One file a command: arguments, one call, output.

mod audit;
mod backfill;
mod check;
mod config_show;
mod connect;
mod connectors;
mod cursors;
mod dead_letters;
mod demo;
mod healthcheck;
mod init;
mod output;
mod plan;
mod reconcile;
mod replay;
mod report;
mod run;
mod salesforce;
mod sandbox;
mod schema;
mod sources;
mod store;
mod r#try;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::config::{self, Loaded};
use crate::diagnostic;
use crate::store::{Access, Store};

/// Brings every lead into Salesforce: once, clean, explained.
#[derive(Debug, Parser)]
#[command(name = "leadstream", version, arg_required_else_help = true)]
struct Cli {
    /// The configuration file.
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "LEADSTREAM_CONFIG",
        default_value = "leadstream.toml",
        hide_env_values = true
    )]
    config: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a small configuration to start from.
    Init(init::Args),
    /// Say everything that is wrong with the configuration, without asking anyone else.
    Check(check::Args),
    /// Sign in to Salesforce, read only, and say what is missing there.
    Doctor(salesforce::DoctorArgs),
    /// Look after the Salesforce org: make what is needed there, say what is missing.
    #[command(subcommand)]
    Salesforce(salesforce::SalesforceCommand),
    /// Take leads, and bring them into Salesforce, until Ctrl-C.
    Run,
    /// Ask a running daemon whether it is alive, for containers.
    Healthcheck(healthcheck::Args),
    /// Show all of it at work on this machine, without an account.
    Demo(demo::Args),
    /// Serve a Salesforce org in memory, for trying things out and for tests.
    Sandbox(sandbox::SandboxArgs),
    /// Balance the books: accepted is the sum of all ends and what is in flight.
    Audit(audit::Args),
    /// Show what became of leads lately, and what it cost in calls to Salesforce.
    Report(report::Args),
    /// Show what a list would become, lead by lead, before anything of it is taken.
    Plan(plan::Args),
    /// Show what needs a person, with the reason and what to do.
    DeadLetters(dead_letters::Args),
    /// Process events once more, by the configuration as it is now.
    Replay(replay::Args),
    /// Read what a source's vendor holds of a span of time; what is known is dropped.
    Backfill(backfill::Args),
    /// Compare what a source's vendor holds with what came in, and fetch what is missing.
    Reconcile(reconcile::Args),
    /// Show how far each source has been read, or read one again from an earlier time.
    Cursors(cursors::Args),
    /// Look after where everything is kept: bring up to date, show sizes, move to PostgreSQL.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Show how each source is doing: last and next poll, what it waits for, its credential.
    Sources(sources::Args),
    /// Show what would become of a payload: submission, match, Salesforce fields. Writes nothing.
    Try(r#try::Args),
    /// Give leadstream access to a source's account, or to the org, in a browser; the tokens are kept.
    Connect(connect::Args),
    /// Show what can be connected and what it needs; begin and test connectors of your own.
    #[command(subcommand)]
    Connectors(connectors::ConnectorsCommand),
    /// Show what the configuration comes to.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the JSON Schema of the configuration, for editors that complete and check it.
    Schema,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show every value; with --origin, the file and line or variable that it came from.
    Show(config_show::Args),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well: exit code 0.
    Success,
    /// It failed, or found what it was asked to look for: exit code 1.
    Failure,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Failure => Self::FAILURE,
        }
    }
}

/// Reads the arguments and runs the command. Arguments that make no sense exit with 2.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match cli.command {
        Command::Init(args) => init::run(&args, &cli.config),
        Command::Check(args) => check::run(&args, &cli.config),
        Command::Doctor(args) => asynchronously(salesforce::doctor(&args, &cli.config)),
        Command::Salesforce(command) => asynchronously(salesforce::run(command, &cli.config)),
        Command::Run => asynchronously(run::run(&cli.config)),
        Command::Healthcheck(args) => healthcheck::run(&args, &cli.config),
        Command::Demo(args) => asynchronously(demo::run(args)),
        Command::Sandbox(args) => asynchronously(sandbox::run(args)),
        Command::Audit(args) => asynchronously(audit::run(&args, &cli.config)),
        Command::Report(args) => asynchronously(report::run(&args, &cli.config)),
        Command::Plan(args) => asynchronously(plan::run(&args, &cli.config)),
        Command::DeadLetters(args) => asynchronously(dead_letters::run(&args, &cli.config)),
        Command::Replay(args) => asynchronously(replay::run(&args, &cli.config)),
        Command::Backfill(args) => asynchronously(backfill::run(&args, &cli.config)),
        Command::Reconcile(args) => asynchronously(reconcile::run(&args, &cli.config)),
        Command::Cursors(args) => asynchronously(cursors::run(&args, &cli.config)),
        Command::Store(command) => asynchronously(store::run(command, &cli.config)),
        Command::Sources(args) => asynchronously(sources::run(&args, &cli.config)),
        Command::Try(args) => asynchronously(r#try::run(&args, &cli.config)),
        Command::Connect(args) => asynchronously(connect::run(&args, &cli.config)),
        Command::Connectors(command) => connectors::run(&command, &cli.config),
        Command::Config(ConfigCommand::Show(args)) => config_show::run(&args, &cli.config),
        Command::Schema => schema::run(),
    };
    exit.into()
}

fn asynchronously(command: impl Future<Output = Exit>) -> Exit {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            // Whoever still runs has been told to stop, or was given up.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            output::error_line(&format!("error: cannot start: {error}"));
            Exit::Failure
        }
    }
}

/// Opens the configured store beside a daemon that may run on it. Needs no secrets, and minds no
/// error elsewhere in the configuration.
async fn open_store(path: &Path) -> Option<Arc<Store>> {
    let loaded = config::load_with_process_env(path);
    let Some(store) = &loaded.store else {
        tell(&loaded);
        return None;
    };
    match Store::open(store, Access::Command).await {
        Ok(store) => Some(store),
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            None
        }
    }
}

/// Reads the configuration for a command and tells people what is wrong with it.
fn load(path: &Path) -> Loaded {
    let loaded = config::load_with_process_env(path);
    tell(&loaded);
    loaded
}

fn tell(loaded: &Loaded) {
    if !loaded.diagnostics.is_empty() {
        let drawn = diagnostic::render(&loaded.diagnostics, output::stderr_takes_colour());
        output::error_line(&format!("{drawn}\n"));
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }
}
