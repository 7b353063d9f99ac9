//! The scheduler: one task goes on at a time, from its point to its next one, and dice say which.
//!
//! A task that runs waits for the database. What it would wait for of another task over files is
//! known from the points (`points::wants_to_write`), so that it is not let go on before; PostgreSQL
//! is asked.

use std::collections::{BTreeSet, HashMap, VecDeque};
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
use tokio::time::timeout;

use super::check::{self, Kept};
use super::clock::{SkewedClock, Time};
use super::dice::Dice;
use super::ground::Ground;
use super::history::TYPED;
use super::network::{Lateness, Network};
use super::node::{Alive, Done, Node, Task, Work};
use super::points::{self, Points, Verdict};
use super::schedule::{Crash, Fault, Happening, Person, RequestFault, Schedule, Sleep};
use super::tally::Tally;

/// Requests that are under way at once.
const MOST_REQUESTS: usize = 6;

/// How often a sender tries again.
const MOST_TRIES: u32 = 6;

/// No run takes so many turns by far: whoever does has lost its way.
const MOST_TURNS: u64 = 5_000;

/// Turns after the last post in which things still go wrong.
const MORE_TURNS: u64 = 300;

/// After so many milliseconds all look what others have left. As a loop does after one second; but
/// each look takes its time.
const LONG: i64 = 5_000;

/// How far time goes on, at most, when all wait for it.
const LONGEST_WAIT: i64 = 60 * 60 * 1000;

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
    config: &'s Config,
    schedule: Schedule,
    dice: Dice,
    points: Arc<Points>,
    time: Arc<Time>,
    ground: &'s mut Ground,
    sandbox: Sandbox,
    network: Arc<Network>,
    nodes: Vec<Node>,
    /// Leases of the dead, and when they end.
    left: Vec<(u64, leadstream::store::Node)>,
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
    /// How many people a rep has typed in.
    typed: usize,
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

