//! A JSON object as names and values: the name of what is nested is its path.

use std::borrow::Cow;
use std::fmt::Write;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::connector::Refusal;

/// Takes a path and its value.
type Take<'t> = &'t mut dyn FnMut(&str, Cow<'_, str>) -> Result<(), Refusal>;

/// Gives every value in the object to `take`, in order: `{"a":{"b":1},"c":["x","y"],"d":[{"e":2}]}`
/// is `a.b` = `1`, `c` = `x`, `c` = `y`, `d.0.e` = `2`. A name that occurs twice is given twice, a
/// `null` as a blank value. Numbers are written without an exponent.
pub fn walk(text: &str, take: Take<'_>) -> Result<(), Refusal> {
    if !text.trim_start().starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    {
        return Err(Refusal::malformed(
            "body.not_an_object",
            "the JSON body is not an object",
            "send one object with a member for each field: {\"email\": \"…\"}",
        ));
    }
    let mut walk = Walk {
        path: String::new(),
        take,
        refusal: None,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = Node {
        walk: &mut walk,
        index: None,
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end());
    match (walk.refusal, result) {
        (Some(refusal), _) => Err(refusal),
        (None, Err(error)) => Err(malformed(&error)),
        (None, Ok(())) => Ok(()),
    }
}

/// What is wrong and where. serde_json's messages name what was expected, never the text.
fn malformed(error: &serde_json::Error) -> Refusal {
    Refusal::malformed(
        "body.malformed_json",
        format!("the body is not valid JSON: {error}"),
        "build the body with JSON.stringify, not by joining strings",
    )
}

struct Walk<'t> {
    path: String,
    take: Take<'t>,
    refusal: Option<Refusal>,
}

impl Walk<'_> {
    fn value<E: Error>(&mut self, value: Cow<'_, str>) -> Result<(), E> {
        (self.take)(&self.path, value).map_err(|refusal| {
            let error = E::custom(&refusal);
            self.refusal = Some(refusal);
            error
        })
    }
}

/// One value at `walk.path`; in an array, its `index` joins the path if it is no single value.
struct Node<'w, 't> {
    walk: &'w mut Walk<'t>,
    index: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Node<'_, '_> {
    /// Runs `inner` with the path one step deeper, if this is an element of an array.
    fn inside<E>(self, inner: impl FnOnce(&mut Walk<'_>) -> Result<(), E>) -> Result<(), E> {
        let before = self.walk.path.len();
        if let Some(index) = self.index {
            // Writing to a String cannot fail.
            let _ = write!(self.walk.path, ".{index}");
        }
        let result = inner(self.walk);
        self.walk.path.truncate(before);
        result
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.walk
            .value(Cow::Borrowed(if value { "true" } else { "false" }))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.walk.value(Cow::Owned(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.walk.value(Cow::Owned(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.walk.value(Cow::Owned(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.walk.value(Cow::Borrowed(value))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.walk.value(Cow::Borrowed(""))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.inside(|walk| {
            let mut index = 0;
            while elements
                .next_element_seed(Node {
                    walk,
                    index: Some(index),
                })?
                .is_some()
            {
                index += 1;
            }
            Ok(())
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.inside(|walk| {
            let before = walk.path.len();
            while let Some(()) = members.next_key_seed(Name(&mut walk.path))? {
                members.next_value_seed(Node { walk, index: None })?;
                walk.path.truncate(before);
            }
            Ok(())
        })
    }
}

/// A member's name, put at the end of a path.
struct Name<'p>(&'p mut String);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        Ok(())
    }
}
