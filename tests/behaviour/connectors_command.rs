//! `leadstream connectors` and `leadstream try`: what those who write a connector see.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tools::leadstream;

/// What a command printed, and its exit code.
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

fn run(directory: &Path, arguments: &[&str]) -> Said {
    let Output {
        stdout,
        stderr,
        status,
    } = leadstream(directory).args(arguments).output().unwrap();
    Said {
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
        code: status.code(),
    }
}

fn succeed(directory: &Path, arguments: &[&str]) -> Said {
    let said = run(directory, arguments);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    said
}

fn fail(directory: &Path, arguments: &[&str]) -> Said {
    let said = run(directory, arguments);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    said
}

const CONFIG: &str = r#"
connectors_dir = "connectors"

[salesforce]
login_url = "https://acme.my.salesforce.com"
client_id = "consumer-key"
client_secret = { env = "SF_CLIENT_SECRET" }

[sources.questionnaire]
connector = "acme-forms"
form_id = "f-17"
api_token = { file = "connectors/acme-forms/samples/secrets/token.txt" }
webhook_secret = { file = "connectors/acme-forms/samples/secrets/webhook.txt" }
"#;

const MANIFEST: &str = "connectors/acme-forms/manifest.toml";
const SAMPLES: &str = "connectors/acme-forms/samples";

/// A folder with a new connector, and a configuration with a source of it.
fn begun() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("leadstream.toml"), CONFIG).unwrap();
    let said = succeed(directory.path(), &["connectors", "new", "acme-forms"]);
    for part in [
        "wrote connectors/acme-forms",
        "leadstream connectors test connectors/acme-forms",
        "connectors_dir = \"connectors\"",
    ] {
        assert!(
            said.out.contains(part),
            "{part} is missing in:\n{}",
            said.out
        );
    }
    directory
}

/// Replaces a text that stands once in a file.
fn edit(directory: &Path, file: &str, from: &str, to: &str) {
    let path = directory.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from} in {file}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn test_connector(directory: &Path, more: &[&str]) -> Said {
    let mut arguments = vec!["connectors", "test", "connectors/acme-forms"];
    arguments.extend(more);
    run(directory, &arguments)
}

fn body(directory: &Path) -> Vec<u8> {
    let request = fs::read(directory.join(SAMPLES).join("webhook-lead.http")).unwrap();
    let end = request.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
    request[end + 4..].to_vec()
}

