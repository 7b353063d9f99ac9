//! A vendor on loopback, built from a connector's manifest and samples: it lists a thousand people in
//! the vendor's way, and misbehaves as vendors do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leadstream::config::SourceConfig;
use leadstream::connector::manifest::{Manifest, Method, Poll, Template};
use leadstream::connector::{ConnectorOptions, ManifestSource};
use leadstream::model::Millis;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;

use super::dice::Dice;
use super::faults::{EXPIRED, Fault, Tokens};
use super::http::{self, Reply, Sent};
use super::json::bind;
use super::lists::List;
use super::people::{Mould, Person};

/// People in all.
pub const PEOPLE: usize = 1_000;

#[derive(Debug)]
pub struct StandIn {
    manifest: Arc<Manifest>,
    samples: PathBuf,
    pub state: Mutex<State>,
}

#[derive(Debug)]
pub struct State {
    /// By the place of their poll in the manifest.
    pub lists: BTreeMap<usize, List>,
    /// None: it behaves.
    pub dice: Option<Dice>,
    /// Faults that come first.
    pub first: Vec<Fault>,
    pub tokens: Option<Tokens>,
    /// Pages of people that were given whole.
    pub pages: u64,
    /// Faults, by what they are called.
    pub faults: BTreeMap<&'static str, u64>,
    /// Requests that nothing is known to answer.
    pub strange: Vec<String>,
    /// Page tokens given before are no longer good.
    pub generation: u64,
}

/// What a request asks for.
enum Asked<'m> {
    People(usize, BTreeMap<String, String>),
    Items(&'m Poll),
    Lookup(&'m str),
}

impl StandIn {
    /// Listens, and answers what a source of this manifest asks. `gets_tokens`: access has to be asked
    /// for, and ends.
    pub async fn start(
        manifest: Arc<Manifest>,
        samples: &Path,
        gets_tokens: bool,
    ) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let vendor = Arc::new(Self {
            manifest,
            samples: samples.to_owned(),
            state: Mutex::new(State {
                lists: BTreeMap::new(),
                dice: None,
                first: Fault::each(gets_tokens),
                tokens: gets_tokens.then(|| Tokens::new(&url)),
                pages: 0,
                faults: BTreeMap::new(),
                strange: Vec::new(),
                generation: 0,
            }),
        });
        let answering = Arc::clone(&vendor);
        tokio::spawn(http::serve(listener, move |sent| answering.answer(&sent)));
        (vendor, url)
    }

    /// Spreads the people over the lists that the source polls. Names the polls that have no list of
    /// their own, or no sample of a lead with an e-mail.
    pub fn settle(&self, source: &SourceConfig, begin: Millis) -> Vec<String> {
        let own = own(source);
        let polls = self.manifest.poll.iter().enumerate();
        let polls = polls.filter(|(_, poll)| {
            let when = poll.when.as_deref();
            when.is_none_or(|option| own.options.is_set(option))
        });
        let mut without = Vec::new();
        let mut moulds: Vec<(usize, Mould)> = Vec::new();
        for (place, poll) in polls {
            let is_other = |(other, _): &&(usize, Mould)| same(&self.manifest.poll[*other], poll);
            if moulds.iter().any(|other| is_other(&other)) {
                continue;
            }
            match Mould::find(&self.samples, poll, source) {
                Some(mould) => moulds.push((place, mould)),
                None => without.push(poll.name.clone()),
            }
        }
        let mut state = self.state.lock();
        let count = moulds.len();
        for (index, (place, mould)) in moulds.into_iter().enumerate() {
            let poll = &self.manifest.poll[place];
            let people = (PEOPLE * (index + 1)) / count - (PEOPLE * index) / count;
            let people = (0..people)
                .map(|n| mould.cast(&self.manifest, poll, place, n, begin))
                .collect();
            let page = super::people::pages(&self.samples, &poll.name).remove(0);
            state
                .lists
                .insert(place, List::new(poll, own, people, page));
        }
        without
    }

    pub fn people(&self) -> Vec<Person> {
        let state = self.state.lock();
        let lists = state.lists.values();
        lists.flat_map(|list| list.people.iter().cloned()).collect()
    }

    fn answer(&self, sent: &Sent) -> Reply {
        let mut state = self.state.lock();
        if sent.path == "/token" {
            return match &mut state.tokens {
                Some(tokens) => tokens.give(sent),
                None => Reply::status(404),
            };
        }
        if let Some(tokens) = &mut state.tokens
            && !tokens.knows(sent)
        {
            return Reply::status(401);
        }
        let Some(asked) = self.asked(sent) else {
            state
                .strange
                .push(format!("{} {}", sent.path, sent.query_text()));
            return Reply::status(400);
        };
        let has_page_token = match &asked {
            Asked::People(place, _) => {
                super::lists::has_page_token(&self.manifest.poll[*place], sent)
            }
            Asked::Items(_) | Asked::Lookup(_) => false,
        };
        let is_of_people = matches!(asked, Asked::People(..));
        let fault = Fault::roll(&mut state, &self.manifest, has_page_token);
        if let Some(fault) = fault {
            *state.faults.entry(fault.name()).or_default() += 1;
            if let Some(reply) = fault.reply(&mut state) {
                return reply;
            }
        }
        let answered = match asked {
            Asked::Items(poll) => self.sample(&format!("each-{}.json", poll.name)),
            Asked::Lookup(name) => self.sample(&format!("lookup-{name}.json")),
            Asked::People(place, bound) => {
                let poll = &self.manifest.poll[place];
                let generation = state.generation;
                let Some(list) = state.lists.get(&place) else {
                    // Its people are another list's.
                    return Reply::json(&List::empty(poll, &self.samples));
                };
                match list.page(poll, sent, &bound, generation) {
                    Ok(page) => page,
                    Err(expired) => {
                        *state.faults.entry(EXPIRED).or_default() += 1;
                        return super::faults::restart(&self.manifest, expired);
                    }
                }
            }
        };
        if matches!(fault, Some(Fault::Torn)) {
            return Reply::json(&answered).torn();
        }
        if is_of_people {
            state.pages += 1;
        }
        Reply::json(&answered)
    }

    fn sample(&self, name: &str) -> Value {
        let file = self.samples.join(name);
        let text = std::fs::read(&file).unwrap_or_else(|_| panic!("there is no {name}"));
        serde_json::from_slice(&text).unwrap()
    }

    fn asked(&self, sent: &Sent) -> Option<Asked<'_>> {
        for (place, poll) in self.manifest.poll.iter().enumerate() {
            let is_post = poll.method == Method::Post;
            if is_post == (sent.method == "POST")
                && let Some(bound) = fits(&poll.path, &poll.query, poll.raw_query, sent)
            {
                return Some(Asked::People(place, bound));
            }
        }
        for poll in &self.manifest.poll {
            if let Some(each) = &poll.each
                && let Some(path) = &each.path
                && fits(path, &each.query, false, sent).is_some()
            {
                return Some(Asked::Items(poll));
            }
        }
        let mut lookups = self.manifest.lookup.iter();
        let lookup =
            lookups.find(|(_, lookup)| fits(&lookup.path, &lookup.query, false, sent).is_some());
        lookup.map(|(name, _)| Asked::Lookup(name))
    }
}

