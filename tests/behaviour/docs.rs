//! What the pages say about the program and about each other.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGES: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "docs/CONFIG.md",
    "docs/ERRORS.md",
    "docs/OPERATIONS.md",
    "docs/PERFORMANCE.md",
    "docs/SANDBOX.md",
    "docs/SALESFORCE.md",
    "benches/README.md",
    "connectors/web-form/README.md",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_readme_lists_every_command() {
    let help = Command::new(env!("CARGO_BIN_EXE_leadstream"))
        .arg("help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let mut count = 0;
    for line in commands.lines() {
        let command = line.split_whitespace().next().unwrap();
        count += 1;
        let is_listed = ["`", " "]
            .iter()
            .any(|end| readme.contains(&format!("| `{command}{end}")));
        assert!(
            command == "help" || is_listed,
            "{command} is not in the README"
        );
    }
    assert!(count > 5, "{help}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut count = 0;
    for page in PAGES {
        let file = root().join(page);
        let text = fs::read_to_string(&file).unwrap();
        for link in links(&text).filter(|link| !link.starts_with("https://")) {
            count += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{page} links to {link}");
            assert!(
                heading.is_empty() || has_heading(&target, heading),
                "{page} links to {link}, where there is no such heading"
            );
        }
    }
    assert!(count >= 20, "only {count} links were followed");
}

/// What stands in the round brackets of `[text](target)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

fn has_heading(page: &Path, anchor: &str) -> bool {
    fs::read_to_string(page).unwrap().lines().any(|line| {
        let Some(heading) = line.strip_prefix('#') else {
            return false;
        };
        let words = heading
            .trim_matches(['#', ' '])
            .to_lowercase()
            .replace(' ', "-");
        words
            .chars()
            .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
            .eq(anchor.chars())
    })
}
