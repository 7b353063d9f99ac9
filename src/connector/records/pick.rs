//! A few texts out of a record, passing over the rest.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connector::manifest::BodyEncoding;
use crate::connector::mechanism::body;
use crate::connector::path::Step;
use crate::connector::select::add_texts;

/// The texts at each of the paths.
pub fn texts(json: &str, paths: &[&[Step]]) -> Vec<Option<String>> {
    let mut leaves: Vec<Vec<&str>> = vec![Vec::new(); paths.len()];
    let active = paths.iter().copied().enumerate().collect();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let result = Walk {
        active,
        leaves: &mut leaves,
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end());
    if result.is_err() {
        return vec![None; paths.len()];
    }
    leaves.into_iter().map(joined_leaves).collect()
}

/// Values as one text, each once, joined by `;`; none if there is none that is not blank.
pub fn joined<'v>(values: impl IntoIterator<Item = &'v Value>) -> Option<String> {
    let mut texts = Vec::new();
    for value in values {
        add_texts(value, &mut texts);
    }
    join(texts)
}

fn join(texts: Vec<String>) -> Option<String> {
    let mut once: Vec<String> = Vec::with_capacity(texts.len());
    for text in texts {
        if !once.contains(&text) {
            once.push(text);
        }
    }
    match once.len() {
        0 => None,
        1 => once.pop(),
        _ => Some(once.join(";")),
    }
}

fn joined_leaves(leaves: Vec<&str>) -> Option<String> {
    let mut texts = Vec::new();
    for leaf in leaves {
        if let Some(plain) = plain(leaf) {
            if !plain.trim().is_empty() {
                texts.push(plain.to_owned());
            }
        } else if let Ok(value) = body::decode(BodyEncoding::Json, "", leaf.as_bytes()) {
            // The same code as reads the record later: an id must not differ by a digit.
            add_texts(&value, &mut texts);
        }
    }
    join(texts)
}

/// The text of a leaf that stands there as it is.
fn plain(leaf: &str) -> Option<&str> {
    if let Some(inner) = leaf.strip_prefix('"') {
        let inner = inner.strip_suffix('"')?;
        return (!inner.contains('\\')).then_some(inner);
    }
    let is_plain_number = leaf.len() < 19
        && leaf.bytes().all(|byte| byte.is_ascii_digit())
        && (leaf == "0" || !leaf.starts_with('0'));
    is_plain_number.then_some(leaf)
}

/// The paths that lead on from here, by their place, with the steps that are left.
type Active<'s> = Vec<(usize, &'s [Step])>;

struct Walk<'s, 'l, 'de> {
    active: Active<'s>,
    leaves: &'l mut [Vec<&'de str>],
}

impl<'s> Walk<'s, '_, '_> {
    /// What of the paths goes on through a step that `is_it` tells.
    fn through(&self, is_it: impl Fn(&Step) -> bool) -> Active<'s> {
        through(&self.active, is_it)
    }
}

fn through<'s>(active: &[(usize, &'s [Step])], is_it: impl Fn(&Step) -> bool) -> Active<'s> {
    let on = active.iter().filter_map(|(place, steps)| {
        let (step, rest) = steps.split_first()?;
        is_it(step).then_some((*place, rest))
    });
    on.collect()
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.active.iter().all(|(_, steps)| !steps.is_empty()) {
            return deserializer.deserialize_any(self);
        }
        let raw = <&RawValue>::deserialize(deserializer)?;
        let mut on = Vec::new();
        for (place, steps) in self.active {
            if steps.is_empty() {
                self.leaves[place].push(raw.get());
            } else {
                on.push((place, steps));
            }
        }
        if on.is_empty() {
            return Ok(());
        }
        Walk {
            active: on,
            leaves: self.leaves,
        }
        .deserialize(&mut serde_json::Deserializer::from_str(raw.get()))
        .map_err(D::Error::custom)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(active) = members.next_key_seed(Leading(&self.active))? {
            if active.is_empty() {
                members.next_value::<IgnoredAny>()?;
            } else {
                members.next_value_seed(Walk {
                    active,
                    leaves: self.leaves,
                })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut place = 0;
        loop {
            let active = self.through(|step| match step {
                Step::Each => true,
                Step::Index(index) => *index == place,
                Step::Member(_) => false,
            });
            let is_there = if active.is_empty() {
                items.next_element::<IgnoredAny>()?.is_some()
            } else {
                let walk = Walk {
                    active,
                    leaves: self.leaves,
                };
                items.next_element_seed(walk)?.is_some()
            };
            if !is_there {
                return Ok(());
            }
            place += 1;
        }
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// The paths that go on through a member of that name.
struct Leading<'a, 's>(&'a [(usize, &'s [Step])]);

impl<'de, 's> DeserializeSeed<'de> for Leading<'_, 's> {
    type Value = Active<'s>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Active<'s>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s> Visitor<'_> for Leading<'_, 's> {
    type Value = Active<'s>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Active<'s>, E> {
        Ok(through(self.0, |step| match step {
            Step::Member(wanted) => wanted == name,
            Step::Each => true,
            Step::Index(_) => false,
        }))
    }
}