/// What a source's own options are.
pub fn own(source: &SourceConfig) -> &ManifestSource {
    match &source.options {
        ConnectorOptions::Manifest(own) => own,
        other => panic!("{other:?} is no manifest's"),
    }
}

/// Whether two polls ask for the same list.
fn same(one: &Poll, other: &Poll) -> bool {
    let fixed = |poll: &Poll| -> Vec<(String, String)> {
        let query = poll.query.iter();
        let query = query.filter(|(_, value)| value.names().next().is_none());
        query
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect()
    };
    one.path == other.path && fixed(one) == fixed(other)
}

/// What the names in a request's templates stand for, if it is that request.
fn fits(
    path: &Template,
    query: &BTreeMap<String, Template>,
    is_raw: bool,
    sent: &Sent,
) -> Option<BTreeMap<String, String>> {
    let text = path.to_string();
    let path = Template::parse(text.split('?').next().unwrap()).unwrap();
    // What stands before it is the base's own path.
    let slashes = sent.path.match_indices('/').map(|(at, _)| at);
    let mut bound = slashes
        .take(3)
        .find_map(|at| bind(&path, &sent.path[at..], Some('/')))?;
    for (name, template) in query {
        let text = template.to_string();
        let template = if is_raw {
            let plain = percent_encoding::percent_decode_str(&text);
            Template::parse(&plain.decode_utf8().unwrap()).unwrap()
        } else {
            template.clone()
        };
        match sent.query.get(name) {
            Some(value) => bound.extend(bind(&template, value, None)?),
            None if template.names().next().is_some() => {}
            None => return None,
        }
    }
    Some(bound)
}
