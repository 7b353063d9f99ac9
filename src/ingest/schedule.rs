//! When a source is polled: crontab's five fields, or six with seconds first, by the wall clock of a
//! time zone.
//!
//! Pure. Promises: the next run is always later than now; where clocks are set ahead, what falls into
//! the hour that is left out runs once, after it; in an hour that comes twice, it runs in both.

use std::time::Duration;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, Timelike as _};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use crate::connector::time;
use crate::model::Millis;

/// The longest that a run is put off, so that not all sources of all nodes call at full minutes.
const MOST_JITTER: Duration = Duration::from_secs(30);

/// When a source is polled.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    /// A share of the interval, in 0..1: the same each time, so that intervals stay what they are.
    share: f64,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no schedule: {0}")]
pub struct ScheduleError(String);

impl Schedule {
    /// A schedule by the wall clock of `zone` (IANA; UTC if not said). Sources of different `name`s
    /// run some seconds apart. None if `text` is `off`.
    pub fn parse(
        text: &str,
        zone: Option<&str>,
        name: &str,
    ) -> Result<Option<Self>, ScheduleError> {
        if text.trim() == "off" {
            return Ok(None);
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let cron = parser
            .parse(text)
            .map_err(|error| ScheduleError(error.to_string()))?;
        Ok(Some(Self {
            cron,
            zone: time::zone(zone),
            share: share(name),
        }))
    }

    /// The next run after `now`; none if there is none any more.
    pub fn next(&self, now: Millis) -> Option<Millis> {
        // What was put off by jitter has not run yet, though its time is past.
        let from = Millis(now.0.saturating_sub(MOST_JITTER.as_millis() as i64));
        let mut due = self.due(from)?;
        for _ in 0..1_000 {
            let interval = self.due(due)?.since(due);
            let run = due.after(jitter(interval, self.share));
            if run > now {
                return Some(run);
            }
            due = self.due(due)?;
        }
        None
    }

    /// The next run after `now`, as it is written.
    fn due(&self, now: Millis) -> Option<Millis> {
        let now = Timestamp::from_millisecond(now.0).ok()?;
        let local = now.to_zoned_datetime(self.zone.clone());
        let next = self.at_or_after(&local, local.datetime(), false)?;
        // Where clocks are set back before that, the hour comes once more.
        let again = self
            .zone
            .following(now)
            .next()
            .map(|change| change.timestamp())
            .filter(|change| *change < next)
            .and_then(|change| {
                let after = change.to_zoned_datetime(self.zone.clone());
                self.at_or_after(&after, after.datetime(), true)
            });
        let next = again.map_or(next, |again| again.min(next));
        Some(Millis(next.as_millisecond()))
    }

    /// The first run from the wall clock's `from` on that is not before `floor`.
    fn at_or_after(
        &self,
        floor: &ZonedDateTime,
        from: DateTime,
        inclusive: bool,
    ) -> Option<Timestamp> {
        let naive = to_naive(from)?;
        let found = self.cron.find_next_occurrence(&naive, inclusive).ok()?;
        let local = from_naive(found)?;
        let ambiguous = self.zone.to_ambiguous_zoned_datetime(local);
        let is_late =
            |at: &Timestamp| *at > floor.timestamp() || (inclusive && *at == floor.timestamp());
        // Of an hour that is left out, the time after it.
        let earlier = ambiguous.clone().compatible().ok()?.timestamp();
        if is_late(&earlier) {
            return Some(earlier);
        }
        let later = ambiguous.later().ok()?.timestamp();
        is_late(&later).then_some(later)
    }
}

/// At most a tenth of the interval, and half a minute.
fn jitter(interval: Duration, share: f64) -> Duration {
    (interval / 10).min(MOST_JITTER).mul_f64(share)
}

/// A number in 0..1 that is always the same for one name.
fn share(name: &str) -> f64 {
    let hash = name.bytes().fold(0x811C_9DC5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    // FNV's upper bits hardly differ for names that differ at their end.
    let mixed = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
    f64::from(mixed ^ (mixed >> 12)) / (f64::from(u32::MAX) + 1.0)
}

fn to_naive(at: DateTime) -> Option<NaiveDateTime> {
    let part = |number: i8| u32::try_from(number).ok();
    NaiveDate::from_ymd_opt(at.year().into(), part(at.month())?, part(at.day())?)?.and_hms_opt(
        part(at.hour())?,
        part(at.minute())?,
        part(at.second())?,
    )
}

fn from_naive(at: NaiveDateTime) -> Option<DateTime> {
    let part = |number: u32| i8::try_from(number).ok();
    let date = civil::Date::new(
        at.year().try_into().ok()?,
        part(at.month())?,
        part(at.day())?,
    );
    let time = civil::Time::new(part(at.hour())?, part(at.minute())?, part(at.second())?, 0);
    Some(date.ok()?.to_datetime(time.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn check(text: &str, zone: &str, from: &str, expect: &[&str]) {
        let schedule = Schedule::parse(text, Some(zone), "x").unwrap().unwrap();
        let mut now = at(from);
        for expect in expect {
            now = schedule.due(now).unwrap();
            assert_eq!(now, at(expect), "{text} after {from}");
        }
    }

    #[test]
    fn runs_are_by_the_wall_clock_of_the_zone() {
        check(
            "*/15 * * * *",
            "UTC",
            "2026-03-01T10:07:30.5Z",
            &["2026-03-01T10:15:00Z", "2026-03-01T10:30:00Z"],
        );
        check(
            "30 */10 * * * *",
            "UTC",
            "2026-03-01T10:00:30Z",
            &["2026-03-01T10:10:30Z"],
        );
        check(
            "0 8 * * MON",
            "America/New_York",
            "2026-03-01T00:00:00Z",
            &["2026-03-02T13:00:00Z", "2026-03-09T12:00:00Z"],
        );
    }

    #[test]
    fn an_hour_that_is_left_out_is_made_up_for_after_it() {
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
        );
        check(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:40:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        );
    }

    #[test]
    fn an_hour_that_comes_twice_is_polled_in_both() {
        check(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:10:00Z",
            &[
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z",
            ],
        );
    }

    #[test]
    fn jitter_is_the_same_each_time_and_small() {
        for name in ["a", "b", "typeform", "typeform-2"] {
            let schedule = Schedule::parse("*/5 * * * *", None, name).unwrap().unwrap();
            let mut now = at("2026-03-01T10:00:00Z");
            for _ in 0..50 {
                let next = schedule.next(now).unwrap();
                assert!(next > now, "{name}");
                let past = next.0 % 300_000;
                assert!(past < 30_000, "{name}: {past}");
                now = next;
            }
            assert!(now.since(at("2026-03-01T10:00:00Z")) < Duration::from_secs(51 * 300));
        }
        assert!((share("typeform") - share("typeform-2")).abs() > 0.01);
    }

    #[test]
    fn what_is_no_schedule_is_refused_and_off_is_none() {
        assert!(Schedule::parse("off", None, "x").unwrap().is_none());
        assert!(Schedule::parse("every day", None, "x").is_err());
        assert!(Schedule::parse("99 * * * *", None, "x").is_err());
        // The 31st of February never comes.
        let never = Schedule::parse("0 0 31 2 *", None, "x");
        let next = never
            .ok()
            .flatten()
            .and_then(|schedule| schedule.next(Millis(0)));
        assert_eq!(next, None);
    }
}
