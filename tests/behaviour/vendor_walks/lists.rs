//! One list of people, given page by page in the vendor's way.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::TimeZone;
use leadstream::connector::manifest::{
    Condition, CursorKind, Order, PagingStyle, Poll, Scalar, TimeFormat,
};
use leadstream::connector::{ManifestSource, time};
use leadstream::model::Millis;
use serde_json::{Value, json};

use super::dice::Dice;
use super::faults::{has_page_tokens, meets};
use super::http::Sent;
use super::json::{bind_body, set, steps, unset, value_at};
use super::people::{self, Person};

/// People on a page, whatever is asked for: vendors may give fewer, and a thousand fill many pages.
const MOST_ON_A_PAGE: usize = 40;

/// The parameter that a whole address of a next page has.
const IN_ADDRESS: &str = "stand_in_page";

#[derive(Debug)]
pub struct List {
    /// In the order in which they are given.
    pub people: Vec<Person>,
    zone: TimeZone,
    /// The first page of the samples.
    template: Value,
}

impl List {
    pub fn new(poll: &Poll, own: &ManifestSource, people: Vec<Person>, template: Value) -> Self {
        let zone = poll.cursor.as_ref().and_then(|cursor| cursor.zone.as_ref());
        let zone = zone.and_then(|option| own.options.text(option).unwrap());
        Self {
            people: ordered(poll, people),
            zone: time::zone(zone.as_deref()),
            template,
        }
    }

    /// The page that is asked for; the token that it is asked for by, if that has expired.
    pub fn page(
        &self,
        poll: &Poll,
        sent: &Sent,
        bound: &BTreeMap<String, String>,
        generation: u64,
    ) -> Result<Value, &'static str> {
        let body = sent.json();
        let mut bound = bound.clone();
        for (name, member) in poll.body.iter().flat_map(|body| &body.0) {
            bind_body(member, &body[name], &mut bound);
        }
        let people: Vec<&Person> = self
            .people
            .iter()
            .filter(|person| self.is_asked_for(poll, person, &bound))
            .collect();
        let paging = &poll.paging;
        let told = told(poll, sent, &body);
        let asked = bound
            .get("size")
            .or_else(|| sent.query.get(paging.size_query.as_ref()?));
        let asked = asked
            .and_then(|size| size.parse().ok())
            .unwrap_or(MOST_ON_A_PAGE);
        let most = match paging.style {
            PagingStyle::None => usize::MAX,
            // What is skipped by number must be of the size that was asked for.
            PagingStyle::Page => asked,
            _ => asked.min(MOST_ON_A_PAGE),
        };
        let number = || {
            told.as_ref()
                .map_or(0, |told| told.parse::<usize>().unwrap())
        };
        let start = match (paging.style, &told) {
            (PagingStyle::None, _) | (_, None) => 0,
            (PagingStyle::Page, _) => (number() - paging.first.unwrap_or(1) as usize) * most,
            (PagingStyle::Offset | PagingStyle::Cursor, _) => number(),
            (PagingStyle::AfterLast, Some(value)) => {
                let from = paging.from.as_ref().unwrap();
                let is_last =
                    |person: &&Person| text(value_at(&person.record, from).unwrap()) == *value;
                // A value that is not there is ignored.
                people.iter().position(is_last).map_or(0, |place| place + 1)
            }
            (PagingStyle::Token | PagingStyle::NextUrl, Some(token)) => {
                let (given, start) = token
                    .strip_prefix("page.")
                    .unwrap()
                    .split_once('.')
                    .unwrap();
                if given != generation.to_string() {
                    return Err("a page token");
                }
                start.parse().unwrap()
            }
        };
        let end = people.len().min(start.saturating_add(most));
        let shown = people.get(start..end).unwrap_or_default();
        let has_more = end < people.len();
        let next = format!("page.{generation}.{end}");
        Ok(self.written(
            poll,
            sent,
            shown,
            has_more.then_some(end),
            &next,
            people.len(),
        ))
    }

    /// A page of nobody.
    pub fn empty(poll: &Poll, samples: &Path) -> Value {
        let list = Self {
            people: Vec::new(),
            zone: TimeZone::UTC,
            template: people::pages(samples, &poll.name)
                .into_iter()
                .next()
                .unwrap_or_else(|| json!({})),
        };
        let sent = Sent {
            method: String::new(),
            path: String::new(),
            query: BTreeMap::new(),
            authorization: String::new(),
            body: Vec::new(),
        };
        list.written(poll, &sent, &[], None, "", 0)
    }

    /// Whether a person is in the span that is asked for. "Since" leaves out the moment itself, by as
    /// much as the vendor can say: that is the harder way to be understood.
    fn is_asked_for(&self, poll: &Poll, person: &Person, bound: &BTreeMap<String, String>) -> bool {
        let Some(cursor) = &poll.cursor else {
            return true;
        };
        assert_eq!(
            cursor.kind,
            CursorKind::Time,
            "no vendor has had others so far"
        );
        let moment = |name: &str| -> Option<Millis> {
            let text = bound.get(name)?;
            let at = time::parse(text, Some(cursor.format), &self.zone);
            Some(at.unwrap_or_else(|| panic!("`{text}` is no time")))
        };
        let unit = match cursor.format {
            TimeFormat::Rfc3339 | TimeFormat::UnixMs => 1,
            _ => 1_000,
        };
        let is_after = |since: Millis| person.at.0.div_euclid(unit) > since.0.div_euclid(unit);
        moment("cursor").is_none_or(is_after)
            && moment("until").is_none_or(|until| person.at <= until)
    }

    fn written(
        &self,
        poll: &Poll,
        sent: &Sent,
        shown: &[&Person],
        more: Option<usize>,
        next: &str,
        total: usize,
    ) -> Value {
        let mut page = self.template.clone();
        let list = poll.records.trim_end_matches("[*]");
        let mut records: Vec<Value> = shown.iter().map(|person| person.record.clone()).collect();
        if poll.rows.is_some() {
            let header = value_at(&page, list).and_then(|rows| rows.get(0));
            records.insert(0, header.unwrap().clone());
        }
        set(&mut page, &steps(list), records.into());
        for (place, join) in poll.join.iter().enumerate() {
            let entries = shown.iter().flat_map(|person| person.joined[place].clone());
            set(&mut page, &steps(&join.list), entries.collect());
        }
        let paging = &poll.paging;
        if let Some(total_at) = &paging.total {
            set(&mut page, &steps(total_at), total.into());
        }
        if let Some(from) = paging
            .from
            .as_ref()
            .filter(|_| has_page_tokens(paging.style))
        {
            let mut value = next.to_owned();
            if paging.style == PagingStyle::NextUrl {
                value = format!("{}?{}={next}", sent.path, IN_ADDRESS);
            }
            // Where there is another word for it, a token says nothing of whether there is more.
            if more.is_some() || paging.more_when.is_some() {
                set(&mut page, &steps(from), value.into());
            } else {
                unset(&mut page, &steps(from));
            }
        }
        if let Some(condition) = &paging.more_when {
            let from = steps(&condition.from.0[0]);
            match more {
                Some(_) => set(&mut page, &from, meets(condition)),
                None => match fails(condition) {
                    Some(value) => set(&mut page, &from, value),
                    None => unset(&mut page, &from),
                },
            }
        }
        page
    }
}

