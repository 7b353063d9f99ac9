//! Values and tests of a manifest, made ready: paths parsed once, then asked of each record.

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifest::{Condition, Of, Scalar, Take, TextPart, encode_url};
use super::path::{Path, PathError};

/// Lists of keys and values that a record holds, by the pivot's name.
pub type Pivots = BTreeMap<String, BTreeMap<String, String>>;

/// What paths may start at.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The record.
    pub record: &'a Value,
    /// The record that it was split off.
    pub parent: Option<&'a Value>,
    /// The body of a webhook.
    pub body: Option<&'a Value>,
    /// The answer to a poll or fetch.
    pub page: Option<&'a Value>,
    /// Headers, by lower-case names.
    pub headers: Option<&'a BTreeMap<String, String>>,
    /// What was read elsewhere: lookups and bound names.
    pub context: Option<&'a Value>,
    /// The record's own lists of keys and values.
    pub pivots: Option<&'a Pivots>,
}

impl<'a> Scope<'a> {
    /// A record by itself.
    pub fn record(record: &'a Value) -> Self {
        Self {
            record,
            parent: None,
            body: None,
            page: None,
            headers: None,
            context: None,
            pivots: None,
        }
    }

    fn texts(&self, of: Of, path: &Path) -> Vec<String> {
        let root = match of {
            Of::Record => {
                if let Some(value) = self.pivoted(path) {
                    return vec![value.to_owned()];
                }
                Some(self.record)
            }
            Of::Parent => self.parent,
            Of::Body => self.body,
            Of::Page => self.page,
            Of::Context => self.context,
            Of::Header => {
                let name = path.to_string().to_ascii_lowercase();
                let value = self.headers.and_then(|headers| headers.get(&name));
                return value.into_iter().cloned().collect();
            }
        };
        let mut texts = Vec::new();
        for value in root.into_iter().flat_map(|root| path.all(root)) {
            add_texts(value, &mut texts);
        }
        texts
    }

    /// The value at `<pivot>.<key>`; a key is whatever follows, dots and all.
    fn pivoted(&self, path: &Path) -> Option<&'a str> {
        let pivots = self.pivots?;
        let text = path.to_string();
        let (name, key) = text.split_once('.')?;
        let entries = pivots.get(name)?;
        let exact = entries.get(key);
        let found = exact.or_else(|| {
            let folded = fold(key);
            let mut entries = entries.iter();
            entries.find_map(|(known, value)| (fold(known) == folded).then_some(value))
        });
        found.map(String::as_str)
    }
}

fn fold(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// A value as text; of an array its items', none of what is blank or an object.
pub fn add_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Null | Value::Object(_) => {}
        Value::String(text) if text.trim().is_empty() => {}
        Value::String(text) => texts.push(text.clone()),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Bool(truth) => texts.push(truth.to_string()),
        Value::Array(items) => {
            for item in items {
                add_texts(item, texts);
            }
        }
    }
}

/// A [`Take`], made ready.
#[derive(Debug, Clone)]
pub struct Taker {
    paths: Vec<Path>,
    of: Of,
    fixed: Option<String>,
    values: BTreeMap<String, String>,
    part: Option<TextPart>,
    pattern: Option<String>,
    join: String,
}

impl Taker {
    /// Parses its paths. A fixed value is used as it is written: options in it must have been put in.
    pub fn new(take: &Take) -> Result<Self, PathError> {
        let paths = take.from.iter().map(|path| Path::parse(path));
        Ok(Self {
            paths: paths.collect::<Result<_, _>>()?,
            of: take.of,
            fixed: take.value.as_ref().map(ToString::to_string),
            values: take.values.clone(),
            part: take.part,
            pattern: take.pattern.clone(),
            join: take.join.clone().unwrap_or_else(|| ";".to_owned()),
        })
    }

    /// The value, if there is one that is not blank.
    pub fn text(&self, scope: &Scope<'_>) -> Option<String> {
        let found = self.paths.iter().find_map(|path| self.at(path, scope));
        found.or_else(|| self.fixed.clone())
    }

