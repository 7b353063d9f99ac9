//! Times as vendors write them.

use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::manifest::TimeFormat;
use crate::model::Millis;

/// Numbers from here on are milliseconds: as seconds they would be in the year 5138.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// Day 0 of spreadsheets.
const SERIAL_EPOCH: DateTime = civil::date(1899, 12, 30).at(0, 0, 0, 0);

/// A time as a vendor writes it; without a format, whichever of the usual ones it is. Times without
/// an offset are in `zone`.
///
/// RFC 3339 is read leniently: a blank in place of `T`, an offset without a colon (Meta), any number
/// of fractional digits. Of a time that a change of clocks makes ambiguous the earlier one is taken.
pub fn parse(text: &str, format: Option<TimeFormat>, zone: &TimeZone) -> Option<Millis> {
    let text = text.trim();
    match format {
        Some(TimeFormat::Serial) => serial(text.parse().ok()?, zone),
        Some(TimeFormat::Unix) => seconds(text),
        Some(TimeFormat::UnixMs) => text.parse().ok().map(Millis),
        _ => match text.parse::<i64>() {
            Ok(number) if number.abs() >= FIRST_MILLISECONDS => Some(Millis(number)),
            Ok(_) => seconds(text),
            Err(_) => written(text, zone),
        },
    }
}

/// The same, the other way round. Fractions that a format has no room for are cut: a query by it
/// brings a record again rather than miss it.
pub fn format(at: Millis, format: TimeFormat, zone: &TimeZone) -> String {
    let Ok(moment) = Timestamp::from_millisecond(at.0) else {
        return at.0.to_string();
    };
    let local = || moment.to_zoned_datetime(zone.clone()).datetime();
    match format {
        TimeFormat::Rfc3339 => format!("{moment:.3}"),
        TimeFormat::Rfc3339Seconds => moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        TimeFormat::Rfc3339Offset => moment.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
        TimeFormat::Unix => at.0.div_euclid(1000).to_string(),
        TimeFormat::UnixMs => at.0.to_string(),
        TimeFormat::DateTime => local().strftime("%Y-%m-%d %H:%M:%S").to_string(),
        TimeFormat::Date => local().strftime("%Y-%m-%d").to_string(),
        TimeFormat::Serial => {
            let since = local().duration_since(SERIAL_EPOCH);
            format!("{:.8}", since.as_secs_f64() / 86_400.0)
        }
    }
}

/// The time zone of that name (IANA), or UTC if there is none.
pub fn zone(name: Option<&str>) -> TimeZone {
    name.and_then(|name| TimeZone::get(name).ok())
        .unwrap_or(TimeZone::UTC)
}

fn seconds(text: &str) -> Option<Millis> {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(1000).map(Millis);
    }
    let number: f64 = text.parse().ok()?;
    (number.abs() < 1e11).then(|| Millis((number * 1000.0).round() as i64))
}

fn written(text: &str, zone: &TimeZone) -> Option<Millis> {
    // Jiff reads a blank for `T`, and offsets with and without a colon.
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(Millis(moment.as_millisecond()));
    }
    let local: DateTime = match text.parse() {
        Ok(local) => local,
        Err(_) => text.parse::<civil::Date>().ok()?.at(0, 0, 0, 0),
    };
    let moment = zone.to_ambiguous_zoned_datetime(local).compatible().ok()?;
    Some(Millis(moment.timestamp().as_millisecond()))
}

fn serial(days: f64, zone: &TimeZone) -> Option<Millis> {
    if !days.is_finite() || days.abs() > 3_000_000.0 {
        return None;
    }
    let since = SignedDuration::try_from_secs_f64(days * 86_400.0).ok()?;
    let local = SERIAL_EPOCH.checked_add(since).ok()?;
    let moment = zone.to_ambiguous_zoned_datetime(local).compatible().ok()?;
    let at = moment.timestamp().as_millisecond();
    // A fraction of a day holds no more than seconds.
    Some(Millis((at + 500).div_euclid(1000) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Millis {
        Millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn times_are_read_as_vendors_write_them() {
        let berlin = zone(Some("Europe/Berlin"));
        for (text, format, expect) in [
            ("2026-03-02T09:14:07Z", None, "2026-03-02T09:14:07Z"),
            (
                "2026-03-02T09:14:07.120431Z",
                None,
                "2026-03-02T09:14:07.120Z",
            ),
            ("2026-01-09T14:05:33+0000", None, "2026-01-09T14:05:33Z"),
            ("2026-11-23 03:10:00-05:00", None, "2026-11-23T08:10:00Z"),
            ("2026-01-09 14:05:33", None, "2026-01-09T13:05:33Z"),
            ("2026-07-09", None, "2026-07-08T22:00:00Z"),
            ("1767967533", None, "2026-01-09T14:05:33Z"),
            ("1767967533288", None, "2026-01-09T14:05:33.288Z"),
            (
                "46083.38480324",
                Some(TimeFormat::Serial),
                "2026-03-02T08:14:07Z",
            ),
        ] {
            assert_eq!(parse(text, format, &berlin), Some(utc(expect)), "{text}");
        }
        for text in ["", "soon", "0000-00-00", "2026-13-01"] {
            assert_eq!(parse(text, None, &berlin), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_vendors_read_them() {
        let at = utc("2026-03-02T09:14:07.123Z");
        let zone = zone(Some("America/New_York"));
        for (form, expect) in [
            (TimeFormat::Rfc3339, "2026-03-02T09:14:07.123Z"),
            (TimeFormat::Rfc3339Seconds, "2026-03-02T09:14:07Z"),
            (TimeFormat::Rfc3339Offset, "2026-03-02T09:14:07+00:00"),
            (TimeFormat::Unix, "1772442847"),
            (TimeFormat::UnixMs, "1772442847123"),
            (TimeFormat::DateTime, "2026-03-02 04:14:07"),
            (TimeFormat::Date, "2026-03-02"),
        ] {
            assert_eq!(format(at, form, &zone), expect);
            if form != TimeFormat::Date {
                let back = parse(expect, Some(form), &zone).unwrap();
                assert!(back <= at && at.0 - back.0 < 1000, "{expect}");
            }
        }
    }

    #[test]
    fn an_hour_that_does_not_exist_is_still_a_time() {
        let berlin = zone(Some("Europe/Berlin"));
        assert_eq!(
            parse("2026-03-29 02:30:00", None, &berlin),
            Some(utc("2026-03-29T01:30:00Z"))
        );
        assert_eq!(
            parse("2026-10-25 02:30:00", None, &berlin),
            Some(utc("2026-10-25T00:30:00Z"))
        );
    }
}
