//! What a user set in `[sources.<name>]` for a connector that is a manifest.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::manifest::{Encode, Manifest, OptionType, Template};
use crate::config::{Secret, SecretError, SecretRef};

/// The options of one source, defaults filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, OptionValue>);

/// One of them. Secrets only as where they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum OptionValue {
    /// Text, or a web address.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list of texts.
    List(Vec<String>),
    /// Where a secret is kept; several while one is replaced by another.
    Secrets(Vec<SecretRef>),
}

impl Options {
    /// The options in `written`, whose shape was checked against the manifest; what does not fit is
    /// left out.
    pub fn of(manifest: &Manifest, written: &serde_json::Map<String, Value>) -> Self {
        let mut values = BTreeMap::new();
        for (name, spec) in &manifest.options {
            let mut names = std::iter::once(name).chain(&spec.aliases);
            let given = names.find_map(|name| written.get(name)).cloned();
            let default = || serde_json::to_value(spec.default.as_ref()?).ok();
            let value = given.or_else(default);
            if let Some(value) = value.and_then(|value| OptionValue::of(spec.kind, value)) {
                values.insert(name.clone(), value);
            }
        }
        let mut options = Self(values);
        options.derive(manifest);
        options
    }

    /// Fills in options that are a part of others, as far as those can be read: of a secret in a file
    /// only once its path is known.
    pub fn derive(&mut self, manifest: &Manifest) {
        for (name, spec) in &manifest.options {
            if self.0.contains_key(name) {
                continue;
            }
            let part = spec.after_last_dash_of.as_deref().and_then(|other| {
                let whole = self.text(other).ok()??;
                whole.rsplit_once('-').map(|(_, part)| part.to_owned())
            });
            if let Some(part) = part {
                self.0.insert(name.clone(), OptionValue::Text(part));
            }
        }
    }

    /// Whether an option is set, and is not `false`.
    pub fn is_set(&self, name: &str) -> bool {
        match self.0.get(name) {
            None | Some(OptionValue::Boolean(false)) => false,
            Some(OptionValue::Text(text)) => !text.is_empty(),
            Some(OptionValue::List(items)) => !items.is_empty(),
            Some(OptionValue::Secrets(kept)) => !kept.is_empty(),
            Some(_) => true,
        }
    }

    /// An option as text, for templates: a list joined by `,`, of several secrets the first. Secrets
    /// are read from where they are kept now.
    pub fn text(&self, name: &str) -> Result<Option<String>, SecretError> {
        Ok(match self.0.get(name) {
            None => None,
            Some(OptionValue::Text(text)) => Some(text.clone()),
            Some(OptionValue::Integer(number)) => Some(number.to_string()),
            Some(OptionValue::Boolean(truth)) => Some(truth.to_string()),
            Some(OptionValue::List(items)) => Some(items.join(",")),
            Some(OptionValue::Secrets(kept)) => match kept.first() {
                Some(kept) => Some(kept.read()?.expose().to_owned()),
                None => None,
            },
        })
    }

    /// The items of a list; none if it is not set.
    pub fn list(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(OptionValue::List(items)) => items.clone(),
            Some(OptionValue::Text(text)) => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    /// The secrets of an option, read from where they are kept now; none if it is not set.
    pub fn secrets(&self, name: &str) -> Result<Vec<Secret>, SecretError> {
        match self.0.get(name) {
            Some(OptionValue::Secrets(kept)) => kept.iter().map(SecretRef::read).collect(),
            _ => Ok(Vec::new()),
        }
    }

    /// Where the secrets of an option are kept; none if it is not set or holds no secret.
    pub fn secret_refs(&self, name: &str) -> &[SecretRef] {
        match self.0.get(name) {
            Some(OptionValue::Secrets(kept)) => kept,
            _ => &[],
        }
    }

    /// A template with options put in, and what `other` knows beside them. `None` if a name has no
    /// value.
    pub fn fill(
        &self,
        template: &Template,
        encode: Encode,
        other: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Result<Option<String>, SecretError> {
        let mut failed = None;
        let filled = template.fill(encode, &mut |name| {
            other(name).or_else(|| match self.text(name) {
                Ok(text) => text,
                Err(error) => {
                    failed = Some(error);
                    None
                }
            })
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(filled),
        }
    }

    /// All of them; secrets only as where they are kept.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.0)
    }

    /// Where secrets are kept, to make relative paths absolute.
    pub fn secret_refs_mut(&mut self) -> impl Iterator<Item = (&str, &mut SecretRef)> {
        self.0.iter_mut().flat_map(|(name, value)| {
            let kept = match value {
                OptionValue::Secrets(kept) => kept.as_mut_slice(),
                _ => &mut [],
            };
            kept.iter_mut().map(move |kept| (name.as_str(), kept))
        })
    }
}

impl OptionValue {
    fn of(kind: OptionType, value: Value) -> Option<Self> {
        match (kind, value) {
            (OptionType::Text | OptionType::Url, Value::String(text)) => Some(Self::Text(text)),
            // Ids are often all digits, and TOML then takes them for numbers.
            (OptionType::Text, Value::Number(number)) => Some(Self::Text(number.to_string())),
            (OptionType::Integer, Value::Number(number)) => number.as_i64().map(Self::Integer),
            (OptionType::Boolean, Value::Bool(truth)) => Some(Self::Boolean(truth)),
            (OptionType::List, Value::String(text)) => Some(Self::List(vec![text])),
            (OptionType::List, Value::Array(items)) => {
                let texts = items.into_iter().filter_map(|item| match item {
                    Value::String(text) => Some(text),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                });
                Some(Self::List(texts.collect()))
            }
            (OptionType::Secret, Value::Array(items)) => {
                let kept = items.into_iter().map(serde_json::from_value).collect();
                Result::ok(kept).map(Self::Secrets)
            }
            (OptionType::Secret, value) => serde_json::from_value(value)
                .ok()
                .map(|kept| Self::Secrets(vec![kept])),
            _ => None,
        }
    }
}
