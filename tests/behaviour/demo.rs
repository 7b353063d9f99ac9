//! `leadstream demo --once`: the whole of it, judged by the program itself.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::Path;
use std::process::Output;

use crate::check::leadstream;

/// Runs the demo once, with 60 leads; 25 in a row hold every kind.
fn demo(directory: &Path, more: &[&str]) -> Output {
    let free = "127.0.0.1:0";
    leadstream(directory)
        .args(["demo", "--once", "--leads", "60", "--dir", "demo"])
        .args(["--listen", free, "--sandbox", free, "--page", free])
        .args(more)
        .output()
        .unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn every_lead_comes_to_its_end_and_everybody_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(directory.path(), &[]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    for expected in [
        "leadstream demo: ",
        "received 60 · ",
        "\nsynced   ",
        "\nmerged   ",
        " · the same person as before",
        "\nfiltered ",
        " · lead.no_contact: ",
        " · lead.invalid_email: ",
        " · salesforce.invalid_or_null_for_restricted_picklist: ",
        "\nbalanced: ",
        "\nverdict: all is well",
    ] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "colours in a pipe:\n{said}");
    assert_eq!(text(&output.stderr), "");

    // The configuration that it leaves is one that the other commands take.
    let audit = leadstream(directory.path())
        .args(["--config", "demo/leadstream.toml", "audit"])
        .output()
        .unwrap();
    assert!(text(&audit.stdout).contains("balanced"), "{audit:?}");

    // Its store is full of leads that no fresh sandbox has.
    let again = demo(directory.path(), &[]);
    assert!(!again.status.success());
    assert!(
        text(&again.stderr).contains("holds the leads of an earlier demo"),
        "{again:?}"
    );
}

#[test]
fn trouble_in_salesforce_loses_nobody_and_doubles_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(
        directory.path(),
        &[
            "--fault-5xx",
            "0.05",
            "--fault-lock",
            "0.02",
            "--fault-lost",
            "0.05",
        ],
    );
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    assert!(said.contains("\nbalanced: "), "{said}");
}

#[test]
fn a_rate_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(directory.path(), &["--fault-5xx", "2"]);
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("server_error_rate must be from 0 to 1"),
        "{output:?}"
    );
}
