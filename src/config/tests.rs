//! The whole pipeline, from files to a configuration.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::connector::ConnectorOptions;
use crate::diagnostic;

/// Stands for a secret: short and plain enough that nothing but its place gives it away.
const SECRET: &str = "Zanzibar-hunter";

const VALID: &str = r#"# a comment
[server]
listen = "127.0.0.1:8080"
trusted_proxies = ["10.0.0.1"]

[salesforce]
login_url = "https://acme.my.salesforce.com"
client_id = "${ID:-key}"
client_secret = { env = "SECRET" }
api_version = "v61.0"

[salesforce.lead]
Plan__c = { from = "plan", values = { "a" = "b" } }

[sources.demo]
connector = "web-form"
allowed_origins = [
  "https://www.example.com",
]

[sources.demo.captcha]
provider = "turnstile"
secret = { file = "captcha" }
"#;

fn env(name: &str) -> Option<String> {
    (name == "SECRET").then(|| SECRET.to_owned())
}

struct Folder(TempDir);

impl Folder {
    fn with(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("leadstream.toml"), text).unwrap();
        fs::write(folder.path().join("captcha"), SECRET).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("leadstream.toml")
    }

    fn load(&self) -> Loaded {
        load(&self.file(), &env)
    }
}

fn load_text(text: &str) -> Loaded {
    Folder::with(text).load()
}

fn errors(loaded: &Loaded) -> Vec<&str> {
    let errors = loaded.diagnostics.iter().filter(|found| found.is_error());
    errors.map(|found| found.code).collect()
}

/// All that is ever printed of a configuration.
fn printed(loaded: &Loaded) -> String {
    let mut text = diagnostic::render(&loaded.diagnostics, false);
    text.push_str(&diagnostic::to_json(&loaded.diagnostics).to_string());
    write!(text, "{loaded:?}").unwrap();
    for setting in loaded.settings().into_iter().flatten() {
        write!(text, "{setting:?} {}", setting.origin.in_words()).unwrap();
    }
    text
}

#[test]
fn a_valid_file_becomes_a_configuration() {
    let folder = Folder::with(VALID);
    let config = folder.load().config.unwrap();
    assert_eq!(config.salesforce.client_id, "key");
    assert_eq!(config.salesforce.api_version, "61.0");
    assert_eq!(config.salesforce.batch_size, 200);
    assert_eq!(config.salesforce.lead["Plan__c"].values["a"], "b");
    let ConnectorOptions::WebForm(options) = &config.sources["demo"].options else {
        panic!("another connector");
    };
    assert_eq!(options.allowed_origins, ["https://www.example.com"]);
    assert!(config.fenced.is_empty());
    assert_eq!(config.hash.len(), 12);
}

#[test]
fn files_are_relative_to_the_file_that_names_them() {
    let folder = Folder::with(VALID);
    let config = folder.load().config.unwrap();
    let store = folder.0.path().join("leadstream.db");
    assert_eq!(config.store.url, format!("sqlite:{}", store.display()));
    let ConnectorOptions::WebForm(options) = &config.sources["demo"].options else {
        panic!("another connector");
    };
    let captcha = options.captcha.as_ref().unwrap();
    assert_eq!(captcha.secret.read().unwrap().expose(), SECRET);
}

#[test]
fn the_hash_follows_what_is_in_effect_and_nothing_else() {
    let hash = |text: &str| load_text(text).config.unwrap().hash;
    let first = hash(VALID);
    let same = [
        VALID.replace("# a comment\n", ""),
        VALID.replace("${ID:-key}", "key"),
        format!("{VALID}duplicates = 1\n")
            .replace("duplicates = 1\n", "on_unavailable = \"review\"\n"),
    ];
    for text in same {
        assert_eq!(hash(&text), first, "{text}");
    }
    assert_ne!(hash(&VALID.replace("${ID:-key}", "other")), first);
    assert_ne!(hash(&VALID.replace("turnstile", "hcaptcha")), first);
}

#[test]
fn an_error_in_one_source_fences_it_off_and_the_rest_runs() {
    let text = format!("{VALID}\n[sources.broken]\nconnector = \"web-form\"\nname = 1\n");
    let loaded = load_text(&text);
    assert_eq!(errors(&loaded), ["config.unknown_key"]);
    let config = loaded.config.unwrap();
    assert_eq!(config.fenced, [SourceName::new("broken")]);
    assert_eq!(config.sources.len(), 1);

    let strict = text.replace("[server]", "[server]\nstrict_start = true");
    assert!(load_text(&strict).config.is_none());
}

