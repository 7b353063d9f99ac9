//! Search by words: SOSL and parameterized search, as far as integrations use them.
//!
//! A record is found if all words, or the whole text, stand in one of its fields. Unlike in an
//! org, what was written is found at once.

use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call, Outcome};
use super::rows::{find_fields, record_json};
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;
use crate::sandbox::org::{Org, Row};
use crate::sandbox::schema::{Field, FieldIx, Kind, ObjectIx};

/// The most records that a search finds.
const MAX_FOUND: usize = 2_000;

/// In which fields is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Email,
    Name,
    Phone,
}

impl Scope {
    fn read(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "ALL" | "SIDEBAR" => Self::All,
            "EMAIL" => Self::Email,
            "NAME" => Self::Name,
            "PHONE" => Self::Phone,
            _ => return None,
        })
    }

    fn has(self, field: &Field) -> bool {
        match self {
            Self::All => field.kind.length() > 0 && !matches!(field.kind, Kind::Reference { .. }),
            Self::Email => field.kind == Kind::Email,
            Self::Name => field.compound == Some("Name") || field.name == "Name",
            Self::Phone => field.kind == Kind::Phone,
        }
    }
}

/// What is returned of an object.
struct Target {
    object: ObjectIx,
    fields: Vec<FieldIx>,
    limit: usize,
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::plain("MALFORMED_SEARCH", message)
}

/// `GET /search?q=FIND {…} IN EMAIL FIELDS RETURNING Lead(Id)`
pub(super) fn by_sosl(state: &State, call: &Call<'_>) -> Outcome {
    let sosl = call
        .parameter("q")
        .ok_or_else(|| malformed("A search string has to be specified"))?;
    let rest = take_word(sosl, "FIND").ok_or_else(|| malformed("expecting FIND"))?;
    let (text, mut rest) = braces(rest)?;
    let mut scope = Scope::All;
    if let Some(after) = take_word(rest, "IN") {
        let (name, after) = word(after);
        scope = Scope::read(name).ok_or_else(|| malformed(format!("unexpected token: {name}")))?;
        rest = take_word(after, "FIELDS").ok_or_else(|| malformed("expecting FIELDS"))?;
    }
    let mut targets = Vec::new();
    if let Some(mut after) = take_word(rest, "RETURNING") {
        loop {
            let (target, then) = returning(&state.org, after)?;
            targets.push(target);
            let Some(next) = then.trim_start().strip_prefix(',') else {
                rest = then;
                break;
            };
            after = next;
        }
    } else {
        targets = everything(&state.org);
    }
    let mut limit = MAX_FOUND;
    if let Some(after) = take_word(rest, "LIMIT") {
        let (count, after) = word(after);
        limit = count.parse().map_err(|_| malformed("LIMIT is no number"))?;
        rest = after;
    }
    if !rest.trim().is_empty() {
        return Err(malformed(format!("unexpected token: {}", rest.trim())).into());
    }
    run(state, call, &text, scope, &targets, limit)
}

/// `Lead(Id, Email LIMIT 5)`, and what follows it.
fn returning<'s>(org: &Org, sosl: &'s str) -> Result<(Target, &'s str), Refusal> {
    let (name, rest) = word(sosl);
    let object = org
        .schema
        .find(name)
        .ok_or_else(|| malformed(format!("sObject type '{name}' is not supported.")))?;
    let Some(inner) = rest.trim_start().strip_prefix('(') else {
        let target = target(org, object, "Id", MAX_FOUND)?;
        return Ok((target, rest));
    };
    let (inner, rest) = inner
        .split_once(')')
        .ok_or_else(|| malformed("expecting a right parentheses"))?;
    let words: Vec<&str> = inner.split_whitespace().collect();
    let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    if upper
        .iter()
        .any(|word| ["WHERE", "ORDER", "USING"].contains(&word.as_str()))
    {
        return Err(malformed(
            "the sandbox does not know conditions in RETURNING",
        ));
    }
    match upper.iter().position(|word| word == "LIMIT") {
        Some(at) => {
            let count = words.get(at + 1).and_then(|count| count.parse().ok());
            let limit = count.ok_or_else(|| malformed("LIMIT is no number"))?;
            Ok((target(org, object, &words[..at].join(" "), limit)?, rest))
        }
        None => Ok((target(org, object, inner, MAX_FOUND)?, rest)),
    }
}

fn target(org: &Org, object: ObjectIx, fields: &str, limit: usize) -> Result<Target, Refusal> {
    Ok(Target {
        object,
        fields: find_fields(org, object, fields.split(','))?,
        limit,
    })
}

/// The ids of records of every kind that people work with.
fn everything(org: &Org) -> Vec<Target> {
    let objects = org.schema.objects.iter().enumerate();
    objects
        .filter(|(_, object)| object.writable)
        .filter_map(|(object, known)| {
            Some(Target {
                object,
                fields: vec![known.field("Id")?],
                limit: MAX_FOUND,
            })
        })
        .collect()
}

