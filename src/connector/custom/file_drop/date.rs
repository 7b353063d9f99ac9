//! Dates as people and their tools write them. What can be read two ways is not guessed.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::options::DateOrder;
use crate::connector::time;
use crate::model::Millis;

/// What a text says of when something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// This moment.
    At(Millis),
    /// Day and month could be either way round: `date_order` must say it.
    Ambiguous,
    /// It is no date that we read.
    Unreadable,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Reads a date, with or without a time. Without an offset it is in `zone`.
pub fn read(text: &str, order: Option<DateOrder>, zone: &TimeZone) -> When {
    let text = text.trim();
    let (date, time) = split(text);
    let date = match civil_date(date, order) {
        Civil::Date(date) => date,
        Civil::Ambiguous => return When::Ambiguous,
        Civil::None => {
            // Bare numbers are serials of a sheet, or counters, as often as seconds.
            let is_number = text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
            let moment = (!is_number)
                .then(|| time::parse(text, None, zone))
                .flatten();
            return moment.map_or(When::Unreadable, When::At);
        }
    };
    let Some(clock) = clock(time) else {
        // Offsets, fractions: not for people's dates, but for machines'.
        return time::parse(text, None, zone).map_or(When::Unreadable, When::At);
    };
    let local = DateTime::from_parts(date, clock);
    match zone.to_ambiguous_zoned_datetime(local).compatible() {
        Ok(moment) => When::At(Millis(moment.timestamp().as_millisecond())),
        Err(_) => When::Unreadable,
    }
}

/// A moment as people of that zone write it, so that texts sort as the moments do.
pub(super) fn shown(at: Millis, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(moment) => moment
            .to_zoned_datetime(zone.clone())
            .datetime()
            .strftime("%Y-%m-%d %H:%M")
            .to_string(),
        Err(_) => at.to_string(),
    }
}

/// The part that is the date, and the rest.
fn split(text: &str) -> (&str, &str) {
    // `14 Mar 2026 10:41`, `March 14, 2026 10:41 AM`: the time is what has a colon.
    let begin = match text.find(':') {
        Some(colon) => text[..colon].rfind([' ', 'T', ',']).unwrap_or(text.len()),
        None => text.len(),
    };
    let (date, time) = text.split_at(begin);
    (
        date.trim().trim_end_matches(','),
        time.trim_start_matches([' ', 'T', ',']).trim(),
    )
}

enum Civil {
    Date(Date),
    Ambiguous,
    None,
}

fn civil_date(text: &str, order: Option<DateOrder>) -> Civil {
    let parts: Vec<&str> = text
        .split(|letter: char| " ./-,".contains(letter))
        .filter(|part| !part.is_empty())
        .collect();
    let [first, second, third] = parts[..] else {
        return Civil::None;
    };
    let is_month = |part: &str| part.starts_with(char::is_alphabetic);
    if is_month(first) || is_month(second) {
        let (day, month) = if is_month(first) {
            (second, first)
        } else {
            (first, second)
        };
        let day = day.trim_end_matches(char::is_alphabetic);
        let month = month_of(month);
        return made(third, month, day.parse().ok());
    }
    let number = |part: &str| part.parse::<i8>().ok();
    if first.len() == 4 {
        return made(first, number(second), number(third));
    }
    let dmy = made(third, number(second), number(first));
    let mdy = made(third, number(first), number(second));
    let order = match (order, text.contains('.')) {
        // Nobody writes the month first and then a full stop.
        (None, true) => Some(DateOrder::Dmy),
        (order, _) => order,
    };
    match (order, dmy, mdy) {
        (Some(DateOrder::Dmy), dmy, _) => dmy,
        (Some(DateOrder::Mdy), _, mdy) => mdy,
        (Some(DateOrder::Ymd), ..) => made(first, number(second), number(third)),
        (None, Civil::Date(one), Civil::Date(other)) if one != other => Civil::Ambiguous,
        (None, Civil::Date(one), _) | (None, _, Civil::Date(one)) => Civil::Date(one),
        (None, ..) => Civil::None,
    }
}