/// Carries out `schedule` on `ground`, which is clear.
pub async fn run(
    config: &Config,
    ground: &mut Ground,
    schedule: Schedule,
    lateness: Lateness,
) -> Report {
    let mut world = World::new(config, ground, schedule, lateness);
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

/// A rep has typed in one person of four, who will send their form later.
fn type_in_by_hand(sandbox: &Sandbox, schedule: &Schedule, dice: &mut Dice) -> usize {
    let mut typed = 0;
    let people: BTreeSet<usize> = schedule.posts.iter().map(|post| post.person.0).collect();
    for person in people.into_iter().map(Person) {
        if !dice.chance(25) {
            continue;
        }
        let mut record = serde_json::Map::new();
        let mut put = |name: &str, value: String| {
            record.insert(name.to_owned(), value.into());
        };
        put("LastName", person.last_name());
        put("Company", TYPED.to_owned());
        put("Description", TYPED.to_owned());
        put("Email", person.email());
        put("Phone", person.phone());
        sandbox.create("Lead", &record).unwrap();
        typed += 1;
    }
    typed
}

impl<'s> World<'s> {
    fn new(
        config: &'s Config,
        ground: &'s mut Ground,
        schedule: Schedule,
        lateness: Lateness,
    ) -> Self {
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
        let typed = type_in_by_hand(&sandbox, &schedule, &mut dice);
        let node = || SkewedClock::new(Arc::clone(&time), Arc::clone(&points));
        Self {
            network: Network::new(&sandbox, Arc::clone(&points), lateness),
            nodes: (0..ground.nodes()).map(|_| Node::new(node())).collect(),
            left: Vec::new(),
            config,
            ground,
            unsent: (0..schedule.posts.len())
                .map(|number| (number, 0))
                .collect(),
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
            typed,
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
        check::what_was_typed_stays(&self.sandbox, self.typed)?;
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
        let mut quiet = 0;
        // What a transaction held that was just given up is found the second time.
        let enough = if self.ground.is_shared() { 2 } else { 1 };
        while quiet < enough {
            let before = self.progress;
            self.end_leases().await;
            for node in &mut self.nodes {
                if self.ground.is_shared() {
                    node.look_at_others();
                } else {
                    node.look_at_all();
                }
            }
            while !self.is_at_rest() {
                self.take_turn().await?;
            }
            self.ground.until_calm().await;
            quiet = if before == self.progress {
                quiet + 1
            } else {
                0
            };
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
        self.end_leases().await;
        self.start_nodes().await?;
        while !self.is_draining
            && self
                .schedule
                .happenings
                .first()
                .is_some_and(|(turn, _)| *turn <= self.turn)
        {
            let (_, happening) = self.schedule.happenings.remove(0);
            self.happen(happening).await;
        }
        let choices = self.choices();
        if choices.is_empty() {
            if !self.any_running() {
                self.wait();
            }
            // Else it is the database's turn: it ends a ring of those that wait for each other.
            return self.let_run().await;
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
        self.let_run().await
    }

    fn any_running(&self) -> bool {
        let mut nodes = self.nodes.iter().filter_map(|node| node.alive.as_ref());
        nodes.any(Alive::is_in_database)
    }

    /// Whether nothing is under way, and nothing waits for its time.
    fn is_at_rest(&self) -> bool {
        let rests = |node: &Node| {
            let alive = node.alive.as_ref();
            alive.is_some_and(|alive| alive.deliver_at.is_none())
        };
        self.unsent.is_empty()
            && self.nodes.iter().all(rests)
            && self.choices().is_empty()
            && !self.any_running()
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
        // Of a database everyone writes at once.
        let is_writing = !self.ground.is_shared()
            && self.nodes.iter().any(|node| {
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
            let clock = Arc::clone(&node.clock);
            if node.alive.is_some() || node.until > self.turn {
                continue;
            }
            let url = self.ground.url(number);
            let mut start = Box::pin(Alive::start(
                &url,
                self.config,
                &self.schedule,
                &clock,
                &self.network,
                &self.points,
            ));
            let running = self.running();
            let started = loop {
                let Some(patience) = self.ground.patience() else {
                    break Some((&mut start).await);
                };
                match timeout(patience, &mut start).await {
                    Ok(started) => break Some(started),
                    Err(_) if self.ground.blocked().await > running => break None,
                    Err(_) => {}
                }
            };
            let Some(started) = started else {
                self.say(&format!("node {number} is kept from starting"));
                self.tally.count("start kept up");
                self.ground.crash(number, Crash::Kill, &mut self.dice).await;
                self.nodes[number].until = self.turn + 5;
                continue;
            };
            drop(start);
            let alive =
                started.map_err(|error| format!("node {number} does not start: {error}"))?;
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
                self.crash(node, how).await;
                return Ok(());
            }
            Some(Fault::Sleep(sleep)) => {
                task.at = Some(point);
                if self.sleep(node, sleep).await {
                    self.tally.count(format!("sleep at {point}"));
                }
                return Ok(());
            }
            Some(Fault::Slow { turns }) => {
                task.at = Some(point);
                self.say(&format!("node {node} is slow at {point}"));
                self.tally.count(format!("slow at {point}"));
                self.nodes[node].until = self.turn + turns;
                // Others look whether it is still there.
                self.pass_time(LONG);
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

    /// Polls a task until it has come to its next point or to its end, or is held up. A pending step
    /// without a point waits for the database; a request without one, for its group.
    async fn advance(&mut self, node: usize, place: usize) -> Result<(), String> {
        let points = Arc::clone(&self.points);
        let Some(alive) = &mut self.nodes[node].alive else {
            return Ok(());
        };
        let task = &mut alive.tasks[place];
        let polled = poll_fn(|context| Poll::Ready(poll(task, context, &points))).await;
        match polled {
            Poll::Ready(done) => self.stop(node, place, Some(done))?,
            Poll::Pending if task.at.is_some() => self.stop(node, place, None)?,
            Poll::Pending => {}
        }
        self.let_run().await
    }

    /// Polls all that run until each has come to its next point or to its end, or waits for what
    /// another has locked.
    async fn let_run(&mut self) -> Result<(), String> {
        loop {
            let points = Arc::clone(&self.points);
            let nodes = &mut self.nodes;
            let stopped = poll_fn(|context| poll_running(nodes, context, &points));
            let stopped = match self.ground.patience() {
                None => Ok(stopped.await),
                Some(patience) => timeout(patience, stopped).await,
            };
            match stopped {
                Ok(None) => return Ok(()),
                Ok(Some((node, place, done))) => self.stop(node, place, done)?,
                Err(_) if self.ground.blocked().await >= self.running() => {
                    self.tally.count("turns with a task held up by another");
                    return Ok(());
                }
                Err(_) => {}
            }
        }
    }

    fn running(&self) -> usize {
        let nodes = self.nodes.iter().filter_map(|node| node.alive.as_ref());
        let tasks = nodes.flat_map(|node| &node.tasks);
        tasks.filter(|task| task.is_running()).count()
    }

    /// A task has come to a point, or to its end.
    fn stop(&mut self, node: usize, place: usize, done: Option<Done>) -> Result<(), String> {
        let Some(alive) = &mut self.nodes[node].alive else {
            return Ok(());
        };
        if let Some(done) = done {
            let task = alive.tasks.remove(place);
            return self.end(node, &task, done);
        }
        let task = &mut alive.tasks[place];
        if let Some(point) = task.at {
            let nth = self.arrivals.entry(point).or_default();
            *nth += 1;
            let mut faults = self.schedule.faults.iter();
            let planned = faults.find(|fault| fault.point == point && fault.nth == *nth);
            task.fault = planned
                .filter(|_| !self.is_draining)
                .map(|planned| planned.fault);
            if point == points::SYNCED {
                self.ground.note_synced();
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
            Done::Keep(result) => {
                alive.keep_ready = false;
                alive.deliver_ready = true;
                // It will be done again.
                self.progress += u64::from(result.is_err());
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

    /// Lets a node stand still until others have had the time to take over. Returns whether it does:
    /// see `points::is_sending`; and what waits for the database comes to its next point first.
    async fn sleep(&mut self, number: usize, sleep: Sleep) -> bool {
        let Some(alive) = &self.nodes[number].alive else {
            return false;
        };
        if alive.is_sending() || alive.is_in_database() {
            return false;
        }
        let Ok(node) = alive.store.node() else {
            return false;
        };
        self.say(&format!("node {number} outlives its lease: {sleep:?}"));
        self.ground.end_lease(node).await;
        if sleep.loses_transactions {
            self.ground.end_transactions_of(number).await;
        }
        self.nodes[number].until = self.turn + sleep.turns;
        self.lease_ended();
        true
    }

    /// The leases of the dead, as their time comes.
    async fn end_leases(&mut self) {
        let turn = if self.is_draining {
            u64::MAX
        } else {
            self.turn
        };
        let over = |(end, _): &mut (u64, _)| *end <= turn;
        let over: Vec<_> = self.left.extract_if(.., over).collect();
        for (_, node) in over {
            self.ground.end_lease(node).await;
            self.lease_ended();
        }
    }

    /// All notice it, sooner or later.
    fn lease_ended(&mut self) {
        for node in &mut self.nodes {
            if let Some(alive) = &mut node.alive {
                alive.keep_ready = true;
            }
        }
    }

    async fn crash(&mut self, number: usize, how: Crash) {
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
        self.ground.crash(number, how, &mut self.dice).await;
        if self.ground.is_shared()
            && let Ok(node) = alive.store.node()
        {
            self.left.push((self.turn + self.dice.roll(60), node));
        }
        for task in &alive.tasks {
            self.points.forget(task.id);
            if let Work::Request(number, tries) = task.work {
                self.try_again(number, tries);
            }
        }
        drop(alive);
        self.nodes[number].until = self.turn + self.dice.roll(20);
    }

    async fn happen(&mut self, happening: Happening) {
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
            Happening::Sleep(sleep) => {
                if !self.sleep(node, sleep).await {
                    let soon = (self.turn + 1, happening);
                    self.schedule.happenings.insert(0, soon);
                    return;
                }
                "sleep anywhere"
            }
            Happening::Crash(how) => {
                self.crash(node, how).await;
                "crash anywhere"
            }
        };
        self.tally.count(name);
    }

    fn pass_time(&mut self, milliseconds: i64) {
        self.time.pass(milliseconds);
        for node in &mut self.nodes {
            node.look_at_clock();
            // As each loop does once a second.
            if self.ground.is_shared() && milliseconds >= LONG && !self.is_draining {
                node.look_at_others();
            }
        }
    }

    fn say(&self, what: &str) {
        self.points.say(format!("{} {what}", self.turn));
    }
}

/// Polls whatever runs, until one of it has stopped: at a point, or at its end. Nothing: none runs.
fn poll_running(
    nodes: &mut [Node],
    context: &mut Context<'_>,
    points: &Points,
) -> Poll<Option<(usize, usize, Option<Done>)>> {
    let mut any = false;
    for (number, node) in nodes.iter_mut().enumerate() {
        let tasks = node.alive.iter_mut().flat_map(|alive| &mut alive.tasks);
        for (place, task) in tasks.enumerate().filter(|(_, task)| task.is_running()) {
            any = true;
            match poll(task, context, points) {
                Poll::Ready(done) => return Poll::Ready(Some((number, place, Some(done)))),
                Poll::Pending if task.at.is_some() => {
                    return Poll::Ready(Some((number, place, None)));
                }
                Poll::Pending => {}
            }
        }
    }
    if any {
        Poll::Pending
    } else {
        Poll::Ready(None)
    }
}

/// Polls a task once, and notes where it is parked.
fn poll(task: &mut Task, context: &mut Context<'_>, points: &Points) -> Poll<Done> {
    points.run(task.id);
    let polled = task.future.as_mut().poll(context);
    task.at = points.parked(task.id);
    polled
}
