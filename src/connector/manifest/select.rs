//! Where a value is, and tests on it: the words that all sections share.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor, value};

use super::Template;

/// What a path starts at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The record itself, or one of its pivots.
    #[default]
    Record,
    /// The record that this one was split off.
    Parent,
    /// The whole body of a webhook.
    Body,
    /// The whole answer to a poll or fetch.
    Page,
    /// A header of the webhook's request, or of the answer to a poll: its name, in place of a path.
    Header,
    /// What was read elsewhere and kept with the record: lookups, and names bound by `each`.
    Context,
}

/// One value, taken from a record.
///
/// Written as a path, as a list of paths of which the first that holds something counts, or as a
/// table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Take {
    /// Paths, in the order in which they are tried.
    pub from: Vec<String>,
    /// What they start at.
    pub of: Of,
    /// A fixed value, where nothing is found at the paths or there are none.
    pub value: Option<Template>,
    /// Values to replace.
    pub values: BTreeMap<String, String>,
    /// Which part of the text.
    pub part: Option<TextPart>,
    /// The text must look like this, and names in it are bound: `/orders/{order_id}/`.
    pub pattern: Option<String>,
    /// What joins several values; `;` if not said.
    pub join: Option<String>,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPart {
    /// After the last `/`.
    AfterLastSlash,
    /// After the last `:`.
    AfterLastColon,
    /// After the last `-`.
    AfterLastDash,
    /// Lower case.
    Lower,
    /// The number without what stands around it.
    Digits,
    /// Percent-encoded, if it begins with `/` or holds `//`: what is to stand in a path is then encoded
    /// twice (Zoom's uuids).
    SlashesEscaped,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TakeTable {
    #[serde(default)]
    from: OneOrMany,
    #[serde(default)]
    of: Of,
    value: Option<Template>,
    #[serde(default)]
    values: BTreeMap<String, String>,
    part: Option<TextPart>,
    pattern: Option<String>,
    join: Option<String>,
}

impl From<TakeTable> for Take {
    fn from(table: TakeTable) -> Self {
        Self {
            from: table.from.0,
            of: table.of,
            value: table.value,
            values: table.values,
            part: table.part,
            pattern: table.pattern,
            join: table.join,
        }
    }
}

/// One text, or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(items)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

impl<'de> Deserialize<'de> for Take {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Takes;
        impl<'de> Visitor<'de> for Takes {
            type Value = Take;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a path, a list of paths, or a table with `from`")
            }

            fn visit_str<E>(self, path: &str) -> Result<Take, E> {
                Ok(Take {
                    from: vec![path.to_owned()],
                    ..Take::default()
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Take, A::Error> {
                let from = Vec::deserialize(value::SeqAccessDeserializer::new(items))?;
                Ok(Take {
                    from,
                    ..Take::default()
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Take, A::Error> {
                TakeTable::deserialize(value::MapAccessDeserializer::new(table)).map(Take::from)
            }
        }
        deserializer.deserialize_any(Takes)
    }
}

/// A test on a value. All that is said must hold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Paths; any of their values may pass.
    pub from: OneOrMany,
    /// What they start at.
    #[serde(default)]
    pub of: Of,
    /// Is this text, number or truth value (compared as text).
    pub equals: Option<Scalar>,
    /// Is anything else, or absent.
    pub not: Option<Scalar>,
    /// Is one of these.
    #[serde(default)]
    pub one_of: Vec<Scalar>,
    /// Begins with this, in any case.
    pub starts_with: Option<String>,
    /// Holds this, in any case.
    pub contains: Option<String>,
    /// There is a value that is not blank (true), or there is none (false).
    pub present: Option<bool>,
    /// Is a number above this.
    pub above: Option<f64>,
    /// Why, in plain words: goes on timelines.
    #[serde(default)]
    pub reason: String,
}

/// A value to compare with, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalars;
        impl Visitor<'_> for Scalars {
            type Value = Scalar;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, a whole number, or true or false")
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_bool<E>(self, truth: bool) -> Result<Scalar, E> {
                Ok(Scalar(truth.to_string()))
            }
        }
        deserializer.deserialize_any(Scalars)
    }
}
