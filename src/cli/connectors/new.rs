use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::{Exit, output};

/// Arguments of `connectors new`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The connector's name: lower-case letters, digits and `-`.
    name: String,
    /// The folder that `connectors_dir` names; it is made if it is not there.
    #[arg(long, default_value = "connectors")]
    dir: PathBuf,
}

/// What a new folder holds, by file.
const SCAFFOLD: &[(&str, &str)] = &[
    ("manifest.toml", include_str!("scaffold/manifest.toml")),
    ("README.md", include_str!("scaffold/README.md")),
    (
        "samples/source.toml",
        include_str!("scaffold/samples/source.toml"),
    ),
    (
        "samples/secrets/webhook.txt",
        include_str!("scaffold/samples/secrets/webhook.txt"),
    ),
    (
        "samples/secrets/token.txt",
        include_str!("scaffold/samples/secrets/token.txt"),
    ),
    (
        "samples/webhook-lead.http",
        include_str!("scaffold/samples/webhook-lead.http"),
    ),
    (
        "samples/webhook-lead.leads.json",
        include_str!("scaffold/samples/webhook-lead.leads.json"),
    ),
    (
        "samples/poll-leads-1.json",
        include_str!("scaffold/samples/poll-leads-1.json"),
    ),
    (
        "samples/poll-leads.leads.json",
        include_str!("scaffold/samples/poll-leads.leads.json"),
    ),
];

/// Writes the folder.
pub fn run(args: &Args) -> Exit {
    let is_name = !args.name.is_empty()
        && args.name.len() <= 40
        && args
            .name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_name {
        output::error_line(&format!(
            "error: `{}` cannot be the name of a connector\n  help: lower-case letters, digits and `-`, at most 40",
            args.name
        ));
        return Exit::Failure;
    }
    let folder = args.dir.join(&args.name);
    match write(&folder, &args.name) {
        Ok(()) => {
            output::line(&format!(
                "wrote {0}\nnext: write into manifest.toml what the vendor does, put its payloads into samples/, and run\n  leadstream connectors test {0}\nthen name the folder in leadstream.toml: connectors_dir = \"{1}\"",
                folder.display(),
                args.dir.display()
            ));
            Exit::Success
        }
        Err(error) => {
            let hint = match error.kind() {
                std::io::ErrorKind::AlreadyExists => "it is there already; nothing was written",
                _ => "the folder must be one that you may write to",
            };
            output::error_line(&format!(
                "error: cannot write {}: {error}\n  help: {hint}",
                folder.display()
            ));
            Exit::Failure
        }
    }
}

fn write(folder: &Path, name: &str) -> std::io::Result<()> {
    if folder.exists() {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    for (file, text) in SCAFFOLD {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let text = text.replace("acme-forms", name);
        fs::File::create_new(path)?.write_all(text.as_bytes())?;
    }
    Ok(())
}
