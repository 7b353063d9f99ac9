//! The scheduler: one task goes on at a time, from its point to its next one, and dice say which.
//!
//! A task that runs may wait for the database only: what it would wait for of another task is known
//! from the points (`points::wants_to_write`), so that it is not let go on before.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use leadstream::config::Config;
use leadstream::deliver;
use leadstream::edge::clock::Clock as _;
use leadstream::model::EventId;
use leadstream::process;
use leadstream::sandbox::{Faults, Sandbox, SandboxOptions};

use super::check::{self, Kept};
use super::clock::{SkewedClock, Time};
use super::dice::Dice;
use super::disk::{Disk, Template};
use super::network::{Lateness, Network};
use super::node::{Alive, Done, Node, Task, Work};
use super::points::{self, Points, Verdict};
use super::schedule::{Crash, Fault, Happening, RequestFault, Schedule};
use super::tally::Tally;

/// Requests that are under way at once.
const MOST_REQUESTS: usize = 6;

/// How often a sender tries again.
const MOST_TRIES: u32 = 6;

/// No run takes so many turns by far: whoever does has lost its way.
const MOST_TURNS: u64 = 5_000;

/// Turns after the last post in which things still go wrong.
const MORE_TURNS: u64 = 300;

/// How far time goes on, at most, when all wait for it.
const LONGEST_WAIT: i64 = 60 * 60 * 1000;

/// Nodes over one SQLite file.
const NODES: usize = 1;

/// What all worlds share.
#[derive(Debug)]
pub struct Site {
    pub config: Config,
    pub template: Template,
}

/// A run that was carried out.
#[derive(Debug)]
pub struct Report {
    pub trace: Vec<String>,
    pub tally: Tally,
    /// The promise that was broken, if one was.
    pub broken: Option<String>,
}

/// Nodes, their store, the org, the people, the time.
#[derive(Debug)]
pub struct World<'s> {
    site: &'s Site,
    schedule: Schedule,
    dice: Dice,
    points: Arc<Points>,
    time: Arc<Time>,
    disk: Disk,
    sandbox: Sandbox,
    network: Arc<Network>,
    nodes: Vec<Node>,
    /// Posts that are to be sent: their numbers, and how often they were.
    unsent: VecDeque<(usize, u32)>,
    acknowledged: Vec<(usize, EventId)>,
    /// How often each point was come to.
    arrivals: HashMap<&'static str, u64>,
    outage: Option<(u64, RequestFault)>,
    turn: u64,
    next_task: u64,
    /// How often in a row time has gone on because there was nothing else to do.
    idle: u32,
    /// Steps that have brought something about.
    progress: u64,
    is_draining: bool,
    tally: Tally,
}

/// What could be done in a turn.
#[derive(Debug, Clone, Copy)]
enum Choice {
    /// Lets the task of that place in the node go on.
    Continue(usize, usize),
    Begin(usize, Work),
    Post(usize),
    LateRequest,
    PassTime,
}

/// Carries out `schedule`.
pub async fn run(site: &Site, schedule: Schedule, lateness: Lateness) -> Report {
    let mut world = World::new(site, schedule, lateness);
    let lived = AssertUnwindSafe(world.live()).catch_unwind().await;
    let broken = match lived {
        Ok(lived) => lived.err(),
        // What it was stands above: the panic has been printed.
        Err(_) => Some("something panicked".to_owned()),
    };
    Report {
        trace: world.points.trace(),
        tally: world.tally,
        broken,
    }
}

impl<'s> World<'s> {
    fn new(site: &'s Site, schedule: Schedule, lateness: Lateness) -> Self {
        // The schedule has used the seed itself.
        let mut dice = Dice::of(!schedule.seed);
        let points = Arc::new(Points::new(dice.fork()));
        let time = Arc::new(Time::new());
        let options = SandboxOptions {
            seed: schedule.seed,
            ..SandboxOptions::default()
        };
        let org_clock = SkewedClock::new(Arc::clone(&time), Arc::clone(&points));
        let sandbox = Sandbox::new(options, org_clock);
        let node = || SkewedClock::new(Arc::clone(&time), Arc::clone(&points));
        Self {
            disk: Disk::new(&site.template),
            network: Network::new(&sandbox, Arc::clone(&points), lateness),
            nodes: (0..NODES).map(|_| Node::new(node())).collect(),
            unsent: (0..schedule.posts.len())
                .map(|number| (number, 0))
                .collect(),
            site,
            schedule,
            dice,
            points,
            time,
            sandbox,
            acknowledged: Vec::new(),
            arrivals: HashMap::new(),
            outage: None,
            turn: 0,
            next_task: 1,
            idle: 0,
            progress: 0,
            is_draining: false,
            tally: Tally::default(),
        }
    }

