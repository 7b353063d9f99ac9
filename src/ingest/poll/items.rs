//! What a poll is repeated for, and small lists of the vendor that are read whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::HeaderMap;
use serde_json::Value;

use super::{Poller, Stop};
use crate::connector::Path;
use crate::connector::manifest::Template;
use crate::connector::mechanism::call::{Answer, Next, Request, Target};
use crate::connector::mechanism::cursor::{Rules, State, Walk};
use crate::connector::mechanism::paging::{self, Facts};
use crate::connector::mechanism::plan::{EachPlan, PagingPlan, Stream};
use crate::connector::mechanism::request::{Names, Parts, build};
use crate::model::Millis;

/// The most items of a poll.
const MOST_ITEMS: usize = 10_000;

/// One item: a list of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// What tells it apart; none if the poll is not repeated.
    pub key: Option<String>,
    /// The names that it binds.
    pub bound: BTreeMap<String, String>,
    /// What it looks like, if it is read again only when that has changed.
    pub fingerprint: Option<String>,
}

/// Whether an item is among those that the user has named, if they have.
fn is_wanted(only: Option<&[String]>, item: &Item) -> bool {
    only.is_none_or(|only| {
        let key = item.key.as_ref();
        key.is_some_and(|key| only.contains(key))
    })
}

/// The names of a request that stand for so many days ago, `now-30d`, and the times that they mean.
pub(super) fn days_ago(
    path: &Template,
    query: &BTreeMap<String, Template>,
    now: Millis,
) -> BTreeMap<String, Millis> {
    let names = query.values().chain([path]).flat_map(Template::names);
    let ago = |name: &str| {
        let days = name.strip_prefix("now-")?.strip_suffix('d')?;
        let span = i64::from(days.parse::<u16>().ok()?) * 24 * 60 * 60 * 1000;
        Some((name.to_owned(), Millis(now.0.saturating_sub(span))))
    };
    names.filter_map(ago).collect()
}

impl Poller {
    /// The items of a poll; read once a round.
    pub(super) async fn items(
        &self,
        stream: &Stream,
        known: &mut BTreeMap<String, Arc<Vec<Item>>>,
    ) -> Result<Arc<Vec<Item>>, Stop> {
        if let Some(items) = known.get(stream.name()) {
            return Ok(Arc::clone(items));
        }
        let items = match &stream.each {
            None => vec![Item::default()],
            Some(each) => match &each.each.option {
                Some(option) => self.listed(each, option),
                None => self.asked_for(stream, each).await?,
            },
        };
        let items = Arc::new(items);
        known.insert(stream.name().to_owned(), Arc::clone(&items));
        Ok(items)
    }

    /// Those of an option.
    fn listed(&self, each: &EachPlan, option: &str) -> Vec<Item> {
        let mut seen = BTreeSet::new();
        let values = self.source.config.options.list(option).into_iter();
        values
            .filter(|value| seen.insert(value.clone()))
            .map(|value| Item {
                bound: each.bound_to(&value),
                key: Some(value),
                fingerprint: None,
            })
            .collect()
    }

    /// Those that the vendor lists.
    async fn asked_for(&self, stream: &Stream, each: &EachPlan) -> Result<Vec<Item>, Stop> {
        let Some(path) = &each.each.path else {
            return Ok(Vec::new());
        };
        let now = self.clock.now();
        let mut own = BTreeMap::from([("now".to_owned(), stream.rules.written_time(now))]);
        own.insert("until".to_owned(), stream.rules.written_time(now));
        // A window that moves: the list of items has no cursor of its own.
        if let Some(first) = stream.rules.first(self.source.plan.start, now) {
            own.insert("cursor".to_owned(), stream.rules.written_time(first));
        }
        for (name, at) in days_ago(path, &each.each.query, now) {
            own.insert(name, stream.rules.written_time(at));
        }
        let only = each.each.only.as_deref();
        let only = only.map(|option| self.source.config.options.list(option));
        let only = only.filter(|listed| !listed.is_empty());
        let mut items = Vec::new();
        let mut seen = BTreeSet::new();
        let parts = Parts::get(path, &each.each.query);
        self.whole_list(parts, &own, &each.paging, |page, _| {
            let records = each.items(page);
            for record in &records {
                if let Some(item) = each.item(record)
                    && is_wanted(only.as_deref(), &item)
                    && seen.insert(item.key.clone())
                {
                    items.push(item);
                }
            }
            records.into_iter().map(Value::to_string).collect()
        })
        .await?;
        if items.len() > MOST_ITEMS {
            let message = format!("there are more than {MOST_ITEMS} to go through");
            return Err(Stop::again(
                "poll.too_many_items",
                message,
                "split them over several sources",
            ));
        }
        Ok(items)
    }

