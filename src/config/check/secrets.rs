use std::io::Read;
use std::path::Path;

use super::{beside, error_at};
use crate::config::interpolate::Environment;
use crate::config::mask;
use crate::config::report::Report;
use crate::config::tree::{Node, Table};
use crate::diagnostic::Diagnostic;

/// The largest secret file that is read: a private key has 3 KB.
const MOST_BYTES: u64 = 64 * 1024;

/// Checks that the secret at `key` can be read, and returns it for checks of its form.
pub(super) fn check(
    table: &Table,
    key: &str,
    env: &Environment<'_>,
    report: &mut Report,
) -> Option<String> {
    check_kept(table.table(key)?, key, env, report)
}

/// The same for the table that says where the secret is kept.
pub(super) fn check_kept(
    reference: &Table,
    key: &str,
    env: &Environment<'_>,
    report: &mut Report,
) -> Option<String> {
    match (reference.text("env"), reference.text("file")) {
        (Some((name, node)), None) => check_variable(name, node, key, env, report),
        (None, Some((path, node))) => check_file(&beside(node, path), node, report),
        _ => None,
    }
}

fn check_variable(
    name: &str,
    node: &Node,
    key: &str,
    env: &Environment<'_>,
    report: &mut Report,
) -> Option<String> {
    if let Some(value) = env(name).filter(|value| !value.trim().is_empty()) {
        return Some(value);
    }
    let problem = if mask::is_variable_name(name) {
        let state = if env(name).is_some() {
            "blank"
        } else {
            "not set"
        };
        error_at(
            node,
            "config.missing_secret",
            format!("the environment variable {name} is {state}"),
        )
        .label(format!("`{key}` is kept there"))
        .hint(format!(
            "set {name} before starting leadstream, or keep the secret in a file: \
             `{key} = {{ file = \"/run/secrets/…\" }}`"
        ))
    } else {
        // It may be the secret itself, in the place of its name: do not repeat it.
        error_at(
            node,
            "config.missing_secret",
            format!("the environment variable for `{key}` is not set"),
        )
        .hint(format!(
            "`env` takes the name of a variable, not the secret itself: `{key} = {{ env = \"{}\" }}`",
            key.to_uppercase()
        ))
    };
    report.add(problem);
    None
}

fn check_file(path: &Path, node: &Node, report: &mut Report) -> Option<String> {
    let unreadable = |reason: String| {
        error_at(
            node,
            "config.missing_secret",
            format!("cannot read the secret file: {reason}"),
        )
        .hint("the path is relative to the file that names it; the user that runs leadstream must be able to read it")
    };
    // A pipe or device would keep the check waiting.
    let found = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => read(path),
        Ok(_) => Err("it is no plain file".to_owned()),
        Err(error) => Err(reason(&error)),
    };
    match found {
        Ok(text) if text.trim().is_empty() => {
            report.add(
                error_at(node, "config.missing_secret", "the secret file is blank")
                    .hint("write the secret into it, and nothing else"),
            );
            None
        }
        Ok(text) => {
            warn_of_readers(path, node, report);
            Some(text)
        }
        Err(reason) => {
            report.add(unreadable(reason));
            None
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| reason(&error))?;
    let mut text = String::new();
    file.take(MOST_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| reason(&error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(format!("it is larger than {MOST_BYTES} bytes"));
    }
    Ok(text)
}

/// What the system says, without numbers.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        std::io::ErrorKind::InvalidData => "it is no UTF-8 text".to_owned(),
        _ => "the system refuses it".to_owned(),
    }
}

#[cfg(unix)]
fn warn_of_readers(path: &Path, node: &Node, report: &mut Report) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        report.add(
            Diagnostic::warning(
                "config.secret_file_mode",
                "other users of this machine may read the secret file",
            )
            .at(node.spot.place())
            .hint("`chmod 600` it, and let the user that runs leadstream own it"),
        );
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path, _: &Node, _: &mut Report) {}