#[test]
fn a_variable_that_one_source_lacks_is_its_own_problem() {
    let text =
        format!("{VALID}\n[sources.other]\nconnector = \"web-form\"\ncampaign = \"${{NOPE}}\"\n");
    let loaded = load_text(&text);
    assert_eq!(errors(&loaded), ["config.missing_variable"]);
    assert_eq!(loaded.config.unwrap().fenced, [SourceName::new("other")]);
}

#[test]
fn an_error_outside_the_sources_leaves_no_configuration() {
    let loaded = load_text(&VALID.replace("listen", "listne"));
    assert_eq!(errors(&loaded), ["config.unknown_key"]);
    assert!(loaded.config.is_none());
}

#[test]
fn what_a_variable_holds_cannot_change_the_structure() {
    let folder = Folder::with(VALID);
    let loaded = load(&folder.file(), &|name| match name {
        "ID" => Some("\"\n[server]\nstrict_start = true\n#".to_owned()),
        other => env(other),
    });
    let config = loaded.config.unwrap();
    assert!(!config.server.strict_start);
    assert!(config.salesforce.client_id.starts_with("\"\n[server]"));
}

#[test]
fn files_that_include_each_other_come_to_an_end() {
    let folder = Folder::with("include = [\"*.toml\"]\n");
    fs::write(
        folder.0.path().join("other.toml"),
        format!("include = [\"leadstream.toml\"]\n{VALID}"),
    )
    .unwrap();
    let loaded = folder.load();
    assert_eq!(errors(&loaded), ["config.included_twice"; 2]);
}

#[test]
fn files_that_include_others_without_end_are_refused() {
    let folder = Folder::with("include = [\"1.toml\"]\n");
    for number in 1..20 {
        let text = format!("include = [\"{}.toml\"]\n", number + 1);
        fs::write(folder.0.path().join(format!("{number}.toml")), text).unwrap();
    }
    let loaded = folder.load();
    assert_eq!(errors(&loaded)[1..], ["config.unreadable"]);
    assert!(loaded.config.is_none());
}

#[test]
fn a_check_writes_nothing() {
    let folder = Folder::with(VALID);
    folder.load();
    let mut names: Vec<_> = fs::read_dir(folder.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["captcha", "leadstream.toml"]);
}

/// A valid file but for its secrets, which stand in it as text.
fn with_secrets_as_text() -> String {
    VALID
        .replace("{ env = \"SECRET\" }", &format!("\"{SECRET}\""))
        .replace("{ file = \"captcha\" }", &format!("\"{SECRET}\""))
}

#[test]
fn an_inline_secret_is_refused_and_not_repeated() {
    let loaded = load_text(&with_secrets_as_text());
    assert_eq!(errors(&loaded), ["config.inline_secret"; 2]);
    assert!(!printed(&loaded).contains(SECRET));
}

/// One change to a file: at a place (in thousandths), take out so many bytes and put these in.
type Edit = (usize, usize, String);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let inserted = prop_oneof![
        "[\\x00-\\x7f]{0,2}",
        Just("\n".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("\n[sources.x]\n".to_owned()),
        Just("ä".to_owned()),
        Just("${".to_owned()),
    ];
    prop::collection::vec((0..1000usize, 0..3usize, inserted), 1..4)
}

/// Applies edits wherever they leave the secrets whole.
fn edited(text: &str, edits: &[Edit]) -> String {
    let count = text.matches(SECRET).count();
    let mut text = text.to_owned();
    for (at, length, inserted) in edits {
        let mut start = at * text.len() / 1000;
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let mut next = text.clone();
        next.replace_range(start..end, inserted);
        if next.matches(SECRET).count() == count {
            text = next;
        }
    }
    text
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let loaded = Folder::with(bytes).load();
        prop_assert!(loaded.config.is_none());
        prop_assert!(loaded.has_errors());
        printed(&loaded);
    }

    #[test]
    fn a_changed_file_is_answered(edits in edits()) {
        printed(&load_text(&edited(VALID, &edits)));
    }

    #[test]
    fn no_change_to_a_file_brings_its_secrets_out(edits in edits()) {
        let text = edited(&with_secrets_as_text(), &edits);
        let loaded = load_text(&text);
        let drawn = diagnostic::render(&loaded.diagnostics, false);
        prop_assert!(!printed(&loaded).contains(SECRET), "{}\n{}", text, drawn);
    }
}