    /// Reads a list of the vendor's from its first page to its end. `read` takes what it needs of a
    /// page, and says what is on it.
    pub(super) async fn whole_list(
        &self,
        parts: Parts<'_>,
        own: &BTreeMap<String, String>,
        plan: &PagingPlan,
        mut read: impl FnMut(&Value, &HeaderMap) -> Vec<String>,
    ) -> Result<(), Stop> {
        let rules = Rules::new(None, jiff::tz::TimeZone::UTC);
        let mut walk = rules.begin(&State::default(), None, None, self.clock.now());
        loop {
            let answer = match self.ask_for(parts, own, plan, &walk).await {
                Ok(answer) => answer,
                Err(AskError::Ended) => return Ok(()),
                Err(AskError::Stop(stop)) => return Err(stop),
            };
            let page: Value = serde_json::from_slice(&answer.body).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                malformed(&format!("not valid JSON: line {line}, column {column}"))
            })?;
            let texts = read(&page, &answer.headers);
            let words = plan.words(&page, &answer.headers);
            let hash = |text: &String| self.store.record_hash(&self.source.name, text);
            let facts = Facts {
                ids: texts.iter().map(hash).collect(),
                next: words.next,
                more: words.more,
                total: words.total,
                ..Facts::default()
            };
            let more = paging::advance(&plan.paging, &mut walk, &facts)
                .map_err(|error| malformed(&error.to_string()))?;
            if !more {
                return Ok(());
            }
        }
    }

    async fn ask_for(
        &self,
        parts: Parts<'_>,
        own: &BTreeMap<String, String>,
        plan: &PagingPlan,
        walk: &Walk,
    ) -> Result<Answer, AskError> {
        let ask = paging::ask(&plan.paging, walk);
        let names = Names {
            options: &self.source.config.options,
            own,
        };
        let mut request = build(parts, names, &ask.paged).map_err(Stop::from)?;
        if let Some(url) = ask.url {
            request = Request {
                target: Target::Url(url),
                ..request
            };
        }
        match self.source.vendor.call(request).await {
            Ok(answer) => Ok(answer),
            Err(error) if error.next == Next::End => Err(AskError::Ended),
            Err(error) => Err(Stop::from(error).into()),
        }
    }
}

enum AskError {
    Ended,
    Stop(Stop),
}

impl From<Stop> for AskError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl EachPlan {
    /// The item that `record` describes; none if it is left out.
    fn item(&self, record: &Value) -> Option<Item> {
        let bound = self.bound(record)?;
        let key = self.key(&bound)?.to_owned();
        Some(Item {
            key: Some(key),
            bound,
            fingerprint: fingerprint(&self.changed_by, record),
        })
    }
}

/// What `record` says of its changes. One that says nothing may have changed at any time.
fn fingerprint(paths: &[Path], record: &Value) -> Option<String> {
    let values: Vec<&Value> = paths.iter().flat_map(|path| path.all(record)).collect();
    let says_something = values.iter().any(|value| !value.is_null());
    says_something.then(|| serde_json::to_string(&values).unwrap_or_default())
}

fn malformed(what: &str) -> Stop {
    Stop::again(
        "poll.malformed_page",
        format!("an answer of the vendor cannot be read: {what}"),
        "if this stays, the vendor has changed its API, or `base_url` leads elsewhere",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn so_many_days_ago_is_a_time() {
        let path = Template::parse("/x/{now-1d}").unwrap();
        let query = BTreeMap::from([
            ("from".to_owned(), Template::parse("{now-30d}").unwrap()),
            ("to".to_owned(), Template::parse("{now}{now-xd}").unwrap()),
        ]);
        let day = 24 * 60 * 60 * 1000;
        let expected = BTreeMap::from([
            ("now-1d".to_owned(), Millis(30 * day)),
            ("now-30d".to_owned(), Millis(day)),
        ]);
        assert_eq!(days_ago(&path, &query, Millis(31 * day)), expected);
    }

    #[test]
    fn only_the_items_that_a_user_names_are_read() {
        let item = |key: &str| Item {
            key: Some(key.to_owned()),
            ..Item::default()
        };
        let named = ["a".to_owned()];
        assert!(is_wanted(None, &item("b")));
        assert!(is_wanted(Some(&named), &item("a")));
        assert!(!is_wanted(Some(&named), &item("b")));
    }

    #[test]
    fn an_item_that_says_nothing_of_its_changes_is_never_unchanged() {
        let paths = [Path::parse("count").unwrap(), Path::parse("gone").unwrap()];
        let said = |record: Value| fingerprint(&paths, &record);
        assert_eq!(said(json!({ "id": 1 })), None);
        assert_eq!(said(json!({ "count": null })), None);
        assert!(said(json!({ "count": 0 })).is_some());
        assert_ne!(said(json!({ "count": 1 })), said(json!({ "count": 2 })));
        assert_eq!(fingerprint(&[], &json!({ "count": 1 })), None);
    }
}
