//! How fast one account is called: by all sources of this process that share its credentials.
//!
//! Owns: when the next request may go. A request that would have to wait long is refused instead, so
//! that nobody holds a lease meanwhile. Time comes from the clock alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::HeaderMap;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connector::manifest::Limits;
use crate::connector::time;
use crate::edge::clock::SharedClock;
use crate::model::Millis;

/// What is longer is not waited out in a call.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The first wait after "too often" that names no time, and the longest.
const FIRST_HOLD: Duration = Duration::from_secs(30);
const LONGEST_HOLD: Duration = Duration::from_secs(15 * 60);

/// The longest wait that a vendor is believed: a daily quota, and an hour for clocks that differ.
const LONGEST_ASKED: Duration = Duration::from_secs(25 * 60 * 60);

/// Requests that are left, below which they are spread over the time until there are more.
const FEW_LEFT: u64 = 5;

/// The most times that are remembered for one pace.
const MOST_REMEMBERED: u32 = 10_000;

/// The accounts of this process, by the hash of their credentials.
#[derive(Debug, Default)]
pub struct Accounts(Mutex<HashMap<String, Weak<Account>>>);

impl Accounts {
    /// The account of that key. Whoever asks first says its limits.
    pub fn account(&self, key: &str, limits: &Limits, clock: &SharedClock) -> Arc<Account> {
        let mut accounts = self.0.lock();
        if let Some(known) = accounts.get(key).and_then(Weak::upgrade) {
            return known;
        }
        accounts.retain(|_, account| account.strong_count() > 0);
        let account = Arc::new(Account::new(limits, clock.clone()));
        accounts.insert(key.to_owned(), Arc::downgrade(&account));
        account
    }
}

/// One account.
#[derive(Debug)]
pub struct Account {
    clock: SharedClock,
    at_once: Arc<Semaphore>,
    remaining_header: Option<String>,
    reset_header: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    paces: Vec<Pace>,
    /// No request goes before.
    held_until: Option<Millis>,
    /// "Too often", one after the other.
    refusals: u32,
}

/// At most so many requests in any stretch of time that long: exact, whatever window the vendor
/// counts by.
#[derive(Debug)]
struct Pace {
    requests: usize,
    window: Duration,
    sent: VecDeque<Millis>,
}

impl Pace {
    fn new(requests: f64, window: Duration) -> Option<Self> {
        if !requests.is_finite() || requests <= 0.0 {
            return None;
        }
        let whole = requests.floor().clamp(1.0, f64::from(MOST_REMEMBERED));
        // Half a request a second is one in two seconds.
        let window = Duration::try_from_secs_f64(window.as_secs_f64() * whole / requests).ok()?;
        Some(Self {
            requests: whole as usize,
            window,
            sent: VecDeque::new(),
        })
    }

    /// How long until the next one may go.
    fn wait(&mut self, now: Millis) -> Duration {
        // A clock that was set back makes nobody wait for it to catch up.
        for at in &mut self.sent {
            *at = (*at).min(now);
        }
        while let Some(first) = self.sent.front()
            && now.since(*first) >= self.window
        {
            self.sent.pop_front();
        }
        match self.sent.front() {
            Some(first) if self.sent.len() >= self.requests => {
                self.window.saturating_sub(now.since(*first))
            }
            _ => Duration::ZERO,
        }
    }
}

/// Held while a request is under way.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "gives its place back")] OwnedSemaphorePermit);

impl Account {
    fn new(limits: &Limits, clock: SharedClock) -> Self {
        let per_second = limits
            .requests_per_second
            .and_then(|requests| Pace::new(requests, Duration::from_secs(1)));
        let per_minute = limits
            .requests_per_minute
            .and_then(|requests| Pace::new(requests.into(), Duration::from_secs(60)));
        let at_once = limits.concurrent.unwrap_or(1).clamp(1, 1_000);
        Self {
            clock,
            at_once: Arc::new(Semaphore::new(at_once as usize)),
            remaining_header: limits.remaining_header.clone(),
            reset_header: limits.reset_header.clone(),
            state: Mutex::new(State {
                paces: per_second.into_iter().chain(per_minute).collect(),
                held_until: None,
                refusals: 0,
            }),
        }
    }