    async fn live(&mut self) -> Result<(), String> {
        while !self.unsent.is_empty() || self.any_request() {
            self.take_turn().await?;
        }
        let last = self.turn + MORE_TURNS;
        while self.turn < last && !self.is_at_rest() {
            self.take_turn().await?;
        }
        self.drain().await?;
        let store = &self.alive().ok_or("no node is alive")?.store;
        let events = store
            .events_after(EventId(0), 100_000)
            .await
            .map_err(|error| error.to_string())?;
        let events: Vec<Kept> = events.iter().map(Kept::read).collect::<Result<_, _>>()?;
        let posts = &self.schedule.posts;
        check::acknowledged_is_kept(&self.acknowledged, posts, &events)?;
        let history = self.network.history();
        check::everyone_is_there_once_and_in_order(&self.sandbox, &history, &events)?;
        self.tally.count("schedules");
        Ok(())
    }

    /// Nothing goes wrong any more, and everything comes to its end.
    async fn drain(&mut self) -> Result<(), String> {
        self.say("draining");
        self.is_draining = true;
        self.outage = None;
        self.sandbox.set_faults(Faults::default());
        for node in &mut self.nodes {
            node.until = 0;
        }
        // Each loop looks by itself once a second, whatever it was told.
        let mut before = None;
        while before != Some(self.progress) {
            before = Some(self.progress);
            for node in &mut self.nodes {
                node.look_at_all();
            }
            while !self.is_at_rest() {
                self.take_turn().await?;
            }
        }
        let books = self.audit().await?;
        if books.in_flight > 0 || books.dead_letters > 0 {
            return Err(format!("at rest, and yet there are {books:?}"));
        }
        Ok(())
    }

    /// The books, which must balance at any time.
    async fn audit(&self) -> Result<check::Books, String> {
        let store = &self.alive().ok_or("no node is alive")?.store;
        let books = store.audit().await.map_err(|error| error.to_string())?;
        check::books_balance(&books)
    }

    fn alive(&self) -> Option<&Alive> {
        self.nodes.iter().find_map(|node| node.alive.as_ref())
    }

    fn any_request(&self) -> bool {
        let nodes = self.nodes.iter().filter_map(|node| node.alive.as_ref());
        let mut tasks = nodes.flat_map(|node| &node.tasks);
        tasks.any(|task| matches!(task.work, Work::Request(..)))
    }

    async fn take_turn(&mut self) -> Result<(), String> {
        self.turn += 1;
        if self.turn > MOST_TURNS {
            return Err(format!("no rest after {MOST_TURNS} turns"));
        }
        self.start_nodes().await?;
        while !self.is_draining
            && self
                .schedule
                .happenings
                .first()
                .is_some_and(|(turn, _)| *turn <= self.turn)
        {
            let (_, happening) = self.schedule.happenings.remove(0);
            self.happen(happening);
        }
        let choices = self.choices();
        if choices.is_empty() {
            self.wait();
            return Ok(());
        }
        let mut choice = self.dice.pick(&choices);
        // Loops that come late find more to do at once.
        for _ in 0..self.schedule.laziness {
            if matches!(choice, Choice::Begin(_, Work::Process | Work::Deliver)) {
                choice = self.dice.pick(&choices);
            }
        }
        match choice {
            Choice::Continue(node, task) => self.go_on(node, task).await?,
            Choice::Begin(node, work) => {
                let id = self.next_id();
                let Some(alive) = &mut self.nodes[node].alive else {
                    return Ok(());
                };
                alive.begin(id, work);
                let task = alive.tasks.len() - 1;
                self.advance(node, task).await?;
            }
            Choice::Post(node) => self.post(node).await?,
            // Whatever is late may be so for long.
            Choice::LateRequest if !self.is_draining && self.dice.chance(90) => {}
            Choice::LateRequest => {
                let late = self.network.late() as u64;
                self.network.arrive_late(self.dice.roll(late) as usize);
            }
            Choice::PassTime => {
                let wait = self.dice.pick(&[1, 10, 100, 250, 1_000, 5_000]);
                self.pass_time(wait);
            }
        }
        Ok(())
    }