/// Whether a page is asked for by a token.
pub fn has_page_token(poll: &Poll, sent: &Sent) -> bool {
    has_page_tokens(poll.paging.style) && told(poll, sent, &sent.json()).is_some()
}

/// What the next page is asked for by.
fn told(poll: &Poll, sent: &Sent, body: &Value) -> Option<String> {
    let paging = &poll.paging;
    let name = match paging.style {
        PagingStyle::NextUrl => Some(IN_ADDRESS),
        _ => paging.query.as_deref(),
    };
    if let Some(value) = name.and_then(|name| sent.query.get(name)) {
        return Some(value.clone());
    }
    let member = paging.body.as_ref().and_then(|path| value_at(body, path));
    member.map(text)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value that a condition does not hold for, if it has to be there.
fn fails(condition: &Condition) -> Option<Value> {
    if let Some(above) = condition.above {
        return Some((above as i64).into());
    }
    let Scalar(equals) = condition.equals.as_ref()?;
    Some((!equals.parse::<bool>().ok()?).into())
}

/// Newest first, oldest first, by id, or in no order that means anything.
fn ordered(poll: &Poll, mut people: Vec<Person>) -> Vec<Person> {
    let order = poll.cursor.as_ref().map(|cursor| cursor.order);
    match order {
        Some(Order::Ascending) => people.sort_by_key(|person| person.at),
        Some(Order::Descending) => people.sort_by_key(|person| Reverse(person.at)),
        Some(Order::Unordered) | None if poll.paging.style == PagingStyle::AfterLast => {}
        Some(Order::Unordered) | None => {
            let mut dice = Dice(7);
            for last in (1..people.len()).rev() {
                people.swap(last, dice.roll(last as u64 + 1) as usize);
            }
        }
    }
    people
}
