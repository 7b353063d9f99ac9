//! Values at the places that a manifest names, and the other way round of its templates.

use std::collections::BTreeMap;

use leadstream::connector::manifest::{Template, TemplatePart};
use leadstream::connector::{Path, Step};
use serde_json::{Map, Value};

/// The steps of a plain path. Stand-ins write only where plain paths lead.
pub fn steps(path: &str) -> Vec<Step> {
    let parsed = Path::parse(path).unwrap();
    let steps = parsed.steps();
    steps
        .unwrap_or_else(|| panic!("`{path}` is no plain path"))
        .to_vec()
}

/// The first value there that says something.
pub fn value_at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let all = Path::parse(path).unwrap().all(value);
    let says = |value: &&Value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    };
    all.into_iter().find(says)
}

/// Puts `new` there; what is missing on the way is made. Of a list it goes into the first item.
pub fn set(value: &mut Value, steps: &[Step], new: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = new;
        return;
    };
    match step {
        Step::Member(name) => {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            let members = value.as_object_mut().unwrap();
            set(
                members.entry(name.clone()).or_insert(Value::Null),
                rest,
                new,
            );
        }
        Step::Index(_) | Step::Each => {
            if value.as_array().is_none_or(Vec::is_empty) {
                *value = Value::Array(vec![Value::Null]);
            }
            set(&mut value.as_array_mut().unwrap()[0], rest, new);
        }
    }
}

/// Takes away what is there.
pub fn unset(value: &mut Value, steps: &[Step]) {
    let Some((step, rest)) = steps.split_first() else {
        *value = Value::Null;
        return;
    };
    match (step, value) {
        (Step::Member(name), Value::Object(members)) => {
            if rest.is_empty() {
                members.remove(name);
            } else if let Some(member) = members.get_mut(name) {
                unset(member, rest);
            }
        }
        (Step::Index(_) | Step::Each, Value::Array(items)) => {
            for item in items {
                unset(item, rest);
            }
        }
        _ => {}
    }
}

/// Replaces a text wherever it is the whole of a value.
pub fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text == old => new.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, old, new)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| replace(member, old, new)),
        _ => {}
    }
}

/// What the names of `template` stand for in `text`; none if it is not so made. Names hold none of
/// `stop`.
pub fn bind(
    template: &Template,
    text: &str,
    stop: Option<char>,
) -> Option<BTreeMap<String, String>> {
    let mut bound = BTreeMap::new();
    let mut rest = text;
    let mut parts = template.parts().peekable();
    while let Some(part) = parts.next() {
        match part {
            TemplatePart::Literal(literal) => rest = rest.strip_prefix(literal)?,
            TemplatePart::Name(name) => {
                let end = match parts.peek() {
                    Some(TemplatePart::Literal(literal)) => rest.find(literal)?,
                    _ => rest.len(),
                };
                let value = &rest[..end];
                if value.is_empty() || stop.is_some_and(|stop| value.contains(stop)) {
                    return None;
                }
                bound.insert(name.to_owned(), value.to_owned());
                rest = &rest[end..];
            }
        }
    }
    rest.is_empty().then_some(bound)
}

/// The same for all texts of a JSON body.
pub fn bind_body(template: &toml::Value, body: &Value, bound: &mut BTreeMap<String, String>) {
    match (template, body) {
        (toml::Value::String(text), Value::String(sent)) => {
            let template = Template::parse(text).unwrap();
            bound.extend(bind(&template, sent, None).unwrap_or_default());
        }
        (toml::Value::Array(items), Value::Array(sent)) => {
            for (item, sent) in items.iter().zip(sent) {
                bind_body(item, sent, bound);
            }
        }
        (toml::Value::Table(members), Value::Object(sent)) => {
            for (name, member) in members {
                if let Some(sent) = sent.get(name) {
                    bind_body(member, sent, bound);
                }
            }
        }
        _ => {}
    }
}