    /// Whether nothing is under way, and nothing waits for its time.
    fn is_at_rest(&self) -> bool {
        let rests = |node: &Node| {
            let alive = node.alive.as_ref();
            alive.is_some_and(|alive| alive.deliver_at.is_none())
        };
        self.unsent.is_empty() && self.nodes.iter().all(rests) && self.choices().is_empty()
    }

    /// Lets time go on to the moment that the loops wait for. Where that brings nothing, ever
    /// further: a clock that was set back by a day makes a day's wait of any.
    fn wait(&mut self) {
        let waits = self.nodes.iter().filter_map(|node| {
            let at = node.alive.as_ref()?.deliver_at?;
            Some(at.0 - node.clock.now().0)
        });
        let wait = waits.min().unwrap_or(0).max(50 << self.idle.min(20));
        self.pass_time(wait.min(LONGEST_WAIT));
        self.idle += 1;
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        let nodes = self.nodes.iter().enumerate();
        let awake = nodes.filter(|(_, node)| node.until <= self.turn);
        let is_writing = self.nodes.iter().any(|node| {
            let tasks = node.alive.iter().flat_map(|alive| &alive.tasks);
            tasks.filter_map(|task| task.at).any(points::is_writing)
        });
        let requests = self.nodes.iter().filter_map(|node| node.alive.as_ref());
        let requests = requests.flat_map(|node| &node.tasks);
        let requests = requests.filter(|task| matches!(task.work, Work::Request(..)));
        let has_room = requests.count() < MOST_REQUESTS;
        for (number, node) in awake {
            let Some(alive) = &node.alive else { continue };
            for (place, task) in alive.tasks.iter().enumerate() {
                let may = |at| !(is_writing && points::wants_to_write(at));
                if task.at.is_some_and(may) {
                    choices.push(Choice::Continue(number, place));
                }
            }
            let beginnings = alive.beginnings().into_iter();
            choices.extend(beginnings.map(|work| Choice::Begin(number, work)));
            if has_room && !self.unsent.is_empty() {
                choices.push(Choice::Post(number));
            }
        }
        if self.network.late() > 0 {
            choices.push(Choice::LateRequest);
        }
        if !self.is_draining && !choices.is_empty() {
            choices.push(Choice::PassTime);
        }
        choices
    }

    fn next_id(&mut self) -> u64 {
        self.next_task += 1;
        self.next_task
    }

    async fn start_nodes(&mut self) -> Result<(), String> {
        for number in 0..self.nodes.len() {
            let node = &self.nodes[number];
            if node.alive.is_some() || node.until > self.turn {
                continue;
            }
            let alive = Alive::start(
                &self.disk.url(),
                &self.site.config,
                &self.schedule,
                &node.clock,
                &self.network,
                &self.points,
            )
            .await
            .map_err(|error| format!("node {number} does not start: {error}"))?;
            self.nodes[number].alive = Some(alive);
            self.say(&format!("node {number} starts"));
            self.audit().await?;
        }
        Ok(())
    }

    async fn post(&mut self, node: usize) -> Result<(), String> {
        let Some((number, tries)) = self.unsent.pop_front() else {
            return Ok(());
        };
        let post = &self.schedule.posts[number];
        self.points.say(format!(
            "{} post {number} of {} for the {}. time: {}",
            self.turn,
            post.person.last_name(),
            tries + 1,
            serde_json::Value::from(post.body.clone())
        ));
        let id = self.next_id();
        let Some(alive) = &mut self.nodes[node].alive else {
            return Ok(());
        };
        alive.request(id, number, tries + 1, &self.schedule.posts[number]);
        let task = alive.tasks.len() - 1;
        self.advance(node, task).await?;
        // A double click.
        if tries == 0 && !self.is_draining && self.dice.chance(5) {
            self.unsent.push_front((number, 1));
        }
        Ok(())
    }

