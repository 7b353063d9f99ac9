//! All connectors that are manifests: those of the program, and those in a folder of the user's.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use toml::de::{DeTable, DeValue};

use super::manifest::{Manifest, Problem, check};
use crate::diagnostic::{Diagnostic, Place};

/// Name and text of each manifest in `connectors/`.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/connectors.rs"));

/// The most bytes of a manifest.
const MOST_BYTES: u64 = 256 * 1024;

/// The most folders of a user's own.
const MOST_FOLDERS: usize = 500;

/// Connectors by their names.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    manifests: BTreeMap<String, Arc<Manifest>>,
    /// Those that are not the program's, or replace one of it, with their texts.
    own: BTreeMap<String, String>,
}

static PROGRAMS: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
    let manifests = EMBEDDED.iter().filter_map(|(name, text)| {
        // That each of them can be read is a test's business.
        let manifest = Manifest::parse(text).ok()?;
        Some(((*name).to_owned(), Arc::new(manifest)))
    });
    Arc::new(Catalog {
        manifests: manifests.collect(),
        own: BTreeMap::new(),
    })
});

impl Catalog {
    /// The connectors of the program.
    pub fn embedded() -> Arc<Self> {
        Arc::clone(&PROGRAMS)
    }

    /// Those, and the ones in the folders of `directory`, which win over ours of the same name. What
    /// is wrong with one is told, and that one left out.
    pub fn with_folder(directory: &Path) -> (Self, Vec<Diagnostic>) {
        let mut catalog = Self::clone(&PROGRAMS);
        let mut problems = Vec::new();
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(
                    Diagnostic::error(
                        "connector.unreadable",
                        format!(
                            "cannot read the folder {}: {}",
                            directory.display(),
                            error.kind()
                        ),
                    )
                    .hint("`connectors_dir` names a folder with a folder for each connector"),
                );
                return (catalog, problems);
            }
        };
        let mut folders: Vec<_> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|folder| folder.join("manifest.toml").is_file())
            .take(MOST_FOLDERS)
            .collect();
        folders.sort();
        for folder in folders {
            match read(&folder) {
                Ok((manifest, text)) => {
                    let name = manifest.name.clone();
                    catalog.manifests.insert(name.clone(), Arc::new(manifest));
                    catalog.own.insert(name, text);
                }
                Err(of_folder) => problems.extend(of_folder),
            }
        }
        (catalog, problems)
    }

    /// The connector of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Manifest>> {
        self.manifests.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Manifest>> {
        self.manifests.values()
    }

    /// What the manifests of the user's say, by name.
    pub fn own_texts(&self) -> &BTreeMap<String, String> {
        &self.own
    }

    /// Those from a folder of the user's.
    pub fn own(&self) -> impl Iterator<Item = &Arc<Manifest>> {
        self.own.keys().filter_map(|name| self.manifests.get(name))
    }
}

/// Reads and checks `<folder>/manifest.toml`; returns its text as well.
pub fn read(folder: &Path) -> Result<(Manifest, String), Vec<Diagnostic>> {
    let file = folder.join("manifest.toml");
    let unreadable = |reason: String| {
        vec![Diagnostic::error(
            "connector.unreadable",
            format!("cannot read {}: {reason}", file.display()),
        )]
    };
    let mut text = String::new();
    std::fs::File::open(&file)
        .and_then(|open| open.take(MOST_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| unreadable(error.kind().to_string()))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(unreadable(format!("it is larger than {MOST_BYTES} bytes")));
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let manifest = parse(&text, &name, &file)?;
    Ok((manifest, text))
}

/// Reads and checks the text of a manifest that stands in `file`, in the folder `name`.
pub fn parse(text: &str, name: &str, file: &Path) -> Result<Manifest, Vec<Diagnostic>> {
    let shared: Arc<str> = Arc::from(text);
    let place = |span| Place {
        file: file.to_owned(),
        text: Arc::clone(&shared),
        span,
    };
    let manifest = Manifest::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().to_owned();
        vec![
            Diagnostic::error("connector.malformed", message)
                .at(place(span))
                .hint(hint_for(error.message())),
        ]
    })?;
    let problems = check(&manifest, name);
    if problems.is_empty() {
        return Ok(manifest);
    }
    let (tree, _) = DeTable::parse_recoverable(text);
    Err(problems
        .iter()
        .map(|problem| {
            Diagnostic::error("connector.inconsistent", problem.message.clone())
                .at(place(span_of(tree.get_ref(), problem)))
                .hint(problem.hint.clone())
        })
        .collect())
}

/// serde says ``unknown field `x`, expected one of `a`, `b` ``: the nearest is what was meant.
fn hint_for(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let near = quoted.split_first().and_then(|(written, known)| {
        message
            .starts_with("unknown")
            .then(|| crate::config::closest(written, known.iter().copied()))
            .flatten()
    });
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "docs/CONNECTORS.md explains every word of a manifest".to_owned(),
    }
}

