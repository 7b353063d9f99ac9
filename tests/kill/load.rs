//! Several clients that post without a pause, and remember what they were promised.

use std::collections::BTreeMap;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::http::{Answer, Connection};
use super::people::{Guise, Person, Post};
use super::wait;

const CLIENTS: u64 = 4;

/// The most posts between two kills: a burst, that a debug build has digested within seconds.
const MOST_POSTS: u64 = 400;

/// The same with two nodes: nothing is lost when one is killed, and all of it has to be posted.
const MOST_POSTS_TO_NODES: u64 = 250;

/// How long a client that has another node waits for an answer before it tries there.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause of a client that no node has answered.
const PAUSE: Duration = Duration::from_millis(20);

/// The longest that a client tries the same post.
const PERSEVERANCE: Duration = Duration::from_secs(60);

/// Where to post: a daemon, or the nodes as they come and go. A client that has but one gives up
/// when it does not answer; with more it tries each in turn until one does.
#[derive(Debug)]
pub struct Doors(Mutex<Vec<Option<SocketAddr>>>);

impl Doors {
    pub fn one(address: SocketAddr) -> Self {
        Self(Mutex::new(vec![Some(address)]))
    }

    pub fn shut(count: usize) -> Self {
        Self(Mutex::new(vec![None; count]))
    }

    /// Opens a door, or shuts it.
    pub fn set(&self, door: usize, address: Option<SocketAddr>) {
        self.0.lock().unwrap()[door] = address;
    }

    fn address(&self, door: usize) -> Option<SocketAddr> {
        self.0.lock().unwrap()[door]
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// All that was posted, and what was said to it.
#[derive(Debug, Default)]
pub struct Posted {
    state: Mutex<State>,
    people: AtomicU64,
    numbers: AtomicU64,
    unavailable: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Receipts of 2xx answers, and whose.
    receipts: Vec<(String, Person)>,
    /// Whose posts are all acknowledged: they may send another, and nobody else may, so that there
    /// is an order in what a person sends.
    idle: Vec<Person>,
    /// Posts without an answer: their events may or may not be in.
    unanswered: Vec<Post>,
    refused: Vec<u16>,
    /// Of the newest post that was acknowledged and had one.
    titles: BTreeMap<Person, String>,
}

/// A burst that is under way.
#[derive(Debug)]
pub struct Burst<'scope> {
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    answered: &'scope AtomicU64,
    enough: &'scope AtomicBool,
}

/// What a burst counts; lives as long as the scope of its threads.
#[derive(Debug, Default)]
struct Counters {
    posts: AtomicU64,
    answered: AtomicU64,
    enough: AtomicBool,
}

impl Posted {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn receipts(&self) -> Vec<(String, Person)> {
        self.state().receipts.clone()
    }

    /// Statuses other than 2xx, and 503 with `Retry-After` where there is another door.
    pub fn refused(&self) -> Vec<u16> {
        self.state().refused.clone()
    }

    /// Answers 503 with `Retry-After`.
    pub fn unavailable(&self) -> u64 {
        self.unavailable.load(Ordering::Relaxed)
    }

    /// How many people have posted, whether or not they were answered.
    pub fn people(&self) -> u64 {
        self.people.load(Ordering::Relaxed)
    }

    /// The title that each person must have in the end; one of two, if the last post that has one
    /// was never answered.
    pub fn titles(&self) -> BTreeMap<Person, Vec<String>> {
        let state = self.state();
        let mut titles: BTreeMap<Person, Vec<String>> = state
            .titles
            .iter()
            .map(|(person, title)| (*person, vec![title.clone()]))
            .collect();
        for post in &state.unanswered {
            if let (Some(titles), Some(title)) = (titles.get_mut(&post.person), &post.title) {
                titles.push(title.clone());
            }
        }
        titles
    }

    /// Someone who has not posted yet.
    pub fn someone_new(&self) -> Person {
        Person(self.people.fetch_add(1, Ordering::Relaxed))
    }

    /// A number that no post has had.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Remembers what was promised to a post.
    pub fn acknowledge(&self, post: &Post, answer: &Answer) {
        let receipt = answer.json()["id"].as_str().unwrap().to_owned();
        let mut state = self.state();
        state.receipts.push((receipt, post.person));
        if let Some(title) = &post.title {
            state.titles.insert(post.person, title.clone());
        }
        state.idle.push(post.person);
    }

    /// Remembers that a post was refused.
    pub fn refuse(&self, status: u16) {
        self.state().refused.push(status);
    }

