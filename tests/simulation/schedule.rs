//! What is to happen in one run, all of it decided by a seed: who posts what, and what goes wrong
//! where.

use serde_json::json;

use super::dice::Dice;
use super::points;

/// One run.
#[derive(Debug)]
pub struct Schedule {
    pub seed: u64,
    /// In the order in which they are first sent.
    pub posts: Vec<Post>,
    /// What goes wrong when a point is come to for the `nth` time.
    pub faults: Vec<PlannedFault>,
    /// What happens at a turn, soonest first.
    pub happenings: Vec<(u64, Happening)>,
    pub batch_size: usize,
    pub linger_ms: u64,
    pub assigns_on_create: bool,
    /// How many turns the loops give to others before they begin a step.
    pub laziness: u64,
}

/// What one person sends once; it may be posted several times.
#[derive(Debug, Clone)]
pub struct Post {
    pub person: Person,
    pub idempotency_key: Option<String>,
    pub body: serde_json::Map<String, serde_json::Value>,
}

/// One person; known in the org by the last name, which nobody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person(pub usize);

#[derive(Debug, Clone, Copy)]
pub struct PlannedFault {
    pub point: &'static str,
    pub nth: u64,
    pub fault: Fault,
}

/// What goes wrong at a point.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Crash(Crash),
    /// The store fails: before a commit nothing was written, after it the answer is lost.
    Store,
    Request(RequestFault),
    Answer(AnswerFault),
    /// The node stands still here, past its lease.
    Sleep(Sleep),
    /// It stands still for so many turns, and its lease lasts: what it does is its own still.
    Slow {
        turns: u64,
    },
}

/// How a node outlives its lease.
#[derive(Debug, Clone, Copy)]
pub struct Sleep {
    pub turns: u64,
    /// Whether the server takes back the transactions that it stands still in; it may have begun
    /// them long after it renewed its lease.
    pub loses_transactions: bool,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// What was committed stays.
    Kill,
    /// Of what was committed and not synced some is lost.
    PowerLoss,
}

/// What becomes of a request on its way to Salesforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFault {
    /// No connection.
    Refused,
    /// It gets lost; the caller waits in vain.
    Lost,
    /// The caller waits in vain, and then it arrives.
    Late,
    /// It is carried out twice in a row.
    Doubled,
    /// It is carried out, and later once more.
    CopiedLate,
    /// Salesforce refuses it: an error in one of the forms that it has for that.
    Error(ServerError),
}

/// Salesforce carries nothing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerError {
    /// 500 with a code.
    Unknown,
    /// 503 with a code.
    Unavailable,
    /// 503 with a page in place of JSON.
    Page,
    /// 429.
    TooMany,
    /// 403: the allowance of the day is used up.
    Limit,
    /// 401: the token has ended.
    Session,
}

/// What becomes of an answer on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFault {
    /// The connection breaks.
    Lost,
    /// It comes when the caller waits no longer.
    Late,
    /// A gateway puts a page in its place.
    Gateway,
    /// Half of it arrives.
    Cut,
}

/// What happens to the world rather than at a point.
#[derive(Debug, Clone, Copy)]
pub enum Happening {
    /// The node's clock is set forth or back.
    ClockJump { milliseconds: i64 },
    /// Time passes.
    Wait { milliseconds: i64 },
    /// Every token ends.
    TokensEnd,
    /// The next rows meet locks.
    RowLocks { percent: u8, at_most: u64 },
    /// So many requests in a row meet this.
    Outage { calls: u64, fault: RequestFault },
    /// The node stands still for so many turns, while that much time passes.
    Pause { turns: u64, milliseconds: i64 },
    /// The node stands still until after its lease, wherever its tasks are.
    Sleep(Sleep),
    /// The node dies wherever its tasks are.
    Crash(Crash),
}

const MINUTE: i64 = 60_000;

const REQUEST_FAULTS: [RequestFault; 13] = [
    RequestFault::Refused,
    RequestFault::Lost,
    RequestFault::Late,
    RequestFault::Doubled,
    RequestFault::CopiedLate,
    RequestFault::Late,
    RequestFault::CopiedLate,
    RequestFault::Error(ServerError::Unknown),
    RequestFault::Error(ServerError::Unavailable),
    RequestFault::Error(ServerError::Page),
    RequestFault::Error(ServerError::TooMany),
    RequestFault::Error(ServerError::Limit),
    RequestFault::Error(ServerError::Session),
];

const ANSWER_FAULTS: [AnswerFault; 4] = [
    AnswerFault::Lost,
    AnswerFault::Late,
    AnswerFault::Gateway,
    AnswerFault::Cut,
];

impl Schedule {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let people = 8 + dice.roll(13) as usize;
        let posts = posts(people, &mut dice.fork());
        let faults = (0..dice.roll(7)).map(|_| fault(&mut dice)).collect();
        let mut happenings: Vec<(u64, Happening)> = (0..dice.roll(4))
            .map(|_| (dice.roll(400), happening(&mut dice)))
            .collect();
        happenings.sort_by_key(|(turn, _)| *turn);
        Self {
            seed,
            posts,
            faults,
            happenings,
            batch_size: dice.pick(&[1, 2, 5, 200]),
            linger_ms: dice.pick(&[0, 200]),
            assigns_on_create: dice.chance(25),
            laziness: dice.pick(&[0, 2, 4, 4]),
        }
    }
}

