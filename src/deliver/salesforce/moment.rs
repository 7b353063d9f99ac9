//! Days, moments and times of day as people and vendors write them, in the one form that Salesforce
//! takes. What can be read in two ways is not guessed. Pure.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// The first and last years that Salesforce's dates reach.
/// Source: SOAP API guide, "Primitive Data Types", `date`.
const YEARS: std::ops::RangeInclusive<i16> = 1700..=4000;

/// Numbers from here on are milliseconds: as seconds they would be in the year 5138.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// Numbers below are no seconds since 1970, but years, counts, or serials of a sheet.
const FIRST_SECONDS: i64 = 100_000_000;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// A day as `2026-03-01`. Of a moment only one at midnight is a day: which day another is depends on
/// where one stands, so none is made of it by cutting.
pub(super) fn date(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let day = match text.split_once(['T', ' ']) {
        Some((day, time)) if text.contains(':') => {
            if !is_midnight(time) {
                return Err("has a time of day: which day that is depends on the time zone");
            }
            iso_date(day).or_else(|| written_date(day).ok())
        }
        _ => match iso_date(text) {
            Some(day) => Some(day),
            None => Some(written_date(text)?),
        },
    };
    day.filter(|day| YEARS.contains(&day.year()))
        .map(|day| day.to_string())
        .ok_or("is not a day, such as 2026-03-01")
}

/// A moment as `2026-03-01T10:00:00.000Z`. It must say its time zone, or be a number of seconds or
/// milliseconds since 1970.
pub(super) fn moment(text: &str) -> Result<String, &'static str> {
    const NONE: &str = "is not a moment, such as 2026-03-01T10:00:00Z";
    let text = text.trim();
    let moment = if let Ok(number) = text.parse::<i64>() {
        match number {
            FIRST_MILLISECONDS.. => Timestamp::from_millisecond(number).ok(),
            FIRST_SECONDS.. => Timestamp::from_second(number).ok(),
            _ => None,
        }
    } else {
        match text.parse::<Timestamp>() {
            Ok(moment) => Some(moment),
            Err(_) if text.parse::<DateTime>().is_ok() => {
                return Err("does not say its time zone");
            }
            // RFC 2822, as in `Sun, 1 Mar 2026 10:00:00 +0000`.
            Err(_) => jiff::fmt::rfc2822::DateTimeParser::new()
                .parse_timestamp(text)
                .ok(),
        }
    };
    let moment = moment.ok_or(NONE)?;
    let at = Offset::UTC.to_datetime(moment);
    if !YEARS.contains(&at.year()) {
        return Err(NONE);
    }
    Ok(format!(
        "{}T{:02}:{:02}:{:02}.{:03}Z",
        at.date(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    ))
}

/// A time of day as `10:00:00.000Z`.
pub(super) fn time_of_day(text: &str) -> Result<String, &'static str> {
    let text = text.trim().trim_end_matches('Z');
    let time: Time = text
        .parse()
        .map_err(|_| "is not a time of day, such as 10:00")?;
    Ok(format!(
        "{:02}:{:02}:{:02}.{:03}Z",
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    ))
}

/// Whether nothing but zeros is left of a time, apart from its offset.
fn is_midnight(time: &str) -> bool {
    let clock = time
        .trim()
        .split(['Z', '+', '-'])
        .next()
        .unwrap_or_default();
    let clock = clock.trim();
    clock.contains(':') && clock.bytes().all(|byte| matches!(byte, b'0' | b':' | b'.'))
}

/// `2026-03-01`, and nothing else.
fn iso_date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// `1.3.2026`, `1 March 2026`, `March 1st, 2026`, `2026/03/01`, `31/12/2026`.
fn written_date(text: &str) -> Result<Date, &'static str> {
    const NONE: &str = "is not a day, such as 2026-03-01";
    let parts: Vec<&str> = text
        .split(|letter: char| " ./-,".contains(letter))
        .filter(|part| !part.is_empty())
        .collect();
    let [first, second, third] = parts[..] else {
        return Err(NONE);
    };
    let number = |part: &str| part.parse::<i8>().ok();
    let is_word = |part: &str| part.starts_with(char::is_alphabetic);
    if is_word(first) || is_word(second) {
        let (day, month) = if is_word(first) {
            (second, first)
        } else {
            (first, second)
        };
        let day = day.trim_end_matches(char::is_alphabetic);
        return day_of(third, month_of(month), number(day)).ok_or(NONE);
    }
    if first.len() == 4 {
        return day_of(first, number(second), number(third)).ok_or(NONE);
    }
    let day_first = day_of(third, number(second), number(first));
    let month_first = day_of(third, number(first), number(second));
    match (day_first, month_first) {
        // Nobody writes the month first and then a full stop.
        (Some(day), _) if text.contains('.') => Ok(day),
        (Some(one), Some(other)) if one != other => {
            Err("can be read in two ways: which number is the month?")
        }
        (Some(day), _) => Ok(day),
        (None, Some(day)) if !text.contains('.') => Ok(day),
        _ => Err(NONE),
    }
}

fn month_of(name: &str) -> Option<i8> {
    let start: String = name.chars().take(3).flat_map(char::to_lowercase).collect();
    let index = MONTHS.iter().position(|month| *month == start)?;
    i8::try_from(index + 1).ok()
}

/// The year must be written out: of two digits nobody knows the century of a birthday.
fn day_of(year: &str, month: Option<i8>, day: Option<i8>) -> Option<Date> {
    let year = (year.len() == 4)
        .then(|| year.parse::<i16>().ok())
        .flatten()?;
    Date::new(year, month?, day?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_written_and_not_guessed() {
        for text in [
            "2026-03-01",
            "2026-03-01T00:00:00",
            "2026-03-01T00:00:00.000Z",
            "2026-03-01 00:00:00+02:00",
            "2026/03/01",
            "1.3.2026",
            "01.03.2026",
            "1 March 2026",
            "Mar 1st, 2026",
        ] {
            assert_eq!(date(text).as_deref(), Ok("2026-03-01"), "{text}");
        }
        assert_eq!(date("31/12/2026").as_deref(), Ok("2026-12-31"));
        assert_eq!(date("12/31/2026").as_deref(), Ok("2026-12-31"));
        for text in [
            "2026-03-01T22:30:00Z",
            "03/04/2026",
            "2026-02-30",
            "1.3.26",
            "20260301",
            "0026-03-01",
            "tomorrow",
            "",
        ] {
            assert!(date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_has_a_zone_and_is_sent_in_utc() {
        for text in [
            "2026-03-01T10:00:00Z",
            "2026-03-01T11:00:00+01:00",
            "2026-03-01 11:00:00+0100",
            "1772359200",
            "1772359200000",
            "Sun, 1 Mar 2026 11:00:00 +0100",
        ] {
            assert_eq!(
                moment(text).as_deref(),
                Ok("2026-03-01T10:00:00.000Z"),
                "{text}"
            );
        }
        for text in ["2026-03-01T10:00:00", "2026-03-01", "2026", "soon", ""] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_of_day_has_seconds_and_a_zone() {
        assert_eq!(time_of_day("10:30").as_deref(), Ok("10:30:00.000Z"));
        assert_eq!(time_of_day("10:30:05.1Z").as_deref(), Ok("10:30:05.100Z"));
        assert!(time_of_day("half past ten").is_err());
    }
}