fn month_of(name: &str) -> Option<i8> {
    let start: String = name.chars().take(3).flat_map(char::to_lowercase).collect();
    let index = MONTHS.iter().position(|month| *month == start)?;
    i8::try_from(index + 1).ok()
}

/// A year of two digits is of this century.
fn made(year: &str, month: Option<i8>, day: Option<i8>) -> Civil {
    let year = match (year.len(), year.parse::<i16>()) {
        (2, Ok(year)) => year + 2000,
        (4, Ok(year)) => year,
        _ => return Civil::None,
    };
    match (month, day) {
        (Some(month), Some(day)) => Date::new(year, month, day).map_or(Civil::None, Civil::Date),
        _ => Civil::None,
    }
}

/// A time of day, with or without seconds and AM or PM; midnight if there is none.
fn clock(text: &str) -> Option<Time> {
    if text.is_empty() {
        return Some(Time::midnight());
    }
    let lower = text.to_ascii_lowercase().replace("uhr", "");
    let lower = lower.trim();
    let (digits, half) = match lower.strip_suffix("am").or(lower.strip_suffix("a.m.")) {
        Some(digits) => (digits, Some(false)),
        None => match lower.strip_suffix("pm").or(lower.strip_suffix("p.m.")) {
            Some(digits) => (digits, Some(true)),
            None => (lower, None),
        },
    };
    let mut parts = digits.trim().split(':').map(|part| part.parse::<i8>().ok());
    let hour = parts.next()??;
    let minute = parts.next()??;
    let second = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() {
        return None;
    }
    let hour = match half {
        Some(is_pm) if (1..=12).contains(&hour) => hour % 12 + if is_pm { 12 } else { 0 },
        Some(_) => return None,
        None => hour,
    };
    Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, order: Option<DateOrder>, expect: Option<&str>) {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let found = match read(text, order, &zone) {
            When::At(at) => Some(at.to_string()),
            When::Ambiguous => Some("ambiguous".to_owned()),
            When::Unreadable => None,
        };
        assert_eq!(found.as_deref(), expect, "{text} {order:?}");
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        for text in [
            "14.03.2026 10:41",
            "14.3.26 10:41:00",
            "14.03.2026, 10:41 Uhr",
            "14/03/2026 10:41 AM",
            "03/14/2026 10:41am",
            "2026-03-14 10:41",
            "2026-03-14T10:41:00",
            "2026/03/14 10:41",
            "2026-03-14T09:41:00Z",
            "2026-03-14T11:41:00+02:00",
            "14 Mar 2026 10:41",
            "Mar 14, 2026, 10:41 AM",
            "March 14th 2026 10:41",
        ] {
            check(text, None, Some("2026-03-14T09:41:00.000Z"));
        }
        check("14.03.2026", None, Some("2026-03-13T23:00:00.000Z"));
        check("3/14/2026 12:05 PM", None, Some("2026-03-14T11:05:00.000Z"));
        check("3/14/2026 12:05 AM", None, Some("2026-03-13T23:05:00.000Z"));
    }

    #[test]
    fn what_reads_both_ways_is_not_guessed() {
        check("03/04/2026 10:00", None, Some("ambiguous"));
        check("04/04/2026 10:00", None, Some("2026-04-04T08:00:00.000Z"));
        check(
            "03/04/2026 10:00",
            Some(DateOrder::Dmy),
            Some("2026-04-03T08:00:00.000Z"),
        );
        check(
            "03/04/2026 10:00",
            Some(DateOrder::Mdy),
            Some("2026-03-04T09:00:00.000Z"),
        );
        check(
            "26/04/03 10:00",
            Some(DateOrder::Ymd),
            Some("2026-04-03T08:00:00.000Z"),
        );
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "tomorrow",
            "46095.4",
            "12",
            "31.02.2026",
            "14.03.2026 25:00",
            "a/b/c",
            "10:41",
        ] {
            check(text, None, None);
        }
    }
}