impl Schedule {
    /// The same with nodes that outlive their leases.
    pub fn of_nodes(seed: u64) -> Self {
        let mut schedule = Self::of(seed);
        // Beside the rows that have decided all else.
        let mut dice = Dice::of(seed.rotate_left(32));
        for _ in 0..=dice.roll(3) {
            let sleep = Sleep {
                turns: 10 + dice.roll(80),
                loses_transactions: dice.chance(50),
            };
            if dice.chance(70) {
                let fault = PlannedFault {
                    point: dice.pick(&points::STORE),
                    nth: 1 + dice.roll(6),
                    fault: Fault::Sleep(sleep),
                };
                schedule.faults.insert(0, fault);
            } else {
                let happening = (dice.roll(300), Happening::Sleep(sleep));
                schedule.happenings.push(happening);
            }
        }
        schedule.happenings.sort_by_key(|(turn, _)| *turn);
        // Where nothing but the lease keeps others from sending the same.
        for _ in 0..dice.roll(3) {
            let fault = PlannedFault {
                point: points::REQUEST,
                nth: 1 + dice.roll(16),
                fault: Fault::Slow {
                    turns: 40 + dice.roll(80),
                },
            };
            schedule.faults.push(fault);
        }
        schedule
    }
}

/// Everyone posts once, some more often; those of one person are close to each other, so that they
/// are under way together.
fn posts(people: usize, dice: &mut Dice) -> Vec<Post> {
    let mut order: Vec<(u64, usize)> = Vec::new();
    for person in 0..people {
        let moment = dice.roll(1000);
        let times = dice.pick(&[1, 1, 1, 1, 2, 2, 3, 5]);
        order.extend((0..times).map(|_| (moment + dice.roll(150), person)));
    }
    order.sort_unstable();
    let persons = order.into_iter().map(|(_, person)| Person(person));
    persons
        .enumerate()
        .map(|(number, person)| Post::new(person, number, dice))
        .collect()
}

impl Post {
    /// The values of title and company are of this post alone.
    fn new(person: Person, number: usize, dice: &mut Dice) -> Self {
        let mut body = serde_json::Map::new();
        let mut put = |name: &str, value: String| {
            body.insert(name.to_owned(), json!(value));
        };
        put("last_name", person.last_name());
        put("phone", person.phone());
        match dice.roll(4) {
            // Known by phone and last name only.
            0 => {}
            1 => put("email", person.email().to_uppercase()),
            _ => put("email", person.email()),
        }
        if dice.chance(75) {
            put("title", format!("Head of Room {number}"));
        }
        if dice.chance(75) {
            put("company", format!("Orchard {number}"));
        }
        if dice.chance(25) {
            put(
                "city",
                dice.pick(&["Berlin", "Hamburg", "Bremen"]).to_owned(),
            );
        }
        if dice.chance(30) {
            put("campaign", dice.pick(&["Fair", "Webinar"]).to_owned());
        }
        if dice.chance(30) {
            put("message", format!("Call room {number}"));
        }
        Self {
            person,
            idempotency_key: dice.chance(40).then(|| format!("key-{number}")),
            body,
        }
    }
}

impl Person {
    pub fn email(self) -> String {
        format!("person-{}@people.example", self.0)
    }

    pub fn phone(self) -> String {
        format!("+4930901{:06}", self.0)
    }

    pub fn last_name(self) -> String {
        let letters = format!("{:03}", self.0);
        let letters = letters
            .bytes()
            .map(|digit| char::from(b'a' + (digit - b'0')));
        format!("Muster{}", letters.collect::<String>())
    }
}

fn crash(dice: &mut Dice) -> Crash {
    dice.pick(&[Crash::Kill, Crash::Kill, Crash::PowerLoss])
}

fn fault(dice: &mut Dice) -> PlannedFault {
    match dice.roll(10) {
        0..=3 => {
            let others = [points::RECEIVED, points::REQUEST, points::ANSWER];
            let point = if dice.chance(65) {
                dice.pick(&points::STORE)
            } else {
                dice.pick(&others)
            };
            PlannedFault {
                point,
                nth: 1 + dice.roll(5),
                fault: Fault::Crash(crash(dice)),
            }
        }
        4..=5 => PlannedFault {
            point: dice.pick(&points::STORE),
            nth: 1 + dice.roll(5),
            fault: Fault::Store,
        },
        6..=7 => PlannedFault {
            point: points::REQUEST,
            nth: 1 + dice.roll(16),
            fault: Fault::Request(dice.pick(&REQUEST_FAULTS)),
        },
        _ => PlannedFault {
            point: points::ANSWER,
            nth: 1 + dice.roll(16),
            fault: Fault::Answer(dice.pick(&ANSWER_FAULTS)),
        },
    }
}

fn happening(dice: &mut Dice) -> Happening {
    match dice.roll(8) {
        0 => Happening::ClockJump {
            milliseconds: dice.pick(&[-1, -10, -1_000, -MINUTE, -30 * MINUTE, -24 * 60 * MINUTE]),
        },
        1 => Happening::ClockJump {
            milliseconds: dice.pick(&[1_000, MINUTE, 60 * MINUTE, 24 * 60 * MINUTE]),
        },
        2 => Happening::Wait {
            milliseconds: dice.pick(&[5_000, 15 * MINUTE, 3 * 60 * MINUTE]),
        },
        3 => Happening::TokensEnd,
        4 => Happening::RowLocks {
            percent: dice.pick(&[30, 100]),
            at_most: 1 + dice.roll(8),
        },
        5 => Happening::Outage {
            calls: 2 + dice.roll(10),
            fault: dice.pick(&REQUEST_FAULTS),
        },
        6 => Happening::Pause {
            turns: 20 + dice.roll(60),
            milliseconds: dice.pick(&[1_000, 5 * MINUTE, 120 * MINUTE]),
        },
        _ => Happening::Crash(crash(dice)),
    }
}