    /// The value at one of its paths, as the rest of it says.
    fn at(&self, path: &Path, scope: &Scope<'_>) -> Option<String> {
        let mut texts = Vec::new();
        for text in scope.texts(self.of, path) {
            let text = match self.part {
                Some(part) => part_of(&text, part),
                None => text,
            };
            let known = self.values.get(text.trim()).cloned();
            let text = known.unwrap_or(text);
            if !text.trim().is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        if let Some(pattern) = &self.pattern {
            texts.retain(|text| bind(pattern, text).is_some());
        }
        (!texts.is_empty()).then(|| texts.join(&self.join))
    }

    /// What it binds `name` to: the names in its pattern, or `name` itself; nothing if there is no
    /// value.
    pub fn bindings(&self, name: &str, scope: &Scope<'_>) -> Option<BTreeMap<String, String>> {
        let text = self.text(scope)?;
        match &self.pattern {
            Some(pattern) => bind(pattern, &text),
            None => Some(BTreeMap::from([(name.to_owned(), text)])),
        }
    }
}

fn part_of(text: &str, part: TextPart) -> String {
    let after = |mark: char| text.rsplit(mark).next().unwrap_or_default().to_owned();
    match part {
        TextPart::AfterLastSlash => {
            let bare = text.trim_end_matches('/');
            bare.rsplit('/').next().unwrap_or_default().to_owned()
        }
        TextPart::AfterLastColon => after(':'),
        TextPart::AfterLastDash => after('-'),
        TextPart::Lower => text.to_lowercase(),
        TextPart::Digits => text.chars().filter(char::is_ascii_digit).collect(),
        TextPart::SlashesEscaped if text.starts_with('/') || text.contains("//") => {
            encode_url(text)
        }
        TextPart::SlashesEscaped => text.to_owned(),
    }
}

/// What the names in `pattern` stand for in `text`, if the whole of it is so: each for letters,
/// digits, `_` and `-`. Of a web address only the path is looked at, whatever its host: who builds
/// a request of it goes to a host of their own.
fn bind(pattern: &str, text: &str) -> Option<BTreeMap<String, String>> {
    let path = match text.split_once("://") {
        Some((_, rest)) => {
            let path = &rest[rest.find('/')?..];
            path.split(['?', '#']).next().unwrap_or_default()
        }
        None => text,
    };
    let mut bound = BTreeMap::new();
    let (mut pattern, mut rest) = (pattern, path);
    while let Some(open) = pattern.find('{') {
        rest = rest.strip_prefix(&pattern[..open])?;
        let close = pattern[open..].find('}')? + open;
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(rest.len());
        if length == 0 {
            return None;
        }
        bound.insert(
            pattern[open + 1..close].to_owned(),
            rest[..length].to_owned(),
        );
        rest = &rest[length..];
        pattern = &pattern[close + 1..];
    }
    (rest == pattern).then_some(bound)
}

/// A [`Condition`], made ready.
#[derive(Debug, Clone)]
pub struct Test {
    paths: Vec<Path>,
    condition: Condition,
}

impl Test {
    /// Parses its paths.
    pub fn new(condition: &Condition) -> Result<Self, PathError> {
        let paths = condition.from.0.iter().map(|path| Path::parse(path));
        Ok(Self {
            paths: paths.collect::<Result<_, _>>()?,
            condition: condition.clone(),
        })
    }

    /// Why, in plain words.
    pub fn reason(&self) -> &str {
        &self.condition.reason
    }