    /// Lets a parked task go on, by what is to go wrong there.
    async fn go_on(&mut self, node: usize, place: usize) -> Result<(), String> {
        let Some(alive) = &mut self.nodes[node].alive else {
            return Ok(());
        };
        let task = &mut alive.tasks[place];
        let point = task.at.take().unwrap_or_default();
        let fault = task.fault.take();
        let verdict = match fault.filter(|_| !self.is_draining) {
            None => Verdict::Go,
            Some(Fault::Crash(how)) => {
                task.at = Some(point);
                self.crash(node, how);
                return Ok(());
            }
            Some(Fault::Store) => Verdict::Fail,
            Some(Fault::Request(fault)) => Verdict::Request(fault),
            Some(Fault::Answer(fault)) => Verdict::Answer(fault),
        };
        let verdict = match (&mut self.outage, verdict) {
            (Some((left, fault)), Verdict::Go) if point == points::REQUEST && *left > 0 => {
                *left -= 1;
                Verdict::Request(*fault)
            }
            (_, verdict) => verdict,
        };
        self.points.say(format!(
            "{} node {node} {:?} at {point}: {verdict:?}",
            self.turn, task.work
        ));
        match verdict {
            Verdict::Go => {}
            Verdict::Fail => self.tally.count(format!("store fails at {point}")),
            Verdict::Request(fault) => self.tally.count(format!("request {fault:?}")),
            Verdict::Answer(fault) => self.tally.count(format!("answer {fault:?}")),
        }
        self.points.release(task.id, verdict);
        self.advance(node, place).await
    }

