//! A lead's record as the store keeps it. Most values of a record are from one or two submissions:
//! where they are from is written once for all of them, which halves the size.
//!
//! `{"from": [[time, event], …], "fields": {"email": ["…", 0], …}}`

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::{EventId, Held, Millis};

type Record = BTreeMap<String, Held>;

#[derive(Serialize)]
struct Written<'a> {
    from: &'a [(i64, i64)],
    fields: Fields<'a>,
}

struct Fields<'a> {
    record: &'a Record,
    from: &'a [(i64, i64)],
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.record.iter().map(|(name, held)| {
            let origin = origin(held);
            let index = self.from.iter().position(|known| *known == origin);
            (name, (&held.value, index))
        }))
    }
}

/// Where a value is from.
fn origin(held: &Held) -> (i64, i64) {
    (held.at.0, held.event.0)
}

#[derive(Deserialize)]
struct Read {
    from: Vec<(i64, i64)>,
    fields: BTreeMap<String, (String, usize)>,
}

/// Why a text is no record.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("a field is from a submission that is not listed")]
    From,
}

impl RecordError {
    /// Without the text, which is personal data.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Json(_) => "record is not as written",
            Self::From => "a field is from a submission that is not listed",
        }
    }
}

pub(super) fn encode(record: &Record) -> String {
    let mut from: Vec<(i64, i64)> = Vec::new();
    for held in record.values() {
        if !from.contains(&origin(held)) {
            from.push(origin(held));
        }
    }
    let fields = Fields {
        record,
        from: &from,
    };
    // Strings and numbers are always JSON.
    serde_json::to_string(&Written {
        from: &from,
        fields,
    })
    .unwrap_or_default()
}

pub(super) fn decode(text: &str) -> Result<Record, RecordError> {
    let Read { from, fields } = serde_json::from_str(text)?;
    fields
        .into_iter()
        .map(|(name, (value, index))| {
            let (at, event) = *from.get(index).ok_or(RecordError::From)?;
            Ok((
                name,
                Held {
                    value,
                    at: Millis(at),
                    event: EventId(event),
                },
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_being_written() {
        let held = |value: &str, at, event| Held {
            value: value.to_owned(),
            at: Millis(at),
            event: EventId(event),
        };
        let record: Record = [
            ("email", held("a@b.example", 1, 10)),
            ("title", held("\"CEO\"", 2, 20)),
            ("last_name", held("Øster", 1, 10)),
        ]
        .map(|(name, held)| (name.to_owned(), held))
        .into();
        let text = encode(&record);
        assert_eq!(
            text,
            r#"{"from":[[1,10],[2,20]],"fields":{"email":["a@b.example",0],"last_name":["Øster",0],"title":["\"CEO\"",1]}}"#
        );
        assert_eq!(decode(&text).unwrap(), record);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert!(matches!(decode("{}"), Err(RecordError::Json(_))));
        let text = r#"{"from":[],"fields":{"email":["a",0]}}"#;
        assert!(matches!(decode(text), Err(RecordError::From)));
    }
}
