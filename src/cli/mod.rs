<<<<<<< HEAD
//! (see lib.rs)

pub mod doctor;
=======
//! The command line. One file a command: arguments, one call, output.

mod check;
mod config_show;
mod init;
pub mod output;
mod schema;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Loaded};
use crate::diagnostic;

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
        Command::Config(ConfigCommand::Show(args)) => config_show::run(&args, &cli.config),
        Command::Schema => schema::run(),
    };
    exit.into()
}

/// Reads the configuration for a command and tells people what is wrong with it.
fn load(path: &Path) -> Loaded {
    let loaded = config::load_with_process_env(path);
    if !loaded.diagnostics.is_empty() {
        let drawn = diagnostic::render(&loaded.diagnostics, output::stderr_takes_colour());
        output::error_line(&format!("{drawn}\n"));
    }
    loaded
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
>>>>>>> w/config