#[test]
fn a_new_connector_runs_as_it_is_written() {
    let directory = begun();
    let said = test_connector(directory.path(), &[]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(
        said.out.contains("webhook-lead.leads.json: as expected"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("poll-leads.leads.json: as expected"),
        "{}",
        said.out
    );
    succeed(directory.path(), &["check"]);
}

#[test]
fn new_overwrites_nothing_and_takes_no_name_that_a_folder_cannot_have() {
    let directory = begun();
    edit(directory.path(), MANIFEST, "Acme Forms", "Mine");
    let said = fail(directory.path(), &["connectors", "new", "acme-forms"]);
    assert!(said.err.contains("nothing was written"), "{}", said.err);
    let kept = fs::read_to_string(directory.path().join(MANIFEST)).unwrap();
    assert!(kept.contains("title = \"Mine\""));

    for name in ["../up", "Acme", "", "a b"] {
        let said = fail(directory.path(), &["connectors", "new", name]);
        assert!(said.err.contains("cannot be the name"), "{}", said.err);
    }
    succeed(
        directory.path(),
        &["connectors", "new", "other", "--dir", "deep/er"],
    );
    assert!(directory.path().join("deep/er/other/README.md").exists());
}

#[test]
fn list_shows_ours_and_those_of_the_configuration() {
    let directory = begun();
    let said = succeed(directory.path(), &["connectors", "list"]);
    for name in ["acme-forms", "web-form", "typeform", "tally"] {
        let line = said.out.lines().find(|line| line.starts_with(name));
        assert!(line.is_some(), "{name} is missing in:\n{}", said.out);
    }
    let rows = succeed(directory.path(), &["connectors", "list", "--json"]).json();
    let rows = rows.as_array().unwrap();
    let own = rows.iter().find(|row| row["name"] == "acme-forms").unwrap();
    assert_eq!(own["ways"], "webhook, poll");
    assert_eq!(own["title"], "Acme Forms");

    // Without a configuration there are ours, and no word of what is missing.
    fs::remove_file(directory.path().join("leadstream.toml")).unwrap();
    let said = succeed(directory.path(), &["connectors", "list"]);
    assert!(!said.out.contains("acme-forms"), "{}", said.out);
    assert_eq!(said.err, "");
}

#[test]
fn a_broken_connector_is_told_and_hides_no_other() {
    let directory = begun();
    edit(directory.path(), MANIFEST, "[record]\n", "[rekord]\n");
    let said = succeed(directory.path(), &["connectors", "list"]);
    assert!(said.out.contains("typeform"), "{}", said.out);
    assert!(!said.out.contains("acme-forms "), "{}", said.out);
    assert!(said.err.contains("rekord"), "{}", said.err);
    assert!(
        said.err.contains("acme-forms/manifest.toml:"),
        "{}",
        said.err
    );
}

#[test]
fn show_says_what_to_write_and_what_to_do_at_the_vendor() {
    let directory = begun();
    let said = succeed(directory.path(), &["connectors", "show", "acme-forms"]);
    for part in [
        "[sources.acme_forms]",
        "form_id = \"f-17\"",
        "form_id (text; required)",
        "<public_url>/hooks/acme_forms",
        "Refused unless it proves itself by: webhook_secret",
        "when: */15 * * * *",
        "first run: the last 90 days",
        "Fills in: answer.<key>, campaign, email, full_name",
        "Calls only: api.acme.example",
    ] {
        assert!(
            said.out.contains(part),
            "{part} is missing in:\n{}",
            said.out
        );
    }
    let shown = succeed(directory.path(), &["connectors", "show", "tally", "--json"]).json();
    assert_eq!(shown["name"], "tally");
    assert_eq!(shown["hosts"], json!(["api.tally.so"]));
    assert_eq!(shown["webhook"], true);
    assert_eq!(shown["polls"][0]["name"], "submissions");
    let fields = shown["fields"].as_array().unwrap();
    for field in ["email", "answer.<key>", "hidden.<key>"] {
        assert!(fields.contains(&json!(field)), "{field} in {shown}");
    }
}

#[test]
fn show_says_which_name_was_meant() {
    let directory = begun();
    let said = fail(directory.path(), &["connectors", "show", "typefrom"]);
    assert!(
        said.err.contains("did you mean `typeform`?"),
        "{}",
        said.err
    );
    let said = fail(directory.path(), &["connectors", "show", "nothing-like-it"]);
    assert!(said.err.contains("connectors_dir"), "{}", said.err);
}

#[test]
fn a_sample_that_gives_other_leads_fails_until_it_is_accepted() {
    let directory = begun();
    edit(
        directory.path(),
        MANIFEST,
        "campaign = \"form.title\"",
        "product = \"form.title\"",
    );
    let said = test_connector(directory.path(), &[]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.out
            .contains("webhook-lead.leads.json: NOT as expected"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("\"product\":\"Book a demo\"") && said.out.contains("expected:"),
        "{}",
        said.out
    );
    assert!(said.err.contains("2 of 2 samples"), "{}", said.err);

    let said = test_connector(directory.path(), &["--accept"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(
        said.out.contains("webhook-lead.leads.json: written"),
        "{}",
        said.out
    );
    assert_eq!(test_connector(directory.path(), &[]).code, Some(0));
}

#[test]
fn a_sample_of_which_nothing_is_expected_yet_is_no_success() {
    let directory = begun();
    let expected = directory
        .path()
        .join(SAMPLES)
        .join("webhook-lead.leads.json");
    fs::remove_file(&expected).unwrap();
    let said = test_connector(directory.path(), &[]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.out
            .contains("webhook-lead.leads.json: there is no such file yet"),
        "{}",
        said.out
    );
    assert!(!said.out.contains("expected:"), "{}", said.out);
    assert_eq!(
        test_connector(directory.path(), &["--accept"]).code,
        Some(0)
    );
    assert!(expected.exists());
}

#[test]
fn what_does_not_prove_itself_is_never_accepted() {
    let directory = begun();
    edit(
        directory.path(),
        MANIFEST,
        "header = \"X-Acme-Signature\"",
        "header = \"X-Acme-Sig\"",
    );
    let expected = directory
        .path()
        .join(SAMPLES)
        .join("webhook-lead.leads.json");
    let before = fs::read_to_string(&expected).unwrap();
    let said = test_connector(directory.path(), &["--accept"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("webhook-lead.leads.json: NOT right")
            && said
                .out
                .contains("refused at the door: the header x-acme-sig is missing"),
        "{}",
        said.out
    );
    assert_eq!(fs::read_to_string(&expected).unwrap(), before);
}

#[test]
fn a_mistake_in_a_manifest_is_told_with_its_line_and_what_was_meant() {
    let directory = begun();
    edit(
        directory.path(),
        MANIFEST,
        "style = \"token\"",
        "style = \"tokens\"",
    );
    let text = fs::read_to_string(directory.path().join(MANIFEST)).unwrap();
    let line = text
        .lines()
        .position(|line| line.contains("tokens"))
        .unwrap()
        + 1;
    let said = test_connector(directory.path(), &[]);
    assert_eq!(said.code, Some(1));
    for part in [
        "error[connector.malformed]".to_owned(),
        format!("acme-forms/manifest.toml:{line}:"),
        "did you mean `token`?".to_owned(),
    ] {
        assert!(
            said.err.contains(&part),
            "{part} is missing in:\n{}",
            said.err
        );
    }
    let said = fail(directory.path(), &["check"]);
    assert!(
        said.err.contains(&format!("manifest.toml:{line}:")),
        "{}",
        said.err
    );
}

#[test]
fn a_folder_without_manifest_or_samples_is_no_success() {
    let directory = begun();
    fail(directory.path(), &["connectors", "test", "connectors/none"]);
    for entry in fs::read_dir(directory.path().join(SAMPLES)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    let said = test_connector(directory.path(), &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("nothing to run"), "{}", said.err);
}

#[test]
fn try_shows_what_becomes_of_a_body_and_writes_nothing() {
    let directory = begun();
    let path = directory.path();
    fs::write(path.join("payload.json"), body(path)).unwrap();
    let said = succeed(path, &["try", "questionnaire", "payload.json"]);
    for part in [
        "submission 1: a new lead",
        "the vendor's id: L-1",
        "zoe@hooli.example",
        "utm_source",
        "LastName",
        "nothing was written",
    ] {
        assert!(
            said.out.contains(part),
            "{part} is missing in:\n{}",
            said.out
        );
    }
    let shown = succeed(path, &["try", "questionnaire", "payload.json", "--json"]).json();
    assert_eq!(shown["would"], "create");
    assert_eq!(shown["vendor_id"], "L-1");
    assert_eq!(shown["fields"]["team_size"], "11-50");
    assert_eq!(shown["salesforce"]["Email"], "zoe@hooli.example");
    let stored = fs::read_dir(path)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .any(|name| name.contains(".db"));
    assert!(!stored, "try made a store");
}

#[test]
fn try_takes_one_record_of_a_poll() {
    let directory = begun();
    let page = fs::read(directory.path().join(SAMPLES).join("poll-leads-1.json")).unwrap();
    let page: Value = serde_json::from_slice(&page).unwrap();
    let record = page["leads"][1].to_string();
    fs::write(directory.path().join("record.json"), record).unwrap();
    let said = succeed(
        directory.path(),
        &["try", "questionnaire", "record.json", "--door", "poll"],
    );
    assert!(
        said.out.contains("Acme says that it is a test"),
        "{}",
        said.out
    );
}

#[test]
fn try_says_whether_a_whole_request_proves_itself() {
    let directory = begun();
    let path = directory.path();
    let sample = format!("{SAMPLES}/webhook-lead.http");
    let said = succeed(path, &["try", "questionnaire", &sample]);
    assert!(!said.err.contains("hook.signature"), "{}", said.err);

    let changed = fs::read_to_string(path.join(&sample)).unwrap();
    fs::write(
        path.join("changed.http"),
        changed.replace("zoe@hooli", "eve@hooli"),
    )
    .unwrap();
    let said = fail(path, &["try", "questionnaire", "changed.http"]);
    assert!(
        said.err.contains("error[hook.signature]")
            && said.err.contains("the signature or secret does not fit"),
        "{}",
        said.err
    );
    // What it would have been otherwise is shown all the same.
    assert!(said.out.contains("eve@hooli.example"), "{}", said.out);
    assert!(!said.out.contains("an-invented-secret"));
    assert!(!said.err.contains("an-invented-secret"));

    fs::write(
        path.join("half.http"),
        "POST /hooks/questionnaire HTTP/1.1\n\n{}",
    )
    .unwrap();
    let said = fail(path, &["try", "questionnaire", "half.http"]);
    assert!(said.err.contains("CRLF"), "{}", said.err);
}

#[test]
fn try_says_that_what_is_ignored_is_not_kept() {
    let directory = begun();
    let path = directory.path();
    edit(
        path,
        MANIFEST,
        "records = \"lead\"\n",
        "records = \"lead\"\nignore_when = [{ from = \"event\", equals = \"ping\" }]\n",
    );
    fs::write(path.join("ping.json"), r#"{"event":"ping"}"#).unwrap();
    let said = succeed(path, &["try", "questionnaire", "ping.json"]);
    assert!(said.out.contains("answered, and not kept"), "{}", said.out);
    let shown = succeed(path, &["try", "questionnaire", "ping.json", "--json"]).json();
    assert_eq!(shown["would"], "ignore");
    fs::write(path.join("lead.json"), body(path)).unwrap();
    let shown = succeed(path, &["try", "questionnaire", "lead.json", "--json"]).json();
    assert_eq!(shown["would"], "create");
}

#[test]
fn try_says_what_cannot_be_tried_and_why() {
    let directory = begun();
    let path = directory.path();
    fs::write(path.join("payload.json"), body(path)).unwrap();
    let said = fail(path, &["try", "questionaire", "payload.json"]);
    assert!(
        said.err.contains("there is no source `questionaire`")
            && said.err.contains("did you mean `questionnaire`?"),
        "{}",
        said.err
    );
    let said = fail(path, &["try", "questionnaire", "missing.json"]);
    assert!(
        said.err.contains("cannot read missing.json"),
        "{}",
        said.err
    );

    fs::write(path.join("broken.json"), "{").unwrap();
    let said = fail(path, &["try", "questionnaire", "broken.json"]);
    assert!(
        said.err.contains("error[body.malformed_json]"),
        "{}",
        said.err
    );

    // Nobody could be reached: a dead letter, and no success.
    fs::write(path.join("nobody.json"), r#"{"lead":{"id":"L-9"}}"#).unwrap();
    let said = fail(path, &["try", "questionnaire", "nobody.json"]);
    assert!(said.out.contains("[lead.no_contact]"), "{}", said.out);
}
