//! The harness's side of the points: a task that comes to one is parked there, and goes on when the
//! scheduler says how.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use futures_util::future::BoxFuture;
use leadstream::edge::fault::Faults;
use parking_lot::Mutex;

use super::dice::Dice;
use super::schedule::{AnswerFault, RequestFault};

/// Before and after each commit and each send, as `src/` names them.
pub const STORE: [&str; 17] = [
    "ingest.before_append",
    "ingest.after_append",
    "process.before_write",
    "process.before_commit",
    "process.after_commit",
    "recover.before_write",
    "recover.before_commit",
    "recover.after_commit",
    "claim.before_write",
    "claim.before_commit",
    "claim.after_commit",
    "store.after_sync",
    "deliver.before_send",
    "deliver.after_send",
    "settle.before_write",
    "settle.before_commit",
    "settle.after_commit",
];

/// An event has come in and is not appended yet.
pub const RECEIVED: &str = "ingest.received";

/// A request to Salesforce is about to go out.
pub const REQUEST: &str = "network.request";

/// It was carried out, and its answer is under way.
pub const ANSWER: &str = "network.answer";

/// What was committed before survives a loss of power.
pub const SYNCED: &str = "store.after_sync";

/// Where a task has confirmed that its node's lease lasts, and has not sent yet, or not all.
///
/// Should it stand still right there until another has taken over, it sends all the same: no
/// database can hold back what has left its transaction, and Salesforce has no write that depends on
/// what is there. It would have to be frozen for as long as a lease between two lines; so that is
/// left out here, and everything else is not.
pub fn is_sending(point: &str) -> bool {
    matches!(point, BEFORE_SEND | REQUEST | ANSWER | SLEEP)
}

/// The lease has just been confirmed.
pub const BEFORE_SEND: &str = "deliver.before_send";

/// Somebody waits for a time.
pub const SLEEP: &str = "clock.sleep";

/// Where a task waits for the store's one writer.
pub fn wants_to_write(point: &str) -> bool {
    point.ends_with(".before_write")
}

/// Where a task is in a transaction of the store's one writer.
pub fn is_writing(point: &str) -> bool {
    point.ends_with(".before_commit")
}

/// How a task goes on from its point.
#[derive(Debug, Clone, Copy)]
pub enum Verdict {
    Go,
    Fail,
    Request(RequestFault),
    Answer(AnswerFault),
}

/// All tasks of a world at their points, and what was done: the trace.
#[derive(Debug)]
pub struct Points(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The task that is being polled.
    running: u64,
    parked: HashMap<u64, &'static str>,
    verdicts: HashMap<u64, Verdict>,
    dice: Dice,
    trace: Vec<String>,
}

impl Points {
    pub fn new(dice: Dice) -> Self {
        Self(Mutex::new(State {
            running: 0,
            parked: HashMap::new(),
            verdicts: HashMap::new(),
            dice,
            trace: Vec::new(),
        }))
    }

    /// Says whose turn it is, before each poll.
    pub fn run(&self, task: u64) {
        self.0.lock().running = task;
    }

    /// Where the task is parked.
    pub fn parked(&self, task: u64) -> Option<&'static str> {
        self.0.lock().parked.get(&task).copied()
    }

    /// Lets a parked task go on.
    pub fn release(&self, task: u64, verdict: Verdict) {
        let mut state = self.0.lock();
        state.parked.remove(&task);
        state.verdicts.insert(task, verdict);
    }

    /// The task is no more.
    pub fn forget(&self, task: u64) {
        let mut state = self.0.lock();
        state.parked.remove(&task);
        state.verdicts.remove(&task);
    }

    /// Parks the calling task until it is released.
    pub async fn arrive(&self, point: &'static str) -> Verdict {
        let mut me = None;
        poll_fn(|_| {
            let mut state = self.0.lock();
            let task = *me.get_or_insert(state.running);
            if let Some(verdict) = state.verdicts.remove(&task) {
                return Poll::Ready(verdict);
            }
            state.parked.insert(task, point);
            Poll::Pending
        })
        .await
    }

    /// Adds a line to the trace.
    pub fn say(&self, line: String) {
        self.0.lock().trace.push(line);
    }

    pub fn trace(&self) -> Vec<String> {
        self.0.lock().trace.clone()
    }
}

/// As the program holds them.
#[derive(Debug, Clone)]
pub struct Handle(pub std::sync::Arc<Points>);

impl Faults for Handle {
    fn reach(&self, point: &'static str) -> BoxFuture<'static, io::Result<()>> {
        let points = std::sync::Arc::clone(&self.0);
        Box::pin(async move {
            match points.arrive(point).await {
                Verdict::Fail => Err(io::Error::other("the harness made the store fail")),
                Verdict::Go | Verdict::Request(_) | Verdict::Answer(_) => Ok(()),
            }
        })
    }

    fn jitter(&self) -> f64 {
        0.5 + self.0.0.lock().dice.roll(1000) as f64 / 2000.0
    }
}