    /// Waits until a request may go. If that is more than half a minute from now: how long.
    pub async fn enter(&self) -> Result<Permit, Duration> {
        let now = self.clock.now();
        if let Some(wait) = self.state.lock().held(now)
            && wait > LONGEST_WAIT
        {
            return Err(wait);
        }
        let permit = self.at_once.clone().acquire_owned().await;
        // It is never closed.
        let permit = permit.map_err(|_| Duration::ZERO)?;
        loop {
            let wait = self.state.lock().take(self.clock.now());
            if wait.is_zero() {
                return Ok(Permit(permit));
            }
            if wait > LONGEST_WAIT {
                return Err(wait);
            }
            self.clock.sleep(wait).await;
        }
    }

    /// Stops all of the account's sources after "too often": for as long as the vendor says, else
    /// longer each time. Returns for how long.
    pub fn throttle(&self, asked: Option<Duration>) -> Duration {
        let mut state = self.state.lock();
        state.refusals = state.refusals.saturating_add(1);
        let wait = asked.map_or_else(
            || {
                let doubled = 1_u32.checked_shl(state.refusals - 1).unwrap_or(u32::MAX);
                FIRST_HOLD.saturating_mul(doubled).min(LONGEST_HOLD)
            },
            |asked| asked.clamp(Duration::from_secs(1), LONGEST_ASKED),
        );
        state.hold(self.clock.now().after(wait));
        wait
    }

    /// Learns from an answer that is not "too often": how many requests are left.
    pub fn learn(&self, headers: &HeaderMap) {
        let now = self.clock.now();
        let text = |name: &Option<String>| headers.get(name.as_deref()?)?.to_str().ok();
        let left = text(&self.remaining_header).and_then(|left| left.trim().parse::<f64>().ok());
        let reset = text(&self.reset_header).and_then(|reset| wait(reset, now));
        let mut state = self.state.lock();
        state.refusals = 0;
        let Some(left) = left.filter(|left| *left < FEW_LEFT as f64) else {
            return;
        };
        let left = left.max(0.0) as u32;
        let until_more = match reset {
            Some(reset) => reset,
            None if left > 0 => return,
            None => Duration::from_secs(1),
        };
        state.hold(now.after(until_more / (left + 1)));
    }
}

impl State {
    fn hold(&mut self, until: Millis) {
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
    }

    fn held(&mut self, now: Millis) -> Option<Duration> {
        let until = self.held_until?;
        let wait = until.since(now);
        // A wait that is longer than any is of a clock that was set back since.
        if wait.is_zero() || wait > LONGEST_ASKED {
            self.held_until = None;
            return None;
        }
        Some(wait)
    }

    /// Takes a request, or says how long to wait.
    fn take(&mut self, now: Millis) -> Duration {
        let held = self.held(now).unwrap_or_default();
        let wait = self.paces.iter_mut().map(|pace| pace.wait(now)).max();
        let wait = wait.unwrap_or_default().max(held);
        if wait.is_zero() {
            for pace in &mut self.paces {
                pace.sent.push_back(now);
            }
            return wait;
        }
        // The clock counts whole milliseconds.
        wait.max(Duration::from_millis(1))
    }
}

/// How long a vendor asks to wait: seconds (`3`, `0.5`, `30s`), a moment in seconds or milliseconds
/// since 1970, an HTTP date or an ISO time. A moment that is over is no wait.
pub fn wait(text: &str, now: Millis) -> Option<Duration> {
    let text = text.trim();
    let number = text.strip_suffix('s').unwrap_or(text).parse::<f64>();
    let wait = match number {
        Ok(number) if !number.is_finite() || number < 0.0 => return None,
        Ok(number) if number >= 1e11 => Millis(number as i64).since(now),
        Ok(number) if number >= 1e9 => Millis((number * 1000.0) as i64).since(now),
        Ok(number) => Duration::try_from_secs_f64(number).ok()?,
        Err(_) => moment(text)?.since(now),
    };
    Some(wait.min(LONGEST_ASKED))
}

