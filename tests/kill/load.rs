//! Several connections that post without a pause, and remember what they were promised.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::dice::Dice;
use super::http::{Answer, Connection};
use super::people::{Guise, Person, Post};

const CONNECTIONS: u64 = 4;

/// The most posts between two kills: a burst, that a debug build has digested within seconds.
const MOST_POSTS: u64 = 400;

/// All that was posted, and what was said to it.
#[derive(Debug, Default)]
pub struct Posted {
    state: Mutex<State>,
    people: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Receipts of 2xx answers, and whose.
    receipts: Vec<(String, Person)>,
    /// Posts without an answer: their events may or may not be in.
    unanswered: Vec<Post>,
    refused: Vec<u16>,
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
pub struct Counters {
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

    /// Statuses other than 2xx.
    pub fn refused(&self) -> Vec<u16> {
        self.state().refused.clone()
    }

    /// How many people have posted, whether or not they were answered.
    pub fn people(&self) -> u64 {
        self.people.load(Ordering::Relaxed)
    }

    /// Starts posting to `address`, from several threads.
    pub fn burst<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        counters: &'scope Counters,
        address: SocketAddr,
        seed: u64,
    ) -> Burst<'scope> {
        let threads = (0..CONNECTIONS)
            .map(|connection| {
                let dice = Dice::of(seed ^ (connection << 32));
                scope.spawn(move || self.post_all(counters, address, dice))
            })
            .collect();
        Burst {
            threads,
            answered: &counters.answered,
            enough: &counters.enough,
        }
    }

    /// Posts until the other side is gone, or it is enough.
    fn post_all(&self, counters: &Counters, address: SocketAddr, mut dice: Dice) {
        let Ok(mut connection) = Connection::open(address) else {
            return;
        };
        while !counters.enough.load(Ordering::Relaxed)
            && counters.posts.fetch_add(1, Ordering::Relaxed) < MOST_POSTS
        {
            let post = self.next(&mut dice);
            let Ok(answer) = self.post(&mut connection, &post) else {
                self.state().unanswered.push(post);
                return;
            };
            if answer.status == 200 {
                counters.answered.fetch_add(1, Ordering::Relaxed);
            } else {
                self.state().refused.push(answer.status);
                return;
            }
        }
    }

    /// Posts, and remembers the receipt if there is one.
    pub fn post(&self, connection: &mut Connection, post: &Post) -> io::Result<Answer> {
        let answer = connection.post("/hooks/demo", post.content_type, &post.body)?;
        if answer.status == 200 {
            let receipt = answer.json()["id"].as_str().unwrap().to_owned();
            self.state().receipts.push((receipt, post.person));
        }
        Ok(answer)
    }

    /// The first post of someone new.
    pub fn newcomer(&self, dice: &mut Dice) -> Post {
        let person = Person(self.people.fetch_add(1, Ordering::Relaxed));
        person.post(Guise::First, dice)
    }

    /// Someone new; or someone who got no answer, and tries again; or someone known in another
    /// guise. Those were acknowledged before, so that their first post is in.
    fn next(&self, dice: &mut Dice) -> Post {
        let mut state = self.state();
        match dice.roll(8) {
            0 if !state.unanswered.is_empty() => return state.unanswered.remove(0),
            choice @ 1..=2 if !state.receipts.is_empty() => {
                let known = dice.roll(state.receipts.len() as u64) as usize;
                let guise = if choice == 1 {
                    Guise::SameEmail
                } else {
                    Guise::SamePhone
                };
                return state.receipts[known].1.post(guise, dice);
            }
            _ => {}
        }
        drop(state);
        self.newcomer(dice)
    }
}

impl Burst<'_> {
    /// Answers of 2xx so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for the threads: the other side is gone, or all is posted.
    pub fn join(self) {
        for thread in self.threads {
            thread.join().unwrap();
        }
    }

    /// Ends the posting, and waits for what is under way.
    pub fn stop(self) {
        self.enough.store(true, Ordering::Relaxed);
        self.join();
    }
}

/// Posts in a scope of threads of their own.
pub fn bursting<T>(
    posted: &Posted,
    address: SocketAddr,
    seed: u64,
    act: impl FnOnce(Burst<'_>) -> T,
) -> T {
    let counters = Counters::default();
    thread::scope(|scope| act(posted.burst(scope, &counters, address, seed)))
}
