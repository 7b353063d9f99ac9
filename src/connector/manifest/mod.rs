//! A connector as data: `connectors/<vendor>/manifest.toml`, as types.
//!
//! Owns: which words a manifest may use and how they fit together. Promises that what passed
//! `check` can be run. Never sees: a source's values, the network, the store. The words are explained
//! to people in `docs/CONNECTORS.md`.

mod auth;
mod check;
mod implied;
mod option;
mod poll;
mod record;
mod select;
mod template;
mod webhook;

pub use auth::{Auth, AuthType, ClientAuth};
pub use check::{Problem, check};
pub use option::{OptionSpec, OptionType};
pub use poll::{
    Binding, Cursor, CursorKind, Each, ErrorRule, Fetch, Join, Limits, Lookup, Method, Order,
    Paging, PagingStyle, Poll, Reaction, RequestBody, Rows, TimeFormat,
};
pub use record::{At, Attribution, Choices, Pivot, Record, Titles};
pub use select::{Condition, Of, OneOrMany, Scalar, Take, TextPart};
pub use template::{Encode, Template, TemplateError, TemplatePart, encode_url};
pub use webhook::{
    Answer, BodyEncoding, Encoding, Handshake, HandshakeStyle, KeyFormat, Scheme, Signature,
    TimeUnit, Timestamp, Webhook,
};

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;

/// How to talk to one vendor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// As in `connector = "…"`: lower-case letters, digits and `-`; the name of its folder.
    pub name: String,
    /// What people call it: `Typeform`.
    pub title: String,
    /// What it brings in, in one sentence.
    pub help: String,
    /// Where its API is, if we call it; options may stand in it: `https://{data_center}.api.…`.
    pub base_url: Option<Template>,
    /// The only hosts that are called; `*.` at the start takes any one below.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How fast one account may be called.
    #[serde(default)]
    pub limits: Limits,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// What a user sets in `[sources.<name>]`.
    #[serde(default)]
    pub options: IndexMap<String, OptionSpec>,
    /// Ways to sign in, by name. A source takes the one whose options it sets, or says `auth = "…"`.
    #[serde(default)]
    pub auth: IndexMap<String, Auth>,
    /// What the vendor sends by itself.
    pub webhook: Option<Webhook>,
    /// What a webhook only names is read by one of these; the first that fits.
    #[serde(default, deserialize_with = "one_or_many")]
    pub fetch: Vec<Fetch>,
    /// What is asked for on a schedule. `[poll]`, or `[[poll]]` for several.
    #[serde(default, deserialize_with = "one_or_many")]
    pub poll: Vec<Poll>,
    /// Small tables that are read once a walk and kept with each record: titles of questions.
    #[serde(default)]
    pub lookup: BTreeMap<String, Lookup>,
    /// What a record is, whichever way it came.
    #[serde(default)]
    pub record: Record,
    /// Lead field = where it is.
    #[serde(default)]
    pub fields: BTreeMap<String, Take>,
    /// Where UTM parameters and click ids are.
    #[serde(default)]
    pub attribution: Attribution,
    /// What the vendor's errors mean; the first that fits. What none names is taken by its status.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    /// How to set it up at the vendor, step by step; `{hook_url}`, `{source}` and options may stand in
    /// it.
    #[serde(default)]
    pub setup: Vec<String>,
}

impl Manifest {
    /// Reads a manifest's text; what is wrong is told with its place in it.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut manifest: Self = toml::from_str(text)?;
        manifest.complete();
        Ok(manifest)
    }

    /// The way to sign in that a source with these options uses: the one that it names, or the first
    /// of which it sets all that it needs. None if there is none such.
    pub fn way_to_sign_in(
        &self,
        named: Option<&str>,
        is_set: &dyn Fn(&str) -> bool,
    ) -> Option<(&str, &Auth)> {
        let is_complete = |auth: &Auth| auth.needs().iter().all(|option| is_set(option));
        self.auth
            .iter()
            .filter(|(name, _)| named.is_none_or(|named| named == name.as_str()))
            .find(|(_, auth)| named.is_some() || is_complete(auth))
            .map(|(name, auth)| (name.as_str(), auth))
    }
}

/// `[x]` or `[[x]]`.
fn one_or_many<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    struct Tables<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Tables<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a table or a list of tables")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, items: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(items))
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, table: A) -> Result<Vec<T>, A::Error> {
            T::deserialize(serde::de::value::MapAccessDeserializer::new(table)).map(|one| vec![one])
        }
    }
    deserializer.deserialize_any(Tables(std::marker::PhantomData))
}
