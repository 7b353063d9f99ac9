use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Condition, OneOrMany, Take, TimeFormat};

/// What a record is, whichever way it came.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// The vendor's own id of the submission: the same by webhook and poll, so that the two doors
    /// meet. Of several the values are joined by `:`.
    #[serde(deserialize_with = "takes")]
    pub id: Vec<Take>,
    /// What changes whenever the record does; without it a known id is never taken again.
    pub version: Option<Take>,
    /// When the person sent it.
    pub at: Option<At>,
    /// Several submissions in one record: where they are. Paths then start at each of them, and
    /// `of = "parent"` at the record.
    pub split: Option<String>,
    /// No lead: kept, not synced.
    pub skip_when: Vec<Condition>,
    /// Sent to try it out: kept, not synced.
    pub test_when: Vec<Condition>,
    /// No lead by itself, but an opt-out of one that is known.
    pub opt_out_when: Vec<Condition>,
    /// Deleted at the vendor, or taken back by the person.
    pub withdrawn_when: Vec<Condition>,
    /// Lists of keys and values that become fields: `answer.<key>`.
    pub pivot: BTreeMap<String, Pivot>,
    /// Values of the record itself that are taken by their usual names, as a web form's are, where
    /// `fields` does not name them.
    pub guess: bool,
}

/// When the person sent it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct At {
    /// Paths; the first that holds something.
    pub from: OneOrMany,
    /// What they start at.
    #[serde(default)]
    pub of: super::Of,
    /// How it is written; guessed if not said (RFC 3339, seconds, milliseconds).
    pub format: Option<TimeFormat>,
    /// The option with the time zone of times without an offset; UTC if not said.
    pub zone: Option<String>,
}

/// A list of keys and values. Its entries can be mapped as `<name>.<key>`, and those that nothing
/// maps are taken by their usual names, or kept under their key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pivot {
    /// Where the list is; for an object, its members are the entries.
    pub list: OneOrMany,
    /// What it starts at.
    #[serde(default)]
    pub of: super::Of,
    /// The path of the key in an entry; of an object the member's name if not said.
    pub key: Option<OneOrMany>,
    /// The paths of the value in an entry; the first that is there.
    pub value: OneOrMany,
    /// A lookup that gives each key its title, by which it is known as well.
    pub titles: Option<String>,
    /// The path of the title in an entry.
    pub title: Option<OneOrMany>,
    /// A list beside it that gives each key its title, and the values of choices their texts.
    pub titles_in: Option<Titles>,
    /// What separates several values in one text: `||A||B||`.
    pub separator: Option<String>,
    /// Whether a key's upper case, blanks and punctuation make no difference and stand as `_`.
    #[serde(default)]
    pub fold: bool,
    /// Whether entries that nothing maps are kept.
    #[serde(default = "yes")]
    pub keep: bool,
}

/// A list that says what keys mean: the questions of a form, of which the answers hold only ids.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Titles {
    /// Where the list is.
    pub list: OneOrMany,
    /// What it starts at.
    #[serde(default)]
    pub of: super::Of,
    /// The path of the key in an entry.
    pub key: OneOrMany,
    /// The paths of its title in an entry; the first that is there.
    pub value: OneOrMany,
    /// A list inside an entry that gives values of this key (ids of choices) their texts.
    pub choices: Option<Choices>,
}

/// A list inside an entry of [`Titles`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choices {
    /// Where the list is in the entry.
    pub list: OneOrMany,
    /// The path of what the answer holds.
    pub key: OneOrMany,
    /// The paths of the text; the first that is there.
    pub value: OneOrMany,
}

/// Where UTM parameters and click ids are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attribution {
    /// Objects that hold them by their usual names.
    pub objects: Vec<String>,
    /// Addresses whose query holds them; the first is the landing page.
    pub urls: Vec<String>,
    /// By their names: `utm_source = "tracking.source"`.
    pub fields: BTreeMap<String, Take>,
}

fn yes() -> bool {
    true
}

/// A path, or several.
fn takes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Take>, D::Error> {
    struct Takes;
    impl<'de> serde::de::Visitor<'de> for Takes {
        type Value = Vec<Take>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a path, a table with `from`, or a list of them")
        }

        fn visit_str<E>(self, path: &str) -> Result<Vec<Take>, E> {
            Ok(vec![Take {
                from: vec![path.to_owned()],
                ..Take::default()
            }])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, items: A) -> Result<Vec<Take>, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(items))
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, table: A) -> Result<Vec<Take>, A::Error> {
            Take::deserialize(serde::de::value::MapAccessDeserializer::new(table))
                .map(|one| vec![one])
        }
    }
    deserializer.deserialize_any(Takes)
}
