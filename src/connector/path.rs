use std::fmt;

use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value;

/// The longest path that is read.
const MOST_BYTES: usize = 1_000;

/// Where values are in a JSON document: RFC 9535 JSONPath with the leading `$.` left out.
///
/// Plain paths (`a.b[0].c`, `items[*]`) are walked by our own code, and their members may be of any
/// characters but `.`, `[` and `]`; those stand in `['…']`.
#[derive(Debug, Clone)]
pub struct Path {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Plain(Vec<Step>),
    Query(Box<JpQuery>),
}

/// A step of a plain path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The member of that name.
    Member(String),
    /// The item at that place, from 0.
    Index(usize),
    /// All items or members.
    Each,
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// What is wrong.
    pub message: String,
}

impl Path {
    /// Reads a path. Blank or `$` is the document itself.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > MOST_BYTES {
            return Err(PathError {
                message: format!("a path has at most {MOST_BYTES} bytes"),
            });
        }
        let bare = text
            .strip_prefix("$.")
            .or_else(|| text.strip_prefix('$'))
            .unwrap_or(text);
        let kind = match plain(bare) {
            Some(steps) => Kind::Plain(steps),
            None => Kind::Query(Box::new(query(text, bare)?)),
        };
        Ok(Self {
            text: text.to_owned(),
            kind,
        })
    }

    /// Its steps, if it is a plain path.
    pub fn steps(&self) -> Option<&[Step]> {
        match &self.kind {
            Kind::Plain(steps) => Some(steps),
            Kind::Query(_) => None,
        }
    }

    /// All values there, in their order.
    pub fn all<'v>(&self, document: &'v Value) -> Vec<&'v Value> {
        match &self.kind {
            Kind::Plain(steps) => {
                let mut found = Vec::new();
                walk(document, steps, &mut found);
                found
            }
            // An expression that is no path has been refused when it was read.
            Kind::Query(query) => js_path_process(query, document)
                .unwrap_or_default()
                .into_iter()
                .map(jsonpath_rust::query::QueryRef::val)
                .collect(),
        }
    }

    /// The first value there.
    pub fn first<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        match &self.kind {
            Kind::Plain(steps) => first(document, steps),
            Kind::Query(_) => self.all(document).into_iter().next(),
        }
    }
}

/// As it was written.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn first<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value);
    };
    match (step, value) {
        (Step::Member(name), Value::Object(members)) => first(members.get(name)?, rest),
        (Step::Index(index), Value::Array(items)) => first(items.get(*index)?, rest),
        (Step::Each, Value::Array(items)) => items.iter().find_map(|item| first(item, rest)),
        (Step::Each, Value::Object(members)) => members.values().find_map(|item| first(item, rest)),
        _ => None,
    }
}

fn walk<'v>(value: &'v Value, steps: &[Step], found: &mut Vec<&'v Value>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Member(name), Value::Object(members)) => {
            if let Some(member) = members.get(name) {
                walk(member, rest, found);
            }
        }
        (Step::Index(index), Value::Array(items)) => {
            if let Some(item) = items.get(*index) {
                walk(item, rest, found);
            }
        }
        (Step::Each, Value::Array(items)) => {
            for item in items {
                walk(item, rest, found);
            }
        }
        (Step::Each, Value::Object(members)) => {
            for member in members.values() {
                walk(member, rest, found);
            }
        }
        _ => {}
    }
}

/// The steps of a plain path; none if it is more than that.
fn plain(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = bracket(inner)?;
            steps.push(step);
            rest = after;
            if let Some(after) = rest.strip_prefix('.') {
                if after.is_empty() {
                    return None;
                }
                rest = after;
            }
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() || name.contains(']') {
            return None;
        }
        steps.push(if name == "*" {
            Step::Each
        } else {
            Step::Member(name.to_owned())
        });
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('.') {
            // `a.`, `a..b` and `a.[b]` are no plain paths.
            if after.is_empty() || after.starts_with(['.', '[']) {
                return None;
            }
            rest = after;
        }
    }
    Some(steps)
}

fn bracket(inner: &str) -> Option<(Step, &str)> {
    if let Some(quoted) = inner.strip_prefix('\'') {
        let (name, after) = quoted.split_once("']")?;
        if name.contains(['\'', '\\']) {
            return None;
        }
        return Some((Step::Member(name.to_owned()), after));
    }
    let (content, after) = inner.split_once(']')?;
    let step = match content {
        "*" => Step::Each,
        digits if digits.len() <= 6 => Step::Index(digits.parse().ok()?),
        _ => return None,
    };
    Some((step, after))
}

fn query(text: &str, bare: &str) -> Result<JpQuery, PathError> {
    let whole = match text.strip_prefix('$') {
        Some(_) => text.to_owned(),
        None if bare.starts_with(['[', '.']) => format!("${bare}"),
        None => format!("$.{bare}"),
    };
    parse_json_path(&whole).map_err(|error| {
        // Its own message draws the text over several lines.
        let shown = error.to_string();
        let reason = shown.lines().map(str::trim).rfind(|line| !line.is_empty());
        PathError {
            message: format!(
                "`{text}` is no path: {}",
                reason
                    .unwrap_or("it cannot be read")
                    .trim_start_matches("= ")
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, expect: &[Value]) {
        let document = json!({
            "a": { "b": [{ "c": 1 }, { "c": 2 }, { "d": 3 }] },
            "answers": [
                { "type": "text", "text": "x" },
                { "type": "email", "email": "a@b.example" }
            ],
            "id": 9_007_199_254_740_993_i64,
            "¿qué?": "sí",
            "x.y": true
        });
        let path = Path::parse(path).unwrap();
        let found: Vec<Value> = path.all(&document).into_iter().cloned().collect();
        assert_eq!(found, expect, "{path}");
        assert_eq!(path.first(&document), expect.first(), "{path}");
    }

    #[test]
    fn plain_paths_are_walked() {
        check("a.b[*].c", &[json!(1), json!(2)]);
        check("$.a.b[1].c", &[json!(2)]);
        check("a.b[0]", &[json!({ "c": 1 })]);
        check("id", &[json!(9_007_199_254_740_993_i64)]);
        check("¿qué?", &[json!("sí")]);
        check("['¿qué?']", &[json!("sí")]);
        check("['x.y']", &[json!(true)]);
        check("a.none.c", &[]);
        check("a.b[9]", &[]);
    }

    #[test]
    fn what_is_more_goes_by_rfc_9535() {
        check("answers[?@.type == 'email'].email", &[json!("a@b.example")]);
        check("a..c", &[json!(1), json!(2)]);
        check("a.b[-1].d", &[json!(3)]);
    }

    #[test]
    fn the_document_itself_is_a_path() {
        let document = json!([1]);
        for path in ["", "$"] {
            assert_eq!(Path::parse(path).unwrap().all(&document), [&document]);
        }
        assert_eq!(
            Path::parse("[*]").unwrap().all(&document),
            [&json!(1)],
            "an array"
        );
    }

    #[test]
    fn a_text_that_is_no_path_is_refused_in_one_line() {
        for text in ["a[", "a.b[?@.x ==]", "a]", "a..", &"a".repeat(1_001)] {
            let error = Path::parse(text).unwrap_err();
            assert!(!error.message.contains('\n'), "{error}");
        }
    }
}
