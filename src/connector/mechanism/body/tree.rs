//! Names with PHP's brackets to nested values. Source: php.net, variables from external sources.

use std::collections::HashMap;

use serde_json::Value;

use crate::connector::Refusal;

/// The most values of one body. Real ones have dozens.
const MOST_VALUES: usize = 2_000;

/// The longest name, in bytes.
const MOST_NAME_BYTES: usize = 1_024;

/// The most brackets of one name.
const MOST_DEPTH: usize = 16;

/// Values as they come in.
#[derive(Debug, Default)]
pub struct Tree {
    root: Node,
    values: usize,
}

/// What stands under one name.
#[derive(Debug, Default)]
struct Node {
    /// Values of the name itself.
    values: Vec<Value>,
    /// What is in brackets behind it, in the order in which it came.
    inner: Vec<(String, Node)>,
    places: HashMap<String, usize>,
}

impl Tree {
    /// Puts `value` where `name` says: `a[b][0]`. A name that comes again adds to what is there, so
    /// that nothing is lost.
    pub fn add(&mut self, name: &str, value: Value) -> Result<(), Refusal> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Refusal::malformed(
                "body.too_many_fields",
                format!("the body has more than {MOST_VALUES} values"),
                "send fewer records in one request",
            ));
        }
        if name.len() > MOST_NAME_BYTES {
            return Err(Refusal::malformed(
                "body.name_too_long",
                format!("the name of a value is longer than {MOST_NAME_BYTES} bytes"),
                "a long text belongs into the value",
            ));
        }
        let steps = steps(name);
        if steps.len() > MOST_DEPTH {
            return Err(Refusal::malformed(
                "body.too_deep",
                format!("the name of a value has more than {MOST_DEPTH} parts"),
                "nest values less deeply",
            ));
        }
        let mut node = &mut self.root;
        for step in steps {
            node = node.at(step);
        }
        node.values.push(value);
        Ok(())
    }

    /// All of it. What has no value at all is refused.
    pub fn finish(self) -> Result<Value, Refusal> {
        if self.values == 0 {
            return Err(Refusal::malformed(
                "body.empty",
                "the body holds no values",
                "send what the webhook is about in its body",
            ));
        }
        let root = self.root.inner.into_iter();
        Ok(Value::Object(
            root.map(|(name, node)| (name, node.finish())).collect(),
        ))
    }
}

impl Node {
    /// The node of that name; of none, as in `a[]`, the next of a list.
    fn at(&mut self, step: &str) -> &mut Self {
        let name = if step.is_empty() {
            self.next_index()
        } else {
            step.to_owned()
        };
        let place = if let Some(place) = self.places.get(&name) {
            *place
        } else {
            self.places.insert(name.clone(), self.inner.len());
            self.inner.push((name, Self::default()));
            self.inner.len() - 1
        };
        &mut self.inner[place].1
    }

    fn next_index(&self) -> String {
        let mut index = self.inner.len();
        loop {
            let name = index.to_string();
            if !self.places.contains_key(&name) {
                return name;
            }
            index += 1;
        }
    }

    fn finish(mut self) -> Value {
        if self.inner.is_empty() {
            return match self.values.len() {
                1 => self.values.remove(0),
                _ => Value::Array(self.values),
            };
        }
        for value in std::mem::take(&mut self.values) {
            self.at("").values.push(value);
        }
        let counts =
            (0..self.inner.len()).all(|index| self.places.contains_key(&index.to_string()));
        if counts {
            let mut items: Vec<(usize, Self)> = self
                .inner
                .into_iter()
                .filter_map(|(name, node)| Some((name.parse().ok()?, node)))
                .collect();
            items.sort_by_key(|(index, _)| *index);
            return Value::Array(items.into_iter().map(|(_, node)| node.finish()).collect());
        }
        let inner = self.inner.into_iter();
        Value::Object(inner.map(|(name, node)| (name, node.finish())).collect())
    }
}

/// The parts of `a[b][c]`. A name whose brackets do not fit is one part.
pub fn steps(name: &str) -> Vec<&str> {
    bracketed(name).unwrap_or_else(|| vec![name])
}

fn bracketed(name: &str) -> Option<Vec<&str>> {
    let open = name.find('[').filter(|open| *open > 0)?;
    let mut steps = vec![&name[..open]];
    let mut rest = &name[open..];
    while !rest.is_empty() {
        let (step, after) = rest.strip_prefix('[')?.split_once(']')?;
        steps.push(step);
        rest = after;
    }
    Some(steps)
}