fn moment(text: &str) -> Option<Millis> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    match date {
        Ok(date) => Some(Millis(date.as_millisecond())),
        Err(_) => time::parse(text, None, &TimeZone::UTC),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::clock::ManualClock;

    const NOW: Millis = Millis(1_772_359_200_000);

    fn account(limits: &str) -> (Arc<ManualClock>, Account) {
        let clock = ManualClock::at(NOW);
        let limits: Limits = toml::from_str(limits).unwrap();
        let account = Account::new(&limits, clock.clone());
        (clock, account)
    }

    /// How long until a request goes, tried each 100 ms; it is not held.
    async fn waits(clock: &ManualClock, account: &Account) -> u64 {
        let mut enter = Box::pin(account.enter());
        for tenth in 0..600 {
            if futures_util::poll!(&mut enter).is_ready() {
                return tenth * 100;
            }
            clock.advance(Duration::from_millis(100));
        }
        panic!("it never goes");
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[tokio::test]
    async fn no_second_holds_more_requests_than_the_limit() {
        let (clock, account) = account("requests_per_second = 2");
        let mut gone = Vec::new();
        for _ in 0..6 {
            gone.push(waits(&clock, &account).await);
        }
        assert_eq!(gone, [0, 0, 1000, 0, 1000, 0]);
    }

    #[tokio::test]
    async fn half_a_request_a_second_is_one_in_two_seconds() {
        let (clock, account) = account("requests_per_second = 0.5");
        assert_eq!(waits(&clock, &account).await, 0);
        assert_eq!(waits(&clock, &account).await, 2000);
    }

    #[tokio::test]
    async fn both_limits_hold() {
        let (clock, account) = account("requests_per_second = 2\nrequests_per_minute = 3");
        for expect in [0, 0, 1000] {
            assert_eq!(waits(&clock, &account).await, expect);
        }
        let wait = account.enter().await.unwrap_err();
        assert_eq!(wait, Duration::from_secs(59));
    }

    #[tokio::test]
    async fn one_request_at_a_time_unless_more_are_allowed() {
        let (_, account) = account("");
        let permit = account.enter().await.unwrap();
        let mut second = Box::pin(account.enter());
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(permit);
        second.await.unwrap();
    }

    #[tokio::test]
    async fn too_often_stops_all_sources_of_an_account_and_of_no_other() {
        let clock: SharedClock = ManualClock::at(NOW);
        let accounts = Accounts::default();
        let limits = Limits::default();
        let one = accounts.account("a", &limits, &clock);
        let same = accounts.account("a", &limits, &clock);
        let other = accounts.account("b", &limits, &clock);
        one.throttle(Some(Duration::from_secs(90)));
        assert_eq!(same.enter().await.unwrap_err(), Duration::from_secs(90));
        other.enter().await.unwrap();
    }

    #[tokio::test]
    async fn a_short_stop_is_waited_out() {
        let (clock, account) = account("");
        account.throttle(Some(Duration::from_secs(3)));
        assert_eq!(waits(&clock, &account).await, 3000);
    }

    #[test]
    fn without_a_time_each_stop_is_longer_until_an_answer_comes() {
        let (_, account) = account("");
        let stops: Vec<u64> = (0..7).map(|_| account.throttle(None).as_secs()).collect();
        assert_eq!(stops, [30, 60, 120, 240, 480, 900, 900]);
        account.learn(&HeaderMap::new());
        assert_eq!(account.throttle(None).as_secs(), 30);
    }

    #[tokio::test]
    async fn the_last_requests_are_spread_until_there_are_more() {
        let (clock, account) = account("remaining_header = \"x-left\"\nreset_header = \"x-reset\"");
        for (left, reset, expect) in [("5", "10", 0), ("1", "10", 5000), ("0", "10", 10_000)] {
            account.learn(&headers(&[("x-left", left), ("x-reset", reset)]));
            assert_eq!(waits(&clock, &account).await, expect, "{left}");
        }
    }

    #[tokio::test]
    async fn a_clock_set_back_holds_nobody() {
        let (clock, account) = account("requests_per_second = 1");
        account.enter().await.unwrap();
        account.throttle(Some(Duration::from_secs(90)));
        clock.set_back(Duration::from_secs(48 * 3600));
        assert_eq!(waits(&clock, &account).await, 1000);
    }

    #[test]
    fn a_wait_is_read_in_each_form_that_vendors_use() {
        for (text, expect) in [
            ("7", Some(7_000)),
            (" 0.5 ", Some(500)),
            ("30s", Some(30_000)),
            ("1772359260", Some(60_000)),
            ("1772359260000", Some(60_000)),
            ("Sun, 01 Mar 2026 10:01:00 GMT", Some(60_000)),
            ("2026-03-01T10:01:00Z", Some(60_000)),
            ("2026-03-01T11:01:00+0100", Some(60_000)),
            ("2026-03-01T09:00:00Z", Some(0)),
            ("999999", Some(25 * 3_600_000)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let expect = expect.map(Duration::from_millis);
            assert_eq!(wait(text, NOW), expect, "{text}");
        }
    }
}