    /// Polls a task until it has come to its next point or to its end. A pending step without a
    /// point waits for the database; a request without one, for its group.
    async fn advance(&mut self, node: usize, place: usize) -> Result<(), String> {
        let points = Arc::clone(&self.points);
        let Some(alive) = &mut self.nodes[node].alive else {
            return Ok(());
        };
        let task = &mut alive.tasks[place];
        let done = poll_fn(|context| match poll(task, context, &points) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if task.at.is_some() => Poll::Ready(None),
            Poll::Pending if matches!(task.work, Work::Request(..)) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        if let Some(done) = done {
            let task = alive.tasks.remove(place);
            return self.end(node, &task, done);
        }
        if let Some(point) = task.at {
            let nth = self.arrivals.entry(point).or_default();
            *nth += 1;
            let mut faults = self.schedule.faults.iter();
            let planned = faults.find(|fault| fault.point == point && fault.nth == *nth);
            task.fault = planned
                .filter(|_| !self.is_draining)
                .map(|planned| planned.fault);
            if point == points::SYNCED {
                self.disk.note_synced();
            }
        }
        Ok(())
    }

    fn end(&mut self, node: usize, task: &Task, done: Done) -> Result<(), String> {
        let work = task.work;
        self.points.forget(task.id);
        let Some(alive) = &mut self.nodes[node].alive else {
            return Ok(());
        };
        let how = match done {
            Done::Ingest(group_commit) => {
                alive.give_back(group_commit);
                alive.process_ready = true;
                self.end_requests(node)?;
                "ends".to_owned()
            }
            Done::Process(result) => {
                alive.process_ready = !matches!(result, Ok(process::Progress::Idle));
                if matches!(result, Ok(process::Progress::Processed(_))) {
                    self.progress += 1;
                    alive.deliver_ready = true;
                }
                format!("{result:?}")
            }
            Done::Recover(result) => {
                alive.recovered = result.is_ok();
                alive.deliver_ready = true;
                format!("{result:?}")
            }
            Done::Deliver(result) => {
                alive.recovered = result.is_ok();
                match &result {
                    Ok(deliver::Progress::Idle(at)) => {
                        alive.deliver_ready = false;
                        alive.deliver_at = *at;
                    }
                    Ok(deliver::Progress::Settled(_)) => {
                        self.idle = 0;
                        self.progress += 1;
                        alive.deliver_ready = true;
                    }
                    Err(_) => alive.deliver_ready = true,
                }
                format!("{result:?}")
            }
            Done::Request(status, receipt) => {
                let Work::Request(number, tries) = work else {
                    return Ok(());
                };
                match (status, receipt) {
                    (200, Some(receipt)) => self.acknowledged.push((number, receipt)),
                    (503, _) => self.try_again(number, tries),
                    _ => return Err(format!("post {number} was answered by {status}")),
                }
                format!("{status} {receipt:?}")
            }
        };
        self.say(&format!("node {node} {work:?}: {how}"));
        Ok(())
    }

    /// A group has been committed: those that wait for it are answered.
    fn end_requests(&mut self, node: usize) -> Result<(), String> {
        let mut place = 0;
        while let Some(alive) = &mut self.nodes[node].alive
            && let Some(task) = alive.tasks.get_mut(place)
        {
            let waits = matches!(task.work, Work::Request(..)) && task.at.is_none();
            let mut context = Context::from_waker(Waker::noop());
            if waits && let Poll::Ready(done) = poll(task, &mut context, &self.points) {
                let task = alive.tasks.remove(place);
                self.end(node, &task, done)?;
            } else {
                place += 1;
            }
        }
        Ok(())
    }

    /// A sender that has no receipt tries again, sooner or later; or it gives up.
    fn try_again(&mut self, number: usize, tries: u32) {
        if tries >= MOST_TRIES || self.dice.chance(10) {
            self.say(&format!("post {number} is given up"));
        } else if self.dice.chance(50) {
            self.unsent.push_front((number, tries));
        } else {
            self.unsent.push_back((number, tries));
        }
    }

    fn crash(&mut self, number: usize, how: Crash) {
        let Some(alive) = self.nodes[number].alive.take() else {
            return;
        };
        let at: Vec<String> = alive.tasks.iter().map(|task| format!("{task:?}")).collect();
        self.say(&format!(
            "node {number} crashes by {how:?}: {}",
            at.join(", ")
        ));
        self.tally.count(format!("crash by {how:?}"));
        for task in &alive.tasks {
            if let Some(point) = task.at {
                self.tally.count(format!("crash at {point}"));
            }
        }
        self.disk.crash(how, &mut self.dice);
        for task in &alive.tasks {
            self.points.forget(task.id);
            if let Work::Request(number, tries) = task.work {
                self.try_again(number, tries);
            }
        }
        drop(alive);
        self.nodes[number].until = self.turn + self.dice.roll(20);
    }

    fn happen(&mut self, happening: Happening) {
        self.say(&format!("{happening:?}"));
        let node = self.dice.roll(self.nodes.len() as u64) as usize;
        let name = match happening {
            Happening::ClockJump { milliseconds } => {
                self.nodes[node].clock.jump(milliseconds);
                self.pass_time(0);
                if milliseconds < 0 {
                    "clock jumps back"
                } else {
                    "clock jumps forth"
                }
            }
            Happening::Wait { milliseconds } => {
                self.pass_time(milliseconds);
                "long wait"
            }
            Happening::TokensEnd => {
                self.sandbox.expire_tokens();
                "tokens end"
            }
            Happening::RowLocks { percent, at_most } => {
                self.sandbox.set_faults(Faults {
                    row_lock_rate: f64::from(percent) / 100.0,
                    at_most: Some(at_most),
                    ..Faults::default()
                });
                "rows are locked"
            }
            Happening::Outage { calls, fault } => {
                self.outage = Some((calls, fault));
                "outage"
            }
            Happening::Pause {
                turns,
                milliseconds,
            } => {
                self.nodes[node].until = self.turn + turns;
                self.pass_time(milliseconds);
                "node paused"
            }
            Happening::Crash(how) => {
                self.crash(node, how);
                "crash anywhere"
            }
        };
        self.tally.count(name);
    }

    fn pass_time(&mut self, milliseconds: i64) {
        self.time.pass(milliseconds);
        for node in &mut self.nodes {
            node.look_at_clock();
        }
    }

    fn say(&self, what: &str) {
        self.points.say(format!("{} {what}", self.turn));
    }
}

/// Polls a task once, and notes where it is parked.
fn poll(task: &mut Task, context: &mut Context<'_>, points: &Points) -> Poll<Done> {
    points.run(task.id);
    let polled = task.future.as_mut().poll(context);
    task.at = points.parked(task.id);
    polled
}