    /// Whether it holds.
    pub fn holds(&self, scope: &Scope<'_>) -> bool {
        let Condition {
            of,
            equals,
            not,
            one_of,
            starts_with,
            contains,
            present,
            above,
            ..
        } = &self.condition;
        let texts: Vec<String> = self
            .paths
            .iter()
            .flat_map(|path| scope.texts(*of, path))
            .collect();
        let any = |test: &dyn Fn(&str) -> bool| texts.iter().any(|text| test(text));
        let is = |text: &str, scalar: &Scalar| text.trim() == scalar.0;
        present.is_none_or(|present| present != texts.is_empty())
            && equals
                .as_ref()
                .is_none_or(|scalar| any(&|text| is(text, scalar)))
            && not
                .as_ref()
                .is_none_or(|scalar| !any(&|text| is(text, scalar)))
            && (one_of.is_empty() || any(&|text| one_of.iter().any(|scalar| is(text, scalar))))
            && starts_with.as_ref().is_none_or(|start| {
                any(&|text| {
                    text.trim()
                        .to_lowercase()
                        .starts_with(&start.to_lowercase())
                })
            })
            && contains
                .as_ref()
                .is_none_or(|part| any(&|text| text.to_lowercase().contains(&part.to_lowercase())))
            && above.is_none_or(|least| {
                any(&|text| {
                    text.trim()
                        .parse::<f64>()
                        .is_ok_and(|number| number > least)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(toml: &str) -> Taker {
        #[derive(serde::Deserialize)]
        struct Holder {
            x: Take,
        }
        let holder: Holder = toml::from_str(&format!("x = {toml}")).unwrap();
        Taker::new(&holder.x).unwrap()
    }

    fn condition(toml: &str) -> Test {
        #[derive(serde::Deserialize)]
        struct Holder {
            x: Condition,
        }
        let holder: Holder = toml::from_str(&format!("x = {toml}")).unwrap();
        Test::new(&holder.x).unwrap()
    }

    fn record() -> Value {
        json!({
            "email": " ",
            "work_email": "a@b.example",
            "id": 9_007_199_254_740_995_i64,
            "plan": "b",
            "tags": ["x", "", "y", "x"],
            "owner": { "account": "urn:li:sponsoredAccount:77" },
            "uri": "https://api.example/scheduled_events/EV-1/invitees/IN_2",
            "ok": true,
            "n": 12.5,
            "uuid": "/nAb//x1=="
        })
    }

    #[test]
    fn the_first_path_that_holds_something_counts() {
        let record = record();
        let scope = Scope::record(&record);
        for (toml, expect) in [
            (r#"["email", "work_email"]"#, Some("a@b.example")),
            (r#""id""#, Some("9007199254740995")),
            (r#"{ from = "plan", values = { b = "Pro" } }"#, Some("Pro")),
            (r#""tags""#, Some("x;y")),
            (r#"{ from = "tags", join = ", " }"#, Some("x, y")),
            (
                r#"{ from = "owner.account", part = "after_last_colon" }"#,
                Some("77"),
            ),
            (
                r#"{ from = "uuid", part = "slashes_escaped" }"#,
                Some("%2FnAb%2F%2Fx1%3D%3D"),
            ),
            (r#"{ from = "plan", part = "slashes_escaped" }"#, Some("b")),
            (r#"{ from = "none", value = "Web" }"#, Some("Web")),
            (r#"{ value = "Web" }"#, Some("Web")),
            (r#""none""#, None),
            (r#""owner""#, None),
            (r#""ok""#, Some("true")),
        ] {
            assert_eq!(take(toml).text(&scope).as_deref(), expect, "{toml}");
        }
    }

    #[test]
    fn a_pattern_binds_names_of_a_path_and_never_a_host() {
        let record = record();
        let scope = Scope::record(&record);
        let bound = |toml: &str| take(toml).bindings("it", &scope);
        let whole =
            bound(r#"{ from = "uri", pattern = "/scheduled_events/{event}/invitees/{invitee}" }"#);
        assert_eq!(
            whole,
            Some(BTreeMap::from([
                ("event".to_owned(), "EV-1".to_owned()),
                ("invitee".to_owned(), "IN_2".to_owned())
            ]))
        );
        assert_eq!(
            bound(r#"{ from = "uri", pattern = "/scheduled_events/{event}/" }"#),
            None
        );
        assert_eq!(
            bound(r#"{ from = "plan" }"#),
            Some(BTreeMap::from([("it".to_owned(), "b".to_owned())]))
        );
    }

    #[test]
    fn conditions_test_what_is_there() {
        let record = record();
        let scope = Scope::record(&record);
        for (toml, expect) in [
            (r#"{ from = "ok", equals = true }"#, true),
            (r#"{ from = "plan", not = "a" }"#, true),
            (r#"{ from = "plan", not = "b" }"#, false),
            (r#"{ from = "none", not = "b" }"#, true),
            (r#"{ from = "plan", one_of = ["a", "b"] }"#, true),
            (r#"{ from = "id", equals = 9007199254740995 }"#, true),
            (r#"{ from = "email", present = true }"#, false),
            (r#"{ from = "email", present = false }"#, true),
            (r#"{ from = "work_email", starts_with = "A@" }"#, true),
            (r#"{ from = "work_email", contains = "B.Ex" }"#, true),
            (r#"{ from = "n", above = 12 }"#, true),
            (r#"{ from = "n", above = 12.5 }"#, false),
            (r#"{ from = ["none", "tags"], equals = "y" }"#, true),
        ] {
            assert_eq!(condition(toml).holds(&scope), expect, "{toml}");
        }
    }

    #[test]
    fn pivots_headers_and_context_can_be_asked() {
        let record = record();
        let pivots = Pivots::from([(
            "answer".to_owned(),
            BTreeMap::from([("Your budget?".to_owned(), "10k".to_owned())]),
        )]);
        let headers = BTreeMap::from([("x-delivery".to_owned(), "77".to_owned())]);
        let context = json!({ "form": "F1" });
        let scope = Scope {
            pivots: Some(&pivots),
            headers: Some(&headers),
            context: Some(&context),
            ..Scope::record(&record)
        };
        for (toml, expect) in [
            (r#""answer.Your budget?""#, "10k"),
            (r#""answer.your_budget""#, "10k"),
            (r#"{ from = "X-Delivery", of = "header" }"#, "77"),
            (r#"{ from = "form", of = "context" }"#, "F1"),
        ] {
            assert_eq!(take(toml).text(&scope).as_deref(), Some(expect), "{toml}");
        }
    }
}
