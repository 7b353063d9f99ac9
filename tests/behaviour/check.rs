//! `leadstream check`: each file in `tests/configs/{valid,invalid}` is a case, what is said of it the
//! snapshot beside it. `UPDATE_GENERATED=1` writes the snapshots anew.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use leadstream::diagnostic::CODES;

use crate::tools::leadstream;

/// What no output may hold: from the variables above, and written into cases.
const SECRETS: &[&str] = &["s3cr3t", "hunter2", "6LeIx"];

fn check(file: &Path) -> Output {
    let directory = file.parent().unwrap();
    leadstream(directory)
        .arg("check")
        .arg("--config")
        .arg(file.file_name().unwrap())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder, and `leadstream.toml` of each folder in it; each with its snapshot's name.
fn cases(kind: &str) -> Vec<(PathBuf, PathBuf)> {
    let folder = root().join("tests/configs").join(kind);
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let snapshot = path.with_extension("stderr");
        if path.is_dir() {
            cases.push((path.join("leadstream.toml"), snapshot));
        } else if path.extension().is_some_and(|ending| ending == "toml") {
            cases.push((path, snapshot));
        }
    }
    cases.sort();
    cases
}

/// Compares a generated text with the file that holds it, or writes it anew.
pub(crate) fn compare(file: &Path, generated: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        if generated.is_empty() {
            let _ = fs::remove_file(file);
        } else {
            fs::write(file, generated).unwrap();
        }
        return Ok(());
    }
    let held = fs::read_to_string(file).unwrap_or_default();
    if held == generated {
        return Ok(());
    }
    Err(format!(
        "{} differs; UPDATE_GENERATED=1 writes it anew. Held:\n{held}\nnow:\n{generated}",
        file.display()
    ))
}

fn assert_no_secret(file: &Path, output: &Output) {
    let all = text(&output.stdout) + &text(&output.stderr);
    for secret in SECRETS {
        assert!(!all.contains(secret), "{}: {all}", file.display());
    }
}

