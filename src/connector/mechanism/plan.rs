//! A manifest's polls for one source, made ready: paths parsed, options looked at, once.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::cursor::Rules;
use crate::connector::ManifestSource;
use crate::connector::manifest::{Each, Lookup, Of, OneOrMany, Paging, PagingStyle, Poll, Take};
use crate::connector::records::Page;
use crate::connector::select::{Scope, Taker, Test, add_texts};
use crate::connector::time;
use crate::connector::{Path, PathError, Step};
use crate::model::Millis;

/// What is polled of one source.
#[derive(Debug)]
pub struct Plan {
    /// Its lists.
    pub streams: Vec<Stream>,
    /// Small tables that are kept with records.
    pub lookups: BTreeMap<String, LookupPlan>,
    /// How far a first walk goes back, if the source says.
    pub start: Option<Millis>,
}

/// One `[[poll]]`.
#[derive(Debug)]
pub struct Stream {
    /// The manifest's words.
    pub poll: Poll,
    /// How far it has been read.
    pub rules: Rules,
    /// From page to page.
    pub paging: PagingPlan,
    /// What it is repeated for.
    pub each: Option<EachPlan>,
}

/// What it is repeated for.
#[derive(Debug)]
pub struct EachPlan {
    /// The manifest's words.
    pub each: Each,
    /// Where the items are in an answer.
    pub records: Path,
    /// The names that an item binds.
    pub bind: Vec<(String, Taker)>,
    /// What tells whether an item has changed.
    pub changed_by: Vec<Path>,
    /// Items that are left out.
    pub skip_when: Vec<Test>,
    /// From page to page.
    pub paging: PagingPlan,
}

/// A small table.
#[derive(Debug)]
pub struct LookupPlan {
    /// The manifest's words.
    pub lookup: Lookup,
    /// Where its entries are.
    pub list: Vec<Path>,
    /// Their keys.
    pub key: Taker,
    /// Their values.
    pub value: Taker,
    /// From page to page.
    pub paging: PagingPlan,
}

/// From page to page, and what an answer says of it.
#[derive(Debug)]
pub struct PagingPlan {
    /// The manifest's words.
    pub paging: Paging,
    from: Option<Path>,
    total: Option<Path>,
    more: Option<Test>,
}

/// What an answer says of the pages after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// The token or address of the next one.
    pub next: Option<String>,
    /// Whether there is one.
    pub more: Option<bool>,
    /// How many records there are in all.
    pub total: Option<u64>,
}

impl Plan {
    /// The polls of a source whose options let them run.
    pub fn new(source: &ManifestSource) -> Result<Self, PathError> {
        let manifest = &source.manifest;
        let zone = source.common.timezone.as_deref();
        let streams = manifest
            .poll
            .iter()
            .filter(|poll| {
                let when = poll.when.as_deref();
                when.is_none_or(|option| source.options.is_set(option))
            })
            .map(|poll| Stream::new(poll, source));
        let lookups = manifest
            .lookup
            .iter()
            .map(|(name, lookup)| Ok((name.clone(), LookupPlan::new(lookup)?)));
        let start = source.common.start_date.as_deref();
        Ok(Self {
            streams: streams.collect::<Result<_, _>>()?,
            lookups: lookups.collect::<Result<_, _>>()?,
            start: start.and_then(|date| time::parse(date, None, &time::zone(zone))),
        })
    }
}

impl Stream {
    fn new(poll: &Poll, source: &ManifestSource) -> Result<Self, PathError> {
        let zone = poll.cursor.as_ref().and_then(|cursor| cursor.zone.as_ref());
        // A zone is no secret, so that reading it cannot fail.
        let zone = zone.and_then(|option| source.options.text(option).ok().flatten());
        Ok(Self {
            poll: poll.clone(),
            rules: Rules::new(poll.cursor.as_ref(), time::zone(zone.as_deref())),
            paging: PagingPlan::new(&poll.paging)?,
            each: poll.each.as_ref().map(EachPlan::new).transpose()?,
        })
    }

    /// Its name, part of its cursors' keys.
    pub fn name(&self) -> &str {
        &self.poll.name
    }
}

impl EachPlan {
    /// Parses its paths.
    pub fn new(each: &Each) -> Result<Self, PathError> {
        let bind = each
            .bind
            .iter()
            .map(|(name, take)| Ok((name.clone(), Taker::new(take)?)));
        Ok(Self {
            each: each.clone(),
            records: Path::parse(each.records.as_deref().unwrap_or_default())?,
            bind: bind.collect::<Result<_, _>>()?,
            changed_by: paths(&each.changed_by)?,
            skip_when: each
                .skip_when
                .iter()
                .map(Test::new)
                .collect::<Result<_, _>>()?,
            paging: PagingPlan::new(&each.paging)?,
        })
    }

    /// The items in an answer.
    pub fn items<'v>(&self, page: &'v Value) -> Vec<&'v Value> {
        flat(self.records.all(page))
    }

    /// The names that an item of an answer binds; none if it is left out.
    pub fn bound(&self, item: &Value) -> Option<BTreeMap<String, String>> {
        let scope = Scope::record(item);
        if self.skip_when.iter().any(|test| test.holds(&scope)) {
            return None;
        }
        let mut bound = BTreeMap::new();
        for (name, taker) in &self.bind {
            bound.extend(taker.bindings(name, &scope).unwrap_or_default());
        }
        Some(bound)
    }

    /// The name that a value of the option's list binds.
    pub fn bound_to(&self, value: &str) -> BTreeMap<String, String> {
        let name = self.bind.first().map(|(name, _)| name.clone());
        name.into_iter()
            .map(|name| (name, value.to_owned()))
            .collect()
    }

    /// The value that tells items apart.
    pub fn key<'b>(&self, bound: &'b BTreeMap<String, String>) -> Option<&'b str> {
        let named = self.each.key.as_ref().or_else(|| {
            let first = self.each.bind.keys().next();
            first.filter(|name| bound.contains_key(*name))
        });
        let value = match named {
            Some(name) => bound.get(name),
            None => bound.values().next(),
        };
        value.map(String::as_str)
    }
}

