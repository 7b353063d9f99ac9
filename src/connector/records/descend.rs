//! From a page to the records in it, passing over all else.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::connector::path::Step;

/// What stands at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// A record, or an array of them that has to be read once more.
    Whole,
    /// An array of records. What an object is, is not kept, only that there is one.
    Items,
}

/// What was found at the end of the path.
#[derive(Debug)]
pub struct Found<'de> {
    /// Texts, in their order.
    pub raw: Vec<&'de str>,
    /// There is an object where an array was expected.
    pub has_object: bool,
    /// There is something else on the way, or at the end.
    pub has_other: bool,
    /// There are more than the limit; they are left out.
    pub has_more: bool,
    most: usize,
}

impl<'de> Found<'de> {
    /// Nothing yet, and `most` at most.
    pub fn new(most: usize) -> Self {
        Self {
            raw: Vec::new(),
            has_object: false,
            has_other: false,
            has_more: false,
            most,
        }
    }

    fn add(&mut self, record: &'de RawValue) {
        let text = record.get();
        if text == "null" {
            return;
        }
        if self.raw.len() < self.most {
            self.raw.push(text);
        } else {
            self.has_more = true;
        }
    }
}

/// Descends the steps that are left.
pub struct Descend<'s, 'f, 'de> {
    steps: &'s [Step],
    ends: Ends,
    found: &'f mut Found<'de>,
}

impl<'s, 'f, 'de> Descend<'s, 'f, 'de> {
    /// From the top.
    pub fn new(steps: &'s [Step], ends: Ends, found: &'f mut Found<'de>) -> Self {
        Self { steps, ends, found }
    }

    fn deeper(&mut self) -> Descend<'s, '_, 'de> {
        Descend {
            steps: self.steps.get(1..).unwrap_or_default(),
            ends: self.ends,
            found: self.found,
        }
    }

    fn other(self) {
        self.found.has_other = true;
    }
}

impl<'de> DeserializeSeed<'de> for Descend<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.steps.is_empty() || self.ends == Ends::Items {
            return deserializer.deserialize_any(self);
        }
        let raw = <&RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('[') {
            let items: Vec<&RawValue> =
                serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
            for item in items {
                self.found.add(item);
            }
        } else {
            self.found.add(raw);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Descend<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let step = self.steps.first();
        match step {
            None => self.found.has_object = true,
            Some(Step::Index(_)) => self.found.has_other = true,
            // A member that is absent is no record: vendors leave out what is empty.
            Some(Step::Member(_) | Step::Each) => {}
        }
        while let Some(is_it) = members.next_key_seed(Matches(step))? {
            if is_it {
                members.next_value_seed(self.deeper())?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        match self.steps.first() {
            None => {
                while let Some(item) = items.next_element::<&RawValue>()? {
                    self.found.add(item);
                }
            }
            Some(Step::Each) => while items.next_element_seed(self.deeper())?.is_some() {},
            Some(Step::Index(place)) => {
                let mut index = 0;
                loop {
                    let is_there = if index == *place {
                        items.next_element_seed(self.deeper())?.is_some()
                    } else {
                        items.next_element::<IgnoredAny>()?.is_some()
                    };
                    if !is_there {
                        break;
                    }
                    index += 1;
                }
            }
            Some(Step::Member(_)) => {
                self.found.has_other = true;
                while items.next_element::<IgnoredAny>()?.is_some() {}
            }
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.other();
        Ok(())
    }
}

/// Whether a member's name is the one that the step asks for.
struct Matches<'s>(Option<&'s Step>);

impl<'de> DeserializeSeed<'de> for Matches<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Matches<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(match self.0 {
            Some(Step::Member(wanted)) => wanted == name,
            Some(Step::Each) => true,
            Some(Step::Index(_)) | None => false,
        })
    }
}