#[test]
fn a_valid_file_passes_and_its_warnings_are_told() {
    let mut failures = Vec::new();
    for (file, snapshot) in cases("valid") {
        let output = check(&file);
        let stderr = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}: {stderr}",
            file.display()
        );
        assert_no_secret(&file, &output);
        failures.extend(compare(&snapshot, &stderr).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn an_invalid_file_fails_and_everything_wrong_with_it_is_told_at_its_place() {
    let mut failures = Vec::new();
    for (file, snapshot) in cases("invalid") {
        let output = check(&file);
        let stderr = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}: {stderr}",
            file.display()
        );
        assert_no_secret(&file, &output);
        assert!(stderr.contains(".toml:"), "{} has no place", file.display());
        failures.extend(compare(&snapshot, &stderr).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn each_code_has_a_case() {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (_, snapshot) in cases("valid").into_iter().chain(cases("invalid")) {
        let drawn = fs::read_to_string(snapshot).unwrap_or_default();
        seen.extend(codes_in(&drawn));
    }
    // These need a file as Git cannot hold it: absent, or with a mode of its own.
    seen.extend(codes_in(&absent_file()));
    #[cfg(unix)]
    seen.extend(codes_in(&readable_secret_file()));
    let known: BTreeSet<String> = CODES
        .iter()
        .map(|(code, _)| (*code).to_owned())
        .filter(|code| code.starts_with("config."))
        .collect();
    assert_eq!(known, seen);
}

fn codes_in(drawn: &str) -> Vec<String> {
    drawn
        .lines()
        .filter(|line| line.starts_with("error[") || line.starts_with("warning["))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .map(str::to_owned)
        .collect()
}

fn absent_file() -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = check(&folder.path().join("leadstream.toml"));
    assert_eq!(output.status.code(), Some(1));
    text(&output.stderr)
}

#[test]
fn a_missing_file_names_the_command_that_writes_one() {
    insta::assert_snapshot!(absent_file(), @"
    error[config.unreadable]: cannot read leadstream.toml: there is no such file
     |
     = help: `leadstream init` writes one; `--config FILE` names another
    ");
}

#[cfg(unix)]
fn readable_secret_file() -> String {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("client_secret.txt");
    fs::write(&secret, "s3cr3t\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let minimal = fs::read_to_string(root().join("tests/configs/valid/minimal.toml")).unwrap();
    let config = folder.path().join("leadstream.toml");
    let by_file = minimal.replace("env = \"SF_CLIENT_SECRET\"", "file = \"client_secret.txt\"");
    fs::write(&config, by_file).unwrap();
    let output = check(&config);
    assert_eq!(output.status.code(), Some(0));
    assert_no_secret(&config, &output);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(text(&check(&config).stderr), "");
    text(&output.stderr)
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_others_may_read_is_warned_about() {
    insta::assert_snapshot!(readable_secret_file(), @r#"
    warning[config.secret_file_mode]: other users of this machine may read the secret file
     --> leadstream.toml:4:26
      |
    4 | client_secret = { file = "client_secret.txt" }
      |                          ^^^^^^^^^^^^^^^^^^^
      |
      = help: `chmod 600` it, and let the user that runs leadstream own it
    "#);
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("leadstream.toml");
    fs::write(&config, b"[server]\n# caf\xe9\n").unwrap();
    let stderr = text(&check(&config).stderr);
    assert!(stderr.contains("line 2 is not UTF-8 text"), "{stderr}");
}

#[test]
fn programs_get_the_problems_as_json() {
    let output = leadstream(&root().join("tests/configs/invalid"))
        .args(["check", "--json", "--config", "unknown_connector.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["errors"], 2);
    let first = &json["diagnostics"][0];
    assert_eq!(first["code"], "config.unknown_connector");
    assert_eq!(first["file"], "unknown_connector.toml");
    assert_eq!(first["line"], 7);
    assert_eq!(first["column"], 13);
    assert_eq!(first["hint"], "did you mean `web-form`?");
}

#[test]
fn a_broken_source_is_named_as_what_a_start_would_leave_out() {
    let folder = root().join("tests/configs/invalid");
    let verdict = |name: &str| text(&check(&folder.join(name)).stdout);
    insta::assert_snapshot!(
        verdict("fenced_source.toml"),
        @"fenced_source.toml: 1 error; it would run with 1 source, without newsletter"
    );
    insta::assert_snapshot!(
        verdict("strict_start.toml"),
        @"strict_start.toml: 1 error; it would not run"
    );
}

#[test]
fn the_default_and_the_example_pass() {
    for name in ["leadstream.toml", "starter.toml", "examples/acme.toml"] {
        let file = root().join("config").join(name);
        let output = check(&file);
        assert_eq!(text(&output.stderr), "", "{name}");
        assert_eq!(output.status.code(), Some(0), "{name}");
    }
}

#[test]
fn the_default_shows_every_key() {
    let default = fs::read_to_string(root().join("config/leadstream.toml")).unwrap();
    let schema = leadstream::config::schema();
    let mut missing = Vec::new();
    each_key(&schema, &schema, &mut |key| {
        let shown = default.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            let starts = line
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with('=') || rest.starts_with("  "));
            starts || line.starts_with('[') && line.contains(key)
        });
        // Inside of a secret's table.
        let in_secret = matches!(key, "env" | "file") && default.contains(&format!("{{ {key} = "));
        if !shown && !in_secret {
            missing.push(key.to_owned());
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

fn each_key(root: &serde_json::Value, schema: &serde_json::Value, visit: &mut dyn FnMut(&str)) {
    let direct = schema["allOf"].get(0).unwrap_or(schema);
    let schema = match direct["$ref"].as_str() {
        Some(target) => root.pointer(target.trim_start_matches('#')).unwrap(),
        None => direct,
    };
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        visit(key);
        each_key(root, property, visit);
    }
    if schema["additionalProperties"].is_object() {
        each_key(root, &schema["additionalProperties"], visit);
    }
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let output = leadstream(&root()).arg("schema").output().unwrap();
    let generated = text(&output.stdout);
    compare(&root().join("config/leadstream.schema.json"), &generated).unwrap();
}

#[test]
fn the_page_of_codes_is_the_generated_one() {
    let mut page = String::from(
        "# Codes of problems\n\n\
         Every problem that leadstream tells has a code that stays the same, a place where there is \
         one, and a hint. This page is made from the program; a test keeps it true \
         (`UPDATE_GENERATED=1 cargo test` writes it anew).\n\n\
         | code | what it means |\n| --- | --- |\n",
    );
    for (code, meaning) in CODES {
        writeln!(page, "| `{code}` | {meaning} |").unwrap();
    }
    compare(&root().join("docs/ERRORS.md"), &page).unwrap();
}

#[test]
fn a_starter_is_written_once_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| leadstream(folder.path()).args(arguments).output().unwrap();
    assert_eq!(run(&["init"]).status.code(), Some(0));
    assert_eq!(run(&["check"]).status.code(), Some(0));
    assert!(folder.path().join("leadstream.schema.json").is_file());

    let config = folder.path().join("leadstream.toml");
    let lines = fs::read_to_string(&config).unwrap();
    let matter = lines
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert!(matter.count() < 15);

    fs::write(&config, "# mine\n").unwrap();
    let refused = run(&["init"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--force"));
    assert_eq!(fs::read_to_string(&config).unwrap(), "# mine\n");

    assert_eq!(run(&["init", "--force"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&config).unwrap(), lines);
    assert_eq!(run(&["init", "other.toml"]).status.code(), Some(0));
    assert!(folder.path().join("other.toml").is_file());
}

#[test]
fn every_value_is_shown_with_where_it_came_from() {
    let folder = root().join("tests/configs/valid");
    let output = leadstream(&folder)
        .args([
            "config",
            "show",
            "--origin",
            "--config",
            "loopback_and_variables.toml",
        ])
        .output()
        .unwrap();
    assert_no_secret(&folder, &output);
    // The hash changes with each key that the program learns.
    let shown = text(&output.stdout);
    let (hash, values) = shown.split_once("\n\n").unwrap();
    assert!(hash.starts_with("# configuration "), "{hash}");
    insta::assert_snapshot!(values, @r#"
    [server]
    listen = "[::1]:0"  # loopback_and_variables.toml:2
    public_url = "http://127.0.0.1:8080"  # default for environment variable PUBLIC_URL, which is not set (loopback_and_variables.toml:3)

    [salesforce]
    login_url = "http://127.0.0.1:9100"  # loopback_and_variables.toml:6
    client_id = "consumer-key"  # environment variable SF_CLIENT_ID (loopback_and_variables.toml:7)
    client_secret = "***"  # environment variable SF_CLIENT_SECRET (loopback_and_variables.toml:8)

    [salesforce.lead.Price__c]
    from = "price"  # loopback_and_variables.toml:11
    default = "$ EUR"  # default for environment variable CURRENCY, which is not set (loopback_and_variables.toml:11)

    [sources.demo]
    connector = "web-form"  # loopback_and_variables.toml:14
    base_url = "http://localhost:9101"  # loopback_and_variables.toml:15
    allowed_origins = ["http://localhost:3000", "https://www.example.com"]  # loopback_and_variables.toml:17
    redirect_url = "http://www.example.com/thanks"  # loopback_and_variables.toml:16
    "#);
}

#[test]
fn what_is_shown_as_effective_is_valid_toml_with_every_default() {
    let folder = root().join("config");
    let output = leadstream(&folder)
        .args([
            "config",
            "show",
            "--effective",
            "--config",
            "examples/acme.toml",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_no_secret(&folder, &output);
    let shown: toml::Table = text(&output.stdout).parse().unwrap();
    assert_eq!(shown["salesforce"]["batch_size"].as_integer(), Some(200));
    assert_eq!(shown["salesforce"]["private_key"].as_str(), Some("***"));
    assert_eq!(
        shown["sources"]["trade_fair"]["custom_fields"]["00N5g000004XyZa"].as_str(),
        Some("plan")
    );
}

#[test]
fn programs_get_the_values_as_json() {
    let output = leadstream(&root().join("tests/configs/valid/includes"))
        .args(["config", "show", "--json"])
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let settings = json["settings"].as_array().unwrap();
    let url = settings
        .iter()
        .find(|setting| setting["table"][0] == "store" && setting["key"] == "url")
        .unwrap();
    assert_eq!(url["value"], "sqlite:data/leadstream.db");
    assert_eq!(url["origin"]["file"], "store.toml");
    assert_eq!(url["origin"]["line"], 2);
}

#[test]
fn arguments_that_make_no_sense_exit_with_2() {
    for arguments in [&["chekc"][..], &[], &["check", "--jsno"], &["config"]] {
        let output = leadstream(&root()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_configuration_can_be_named_by_a_variable() {
    let output = leadstream(&root().join("tests/configs/valid"))
        .env("LEADSTREAM_CONFIG", "minimal.toml")
        .arg("check")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}