/// Where in the text a problem is, as deep as it is written there.
fn span_of(root: &DeTable<'_>, problem: &Problem) -> std::ops::Range<usize> {
    let mut found = 0..0;
    let mut keys = problem.at.iter().map(String::as_str).peekable();
    let mut table = Some(root);
    let mut list: Option<&toml::de::DeArray<'_>> = None;
    while let Some(key) = keys.next() {
        let value = if let Some(items) = list.take() {
            key.parse().ok().and_then(|index: usize| items.get(index))
        } else if let Some(inner) = table.take() {
            // `[x]` stands for `[[x]]` with one: the place in the list is not written.
            let entry = inner.iter().find(|(name, _)| name.get_ref() == key);
            if let Some((_, value)) = entry
                && value.get_ref().is_table()
                && keys.peek() == Some(&"0")
            {
                keys.next();
            }
            entry.map(|(_, value)| value)
        } else {
            None
        };
        let Some(value) = value else { break };
        found = value.span();
        match value.get_ref() {
            DeValue::Table(inner) => table = Some(inner),
            DeValue::Array(items) => list = Some(items),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connector_of_the_program_can_be_read() {
        for (name, text) in EMBEDDED {
            let file = format!("connectors/{name}/manifest.toml");
            if let Err(problems) = parse(text, name, Path::new(&file)) {
                panic!("{}", crate::diagnostic::render(&problems, false));
            }
        }
        assert_eq!(Catalog::embedded().all().count(), EMBEDDED.len());
    }

    /// `line: message; hint` of each problem.
    fn problems(text: &str) -> Vec<String> {
        let problems = parse(text, "acme", Path::new("acme/manifest.toml")).unwrap_err();
        let told = problems.iter().map(|problem| {
            let (line, _) = problem.place.as_ref().unwrap().line_and_column();
            let hint = problem.hint.as_deref().unwrap_or_default();
            format!("{line}: {}; {hint}", problem.message)
        });
        told.collect()
    }

    #[test]
    fn a_word_that_no_manifest_has_is_told_with_the_one_that_was_meant() {
        let told = problems(
            "name = \"acme\"\ntitle = \"Acme\"\nhelp = \"Leads.\"\n[poll]\npath = \"/x\"\nrecord = \"x\"\nrecrods = \"x\"\n",
        );
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("6: "), "{told:?}");
        let told = problems("name = \"acme\"\ntitle = \"Acme\"\nhelp = \"Leads.\"\nhossts = []\n");
        assert!(told[0].starts_with("4: unknown field `hossts`"), "{told:?}");
        assert!(told[0].ends_with("; did you mean `hosts`?"), "{told:?}");
    }

    #[test]
    fn a_list_may_begin_days_ago_and_be_narrowed_by_an_option() {
        let manifest = |since: &str, only: &str| {
            format!(
                r#"name = "acme"
title = "Acme"
help = "Leads."
base_url = "https://api.acme.example"
hosts = ["api.acme.example"]
options = {{ ids = {{ type = "list", help = "the events" }} }}

[poll]
path = "/events/{{event}}"
records = "people"
each = {{ path = "/events", query = {{ since = "{{{since}}}" }}, records = "events", only = "{only}", as = {{ event = "id" }} }}

[record]
id = "id"
"#
            )
        };
        let file = Path::new("acme/manifest.toml");
        assert!(parse(&manifest("now-30d", "ids"), "acme", file).is_ok());
        let told = problems(&manifest("now-30x", "id"));
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(
            told[0].starts_with("11: there is no option `id`"),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("11: nothing is called `{now-30x}`"),
            "{told:?}"
        );
    }

    #[test]
    fn parts_that_do_not_fit_are_all_told_at_their_places() {
        let told = problems(
            r#"name = "acme"
title = "Acme"
help = "Leads."
base_url = "http://api.acme.example"
hosts = ["api.acme.example"]

[options]
form_id = { type = "text", help = "the form" }

[poll]
path = "/forms/{form}/leads"
records = "items[?"

[poll.paging]
style = "token"
query = "after"

[record]
id = "id"
skip_when = [{ from = "kind" }]
"#,
        );
        let expected = [
            "4: this is no https address on one of `hosts`; write `https://…`, and list its host",
            "11: nothing is called `{form}`; did you mean `{form_id}`?",
            "12: `items[?` is no path",
            "14: where the next page comes from is not clear; this style needs `from` or `header`, and `query` or `body`",
            "20: this tests nothing; add `equals`, `not`, `one_of`, `starts_with`, `contains`, `present` or `above`",
            "20: `reason` is missing; say why in plain words: people read it on timelines",
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
    }
}