impl LookupPlan {
    /// Parses its paths.
    pub fn new(lookup: &Lookup) -> Result<Self, PathError> {
        let taker = |paths: &OneOrMany| {
            Taker::new(&Take {
                from: paths.0.clone(),
                ..Take::default()
            })
        };
        Ok(Self {
            lookup: lookup.clone(),
            list: paths(&lookup.list.0)?,
            key: taker(&lookup.key)?,
            value: taker(&lookup.value)?,
            paging: PagingPlan::new(&lookup.paging)?,
        })
    }

    /// The entries in an answer, as they stand there.
    pub fn rows<'v>(&self, page: &'v Value) -> Vec<&'v Value> {
        flat(self.list.iter().flat_map(|path| path.all(page)).collect())
    }

    /// What an entry adds to the table.
    pub fn entry(&self, row: &Value) -> Option<(String, String)> {
        let scope = Scope::record(row);
        self.key.text(&scope).zip(self.value.text(&scope))
    }
}

impl PagingPlan {
    fn new(paging: &Paging) -> Result<Self, PathError> {
        // For `after_last` it is in the record.
        let from = paging
            .from
            .as_deref()
            .filter(|_| paging.style != PagingStyle::AfterLast);
        Ok(Self {
            paging: paging.clone(),
            from: from.map(Path::parse).transpose()?,
            total: paging.total.as_deref().map(Path::parse).transpose()?,
            more: paging.more_when.as_ref().map(Test::new).transpose()?,
        })
    }

    /// The answer without what says nothing of the pages after it; none if only the whole of it will
    /// do.
    pub fn sparse(&self, page: &Page<'_>) -> Option<Value> {
        let tested = self.paging.more_when.iter();
        let tested = tested.filter(|condition| condition.of == Of::Page);
        let mut paths = Vec::new();
        for condition in tested {
            for path in &condition.from.0 {
                paths.push(Path::parse(path).ok()?);
            }
        }
        paths.extend(self.from.iter().chain(&self.total).cloned());
        let mut sparse = Map::new();
        let picked = page.pick(&paths.iter().collect::<Vec<_>>());
        for (path, text) in paths.iter().zip(picked) {
            let (last, way) = path.steps()?.split_last()?;
            let mut members = &mut sparse;
            for step in way {
                let inner = members
                    .entry(member(step)?)
                    .or_insert_with(|| Value::Object(Map::new()));
                members = inner.as_object_mut()?;
            }
            if let Some(text) = text {
                members.insert(member(last)?.to_owned(), Value::String(text));
            } else {
                member(last)?;
            }
        }
        Some(Value::Object(sparse))
    }

    /// What an answer says of the pages after it.
    pub fn words(&self, page: &Value, headers: &HeaderMap) -> Words {
        let text = |path: &Option<Path>| text(path.as_ref()?, page);
        let next = match &self.paging.header {
            Some(name) => header(headers, name).and_then(|value| {
                if self.paging.style == PagingStyle::NextUrl {
                    next_link(value)
                } else {
                    Some(value.to_owned())
                }
            }),
            None => text(&self.from),
        };
        let more = self.more.as_ref().map(|test| {
            let headers = named(headers);
            test.holds(&Scope {
                page: Some(page),
                headers: Some(&headers),
                ..Scope::record(page)
            })
        });
        Words {
            next,
            more,
            total: text(&self.total).and_then(|total| total.trim().parse().ok()),
        }
    }
}

fn member(step: &Step) -> Option<&str> {
    match step {
        Step::Member(name) => Some(name),
        Step::Index(_) | Step::Each => None,
    }
}

/// Headers by lower-case names.
fn named(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect()
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The address of `rel="next"` in a `Link` header (RFC 8288).
fn next_link(value: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let (url, after) = after.split_once('>')?;
        let end = after.find(",<").or_else(|| after.find(", <"));
        let (parameters, following) = after.split_at(end.unwrap_or(after.len()));
        let is_next = parameters.split(';').any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else {
                return false;
            };
            let rels = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && rels
                    .split_whitespace()
                    .any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(url.to_owned());
        }
        rest = following;
    }
    None
}

fn paths(texts: &[String]) -> Result<Vec<Path>, PathError> {
    texts.iter().map(|text| Path::parse(text)).collect()
}

/// Values, lists among them taken apart.
pub fn flat(values: Vec<&Value>) -> Vec<&Value> {
    let mut all = Vec::new();
    for value in values {
        match value {
            Value::Array(items) => all.extend(items),
            Value::Null => {}
            other => all.push(other),
        }
    }
    all
}

/// The first text there.
pub fn text(path: &Path, value: &Value) -> Option<String> {
    let mut texts = Vec::new();
    add_texts(path.first(value)?, &mut texts);
    texts.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        for (value, expect) in [
            ("<https://x/2>; rel=\"next\"", Some("https://x/2")),
            (
                "<https://x/1>; rel=\"prev\", <https://x/3?a=1,2>; title=x; rel=next",
                Some("https://x/3?a=1,2"),
            ),
            ("<https://x/9>; rel=\"last next\"", Some("https://x/9")),
            ("<https://x/1>; rel=\"first\"", None),
            ("<https://x/1", None),
            ("", None),
        ] {
            assert_eq!(next_link(value).as_deref(), expect, "{value}");
        }
    }
}
