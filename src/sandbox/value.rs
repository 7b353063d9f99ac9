//! What a field can hold, and how it looks in JSON.

use jiff::civil::Date;
use jiff::tz::Offset;
use serde_json::Value as Json;

use super::ids::RecordId;
use crate::model::Millis;

/// A field's value; a blank field has none.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text of any kind, picklist values included.
    Text(Box<str>),
    /// A checkbox.
    Bool(bool),
    /// A number of any kind.
    Number(f64),
    /// A day without a zone.
    Date(Date),
    /// A moment.
    Moment(Millis),
    /// A reference to a record.
    Id(RecordId),
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<Box<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The id, if it is a reference.
    pub fn as_id(&self) -> Option<RecordId> {
        match self {
            Self::Id(id) => Some(*id),
            _ => None,
        }
    }

    /// As the REST API shows it.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Text(text) => Json::from(&**text),
            Self::Bool(value) => Json::from(*value),
            Self::Number(number) => number_json(*number),
            Self::Date(date) => Json::from(date.to_string()),
            Self::Moment(moment) => Json::from(moment_text(*moment)),
            Self::Id(id) => Json::from(id.to_string()),
        }
    }
}

/// A whole number without a fraction, others with one.
fn number_json(number: f64) -> Json {
    // Up to 2^53 every whole number is itself in an f64.
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        Json::from(number as i64)
    } else {
        Json::from(number)
    }
}

/// A moment as Salesforce writes it: `2026-03-01T10:00:00.000+0000`.
pub fn moment_text(moment: Millis) -> String {
    let Ok(timestamp) = jiff::Timestamp::from_millisecond(moment.0) else {
        return moment.to_string();
    };
    let at = Offset::UTC.to_datetime(timestamp);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+0000",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Reads ISO 8601 with a zone (`Z`, `+00:00` or `+0000`).
pub fn parse_moment(text: &str) -> Option<Millis> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(|timestamp| Millis(timestamp.as_millisecond()))
}

/// Reads `2026-03-01`; a time of day behind it is refused, not cut.
pub fn parse_date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// How a unique or external id is compared: without case, unless the field says otherwise.
pub fn index_key(text: &str, case_sensitive: bool) -> Box<str> {
    if case_sensitive {
        text.into()
    } else {
        text.to_lowercase().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form_and_written_in_one() {
        for text in [
            "2026-03-01T10:00:00Z",
            "2026-03-01T10:00:00.000+0000",
            "2026-03-01T11:00:00+01:00",
            "2026-03-01T11:00:00.000+0100",
        ] {
            let moment = parse_moment(text).expect(text);
            assert_eq!(moment_text(moment), "2026-03-01T10:00:00.000+0000");
        }
        for text in [
            "2026-03-01",
            "2026-03-01T10:00:00",
            "2026-03-01 10:00:00 UTC",
            "soon",
        ] {
            assert_eq!(parse_moment(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_is_not_cut_from_a_moment() {
        assert_eq!(
            parse_date("2026-03-01")
                .map(|date| date.to_string())
                .as_deref(),
            Some("2026-03-01")
        );
        assert_eq!(parse_date("2026-02-30"), None);
        assert_eq!(parse_date("2026-03-01T10:00:00Z"), None);
        assert_eq!(parse_date("01.03.2026"), None);
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        assert_eq!(Value::Number(50_000.0).to_json().to_string(), "50000");
        assert_eq!(Value::Number(0.5).to_json().to_string(), "0.5");
    }
}