    fn burst<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        counters: &'scope Counters,
        doors: &'scope Doors,
        seed: u64,
    ) -> Burst<'scope> {
        let threads = (0..CLIENTS)
            .map(|client| {
                let dice = Dice::of(seed ^ (client << 32));
                scope.spawn(move || self.post_all(counters, doors, dice))
            })
            .collect();
        Burst {
            threads,
            answered: &counters.answered,
            enough: &counters.enough,
        }
    }

    /// Posts until the other side is gone, or it is enough.
    fn post_all(&self, counters: &Counters, doors: &Doors, mut dice: Dice) {
        let mut client = Client::of(doors);
        let most_posts = match doors.count() {
            1 => MOST_POSTS,
            _ => MOST_POSTS_TO_NODES,
        };
        while !counters.enough.load(Ordering::Relaxed)
            && counters.posts.fetch_add(1, Ordering::Relaxed) < most_posts
        {
            let post = self.next(&mut dice);
            let first_door = dice.roll(doors.count() as u64) as usize;
            let Some(answer) = client.post(&post, first_door, &counters.enough, self) else {
                self.state().unanswered.push(post);
                return;
            };
            if answer.status == 200 {
                self.acknowledge(&post, &answer);
                counters.answered.fetch_add(1, Ordering::Relaxed);
            } else {
                self.refuse(answer.status);
                return;
            }
        }
    }

    /// Someone new; or someone who got no answer, and tries again; or someone known in another
    /// guise. Those were acknowledged before, so that their first post is in.
    fn next(&self, dice: &mut Dice) -> Post {
        let mut state = self.state();
        match dice.roll(8) {
            0 if !state.unanswered.is_empty() => return state.unanswered.remove(0),
            choice @ 1..=2 if !state.idle.is_empty() => {
                let known = dice.roll(state.idle.len() as u64) as usize;
                let guise = if choice == 1 {
                    Guise::SameEmail
                } else {
                    Guise::SamePhone
                };
                let person = state.idle.swap_remove(known);
                return person.post(guise, self.number(), dice);
            }
            _ => {}
        }
        drop(state);
        self.someone_new().post(Guise::First, self.number(), dice)
    }
}

/// One client, and its connection to each door.
#[derive(Debug)]
struct Client<'a> {
    doors: &'a Doors,
    connections: Vec<Option<(SocketAddr, Connection)>>,
}

impl<'a> Client<'a> {
    fn of(doors: &'a Doors) -> Self {
        Self {
            doors,
            connections: (0..doors.count()).map(|_| None).collect(),
        }
    }

    /// The answer; none if there is none to be had.
    fn post(
        &mut self,
        post: &Post,
        first_door: usize,
        enough: &AtomicBool,
        posted: &Posted,
    ) -> Option<Answer> {
        let count = self.connections.len();
        let started = Instant::now();
        loop {
            for door in (0..count).map(|offset| (first_door + offset) % count) {
                match self.post_at(door, post) {
                    Some(Answer {
                        status: 503,
                        retry_after: Some(_),
                        ..
                    }) if count > 1 => {
                        posted.unavailable.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(answer) => return Some(answer),
                    None => {}
                }
            }
            if count == 1 || enough.load(Ordering::Relaxed) || started.elapsed() > PERSEVERANCE {
                return None;
            }
            wait::pass(PAUSE);
        }
    }

    fn post_at(&mut self, door: usize, post: &Post) -> Option<Answer> {
        let address = self.doors.address(door)?;
        let held = self.connections[door].take();
        let mut connection = match held {
            Some((of, connection)) if of == address => connection,
            _ if self.connections.len() == 1 => Connection::open(address).ok()?,
            _ => Connection::with_patience(address, PATIENCE).ok()?,
        };
        let answer = connection.post("/hooks/demo", post.content_type, &post.body);
        let answer = answer.ok()?;
        self.connections[door] = Some((address, connection));
        Some(answer)
    }
}

impl Burst<'_> {
    /// Answers of 2xx so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for the threads: the other side is gone, or all is posted.
    pub fn join(mut self) {
        for thread in mem::take(&mut self.threads) {
            thread.join().unwrap();
        }
    }

    /// Ends the posting, and waits for what is under way.
    pub fn stop(self) {
        self.enough.store(true, Ordering::Relaxed);
        self.join();
    }
}

impl Drop for Burst<'_> {
    /// A test that fails need not wait for clients that try again and again.
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

/// Posts in a scope of threads of their own.
pub fn bursting<T>(
    posted: &Posted,
    doors: &Doors,
    seed: u64,
    act: impl FnOnce(Burst<'_>) -> T,
) -> T {
    let counters = Counters::default();
    thread::scope(|scope| act(posted.burst(scope, &counters, doors, seed)))
}