/// `GET /parameterizedSearch?q=…&sobject=Lead&fields=Id` and the same by POST.
pub(super) fn by_parameters(state: &State, call: &Call<'_>) -> Outcome {
    let empty = Map::new();
    let body = if call.body.is_some() {
        call.object()?
    } else {
        &empty
    };
    let text = |name: &str| {
        let by_body = body.get(name).and_then(Json::as_str);
        by_body.or_else(|| call.parameter(name))
    };
    let number = |name: &str| {
        let by_body = body.get(name).and_then(Json::as_u64);
        by_body.or_else(|| call.parameter(name)?.parse().ok())
    };
    let wanted = text("q").ok_or_else(|| malformed("q is required"))?;
    let scope = text("in").unwrap_or("ALL");
    let scope = Scope::read(scope).ok_or_else(|| malformed(format!("in: {scope}")))?;
    let names = |list: Option<&Json>| -> Option<String> {
        let list = list?.as_array()?.iter().filter_map(Json::as_str);
        Some(list.collect::<Vec<_>>().join(","))
    };
    let common = names(body.get("fields")).or_else(|| call.parameter("fields").map(str::to_owned));
    let common = common.unwrap_or_else(|| "Id".to_owned());
    let find = |name: &str| {
        let message = format!("sObject type '{name}' is not supported.");
        state
            .org
            .schema
            .find(name)
            .ok_or_else(|| malformed(message))
    };
    let mut targets = Vec::new();
    if let Some(list) = body.get("sobjects").and_then(Json::as_array) {
        for entry in list {
            let name = entry.get("name").and_then(Json::as_str).unwrap_or_default();
            let fields = names(entry.get("fields")).unwrap_or_else(|| common.clone());
            let limit = entry.get("limit").and_then(Json::as_u64);
            let limit = limit.map_or(MAX_FOUND, |limit| limit as usize);
            targets.push(target(&state.org, find(name)?, &fields, limit)?);
        }
    } else if let Some(list) = call.parameter("sobject") {
        for name in list.split(',') {
            let own = call.parameter(&format!("{name}.fields"));
            let fields = own.unwrap_or(&common);
            targets.push(target(&state.org, find(name)?, fields, MAX_FOUND)?);
        }
    } else {
        targets = everything(&state.org);
    }
    let limit = number("overallLimit").map_or(MAX_FOUND, |limit| limit as usize);
    run(state, call, wanted, scope, &targets, limit)
}

fn run(
    state: &State,
    call: &Call<'_>,
    text: &str,
    scope: Scope,
    targets: &[Target],
    limit: usize,
) -> Outcome {
    if text.trim().chars().count() < 2 {
        return Err(
            malformed("search term must be longer than one character: ".to_owned() + text).into(),
        );
    }
    let org = &state.org;
    let mut found = Vec::new();
    for target in targets {
        let known = org.object(target.object);
        let searched: Vec<FieldIx> = known
            .shown_fields()
            .filter(|(_, field)| scope.has(field))
            .map(|(ix, _)| ix)
            .collect();
        let rows = org
            .table(target.object)
            .rows()
            .iter()
            .filter(|row| !row.deleted);
        let fits = |row: &&Row| {
            let values = searched
                .iter()
                .filter_map(|ix| org.read(target.object, row, *ix));
            let mut texts = values.filter_map(|value| value.as_text().map(str::to_owned));
            texts.any(|value| matches(&value, text, scope))
        };
        let records = rows.filter(fits).take(target.limit);
        found.extend(
            records.map(|row| record_json(org, target.object, row, &target.fields, call.version)),
        );
    }
    found.truncate(limit.min(MAX_FOUND));
    Ok(Answer::ok(json!({ "searchRecords": found })))
}

/// Whether all words of `text` stand in a value; `*` at the end of a word takes the rest of it.
fn matches(value: &str, text: &str, scope: Scope) -> bool {
    let value = value.to_lowercase();
    let text = text.trim().trim_matches('"').to_lowercase();
    if scope == Scope::Phone {
        let digits = |text: &str| {
            text.chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
        };
        return digits(&value) == digits(&text);
    }
    if value == text {
        return true;
    }
    let is_part = |character: char| !character.is_alphanumeric();
    let tokens: Vec<&str> = value
        .split(is_part)
        .chain(value.split_whitespace())
        .filter(|token| !token.is_empty())
        .collect();
    // A word with a hyphen or a full stop in it is cut as the value is.
    let words = text.split(|c| is_part(c) && c != '*');
    let mut words = words.filter(|word| !word.is_empty());
    words.all(|word| match word.strip_suffix('*') {
        Some(start) => tokens.iter().any(|token| token.starts_with(start)),
        None => tokens.contains(&word),
    })
}

/// What stands in `{…}`, without its escapes, and what follows.
fn braces(sosl: &str) -> Result<(String, &str), Refusal> {
    let inner = sosl
        .trim_start()
        .strip_prefix('{')
        .ok_or_else(|| malformed("expecting a left brace"))?;
    let mut text = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            '}' => return Ok((text, &inner[at + 1..])),
            other => text.push(other),
        }
    }
    Err(malformed("expecting a right brace"))
}

/// The next name, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    text.split_at(end.unwrap_or(text.len()))
}

/// What follows this keyword, if it is next.
fn take_word<'s>(text: &'s str, keyword: &str) -> Option<&'s str> {
    let (found, rest) = word(text);
    found.eq_ignore_ascii_case(keyword).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_order_and_phones_by_their_digits() {
        for (value, text, scope, expected) in [
            (
                "jane-d@acme.example",
                "JANE-D@acme.example",
                Scope::Email,
                true,
            ),
            ("jane-d@acme.example", "acme", Scope::Email, true),
            ("jane-d@acme.example", "acm", Scope::Email, false),
            ("jane-d@acme.example", "acm*", Scope::Email, true),
            ("jane-d@acme.example", "d@acme", Scope::Email, true),
            ("Jane van Doe", "doe jane", Scope::Name, true),
            ("Jane van Doe", "doe john", Scope::Name, false),
            ("+1 (555) 010-0199", "15550100199", Scope::Phone, true),
        ] {
            assert_eq!(matches(value, text, scope), expected, "{text} in {value}");
        }
    }

    #[test]
    fn escapes_in_braces_are_undone() {
        let (text, rest) = braces(r" {jane\-d\}} IN").unwrap();
        assert_eq!((text.as_str(), rest), ("jane-d}", " IN"));
        assert!(braces("{jane").is_err());
    }
}
