//! Requests from a manifest's templates.
//!
//! Promises: a value never leaves its place in a path, a query or a JSON text; a parameter or member
//! of which a name has no value is left out. Never sees what signs a request, or the network.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::call::{Request, Target};
use crate::config::SecretError;
use crate::connector::Options;
use crate::connector::manifest::{
    Encode, Fetch, Lookup, Method, Poll, RequestBody, Template, TemplateError, encode_url,
};

/// Why a request cannot be made. Holds no value that was to stand in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A name in the path has no value.
    #[error("`{name}` has no value, and the request's path needs it")]
    Unresolved {
        /// The first such name.
        name: String,
    },
    /// A value would lead to another path.
    #[error("the value of `{name}` cannot stand in a path")]
    Unsafe {
        /// Its name.
        name: String,
    },
    /// A secret that an option names cannot be read.
    #[error("{0}")]
    Secret(String),
    /// A text in the body is no template.
    #[error("a text in the request's body: {0}")]
    Body(#[from] TemplateError),
    /// `paging.body` goes into something that is no object.
    #[error("the body has no place for `{0}`")]
    NoPlace(String),
}

impl From<SecretError> for RequestError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error.to_string())
    }
}

/// A request's parts, wherever in the manifest they stand.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'m> {
    method: Method,
    path: &'m Template,
    query: &'m BTreeMap<String, Template>,
    raw_query: bool,
    headers: Option<&'m BTreeMap<String, Template>>,
    body: Option<&'m RequestBody>,
}

impl<'m> Parts<'m> {
    /// A GET.
    pub fn get(path: &'m Template, query: &'m BTreeMap<String, Template>) -> Self {
        Self {
            method: Method::Get,
            path,
            query,
            raw_query: false,
            headers: None,
            body: None,
        }
    }
}

impl<'m> From<&'m Poll> for Parts<'m> {
    fn from(poll: &'m Poll) -> Self {
        Self {
            method: poll.method,
            path: &poll.path,
            query: &poll.query,
            raw_query: poll.raw_query,
            headers: Some(&poll.headers),
            body: poll.body.as_ref(),
        }
    }
}

impl<'m> From<&'m Fetch> for Parts<'m> {
    fn from(fetch: &'m Fetch) -> Self {
        Self {
            method: fetch.method,
            path: &fetch.path,
            query: &fetch.query,
            raw_query: fetch.raw_query,
            headers: None,
            body: fetch.body.as_ref(),
        }
    }
}

impl<'m> From<&'m Lookup> for Parts<'m> {
    fn from(lookup: &'m Lookup) -> Self {
        Self::get(&lookup.path, &lookup.query)
    }
}

/// What names stand for: what the request binds, then the source's options.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The source's options.
    pub options: &'a Options,
    /// What is bound beside them; goes before an option of that name.
    pub own: &'a BTreeMap<String, String>,
}

impl Names<'_> {
    fn fill(&self, template: &Template, encode: Encode) -> Result<Option<String>, RequestError> {
        // A blank filter is refused by vendors, or means something else than no filter.
        let own = |name: &str| self.own.get(name).cloned();
        let mut blank = false;
        let filled = self.options.fill(template, encode, &mut |name| {
            let value = own(name);
            blank |= value.as_ref().is_some_and(String::is_empty);
            value
        })?;
        Ok(filled.filter(|_| !blank))
    }

    fn value(&self, name: &str) -> Result<Option<String>, RequestError> {
        match self.own.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => Ok(self.options.text(name)?),
        }
    }
}

/// A value that paging puts into a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<'a> {
    /// The query parameter that it goes into,
    pub query: Option<&'a str>,
    /// or the member of the body; dots go into inner ones.
    pub body: Option<&'a str>,
    /// The value.
    pub value: PagedValue,
}

/// Whether a value is a number in a JSON body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PagedValue {
    /// It is.
    Number(u64),
    /// It is not.
    Text(String),
}

impl PagedValue {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Number(number) => Value::Number(Number::from(*number)),
            Self::Text(text) => Value::String(text.clone()),
        }
    }
}

/// The request, with what paging adds to it.
pub fn build(
    parts: Parts<'_>,
    names: Names<'_>,
    paged: &[Paged<'_>],
) -> Result<Request, RequestError> {
    let mut target = path(parts.path, names)?;
    let mut separator = if target.contains('?') { '&' } else { '?' };
    for (name, value) in query(&parts, names, paged)? {
        target.push(separator);
        target.push_str(&name);
        target.push('=');
        target.push_str(&value);
        separator = '&';
    }
    let mut headers = Vec::new();
    for (name, template) in parts.headers.into_iter().flatten() {
        if let Some(value) = names.fill(template, Encode::Plain)? {
            headers.push((name.clone(), value));
        }
    }
    Ok(Request {
        method: parts.method,
        target: Target::Path(target),
        headers,
        body: body(parts.body, names, paged)?,
    })
}

fn path(template: &Template, names: Names<'_>) -> Result<String, RequestError> {
    for name in template.names() {
        match names.value(name)? {
            None => {
                let name = name.to_owned();
                return Err(RequestError::Unresolved { name });
            }
            // Percent-encoding leaves dots, and `..` would be another path.
            Some(value) if value.is_empty() || value.bytes().all(|byte| byte == b'.') => {
                let name = name.to_owned();
                return Err(RequestError::Unsafe { name });
            }
            Some(_) => {}
        }
    }
    names
        .fill(template, Encode::Url)?
        .ok_or_else(|| RequestError::Unresolved {
            name: template.to_string(),
        })
}

/// Names and values, encoded, in the manifest's order; what paging adds comes last.
fn query(
    parts: &Parts<'_>,
    names: Names<'_>,
    paged: &[Paged<'_>],
) -> Result<Vec<(String, String)>, RequestError> {
    let mut query = Vec::new();
    for (name, template) in parts.query {
        if paged.iter().any(|paged| paged.query == Some(name)) {
            continue;
        }
        let value = if parts.raw_query {
            names.fill(template, Encode::Url)?
        } else {
            let plain = names.fill(template, Encode::Plain)?;
            plain.map(|value| encode_url(&value))
        };
        if let Some(value) = value {
            query.push((encode_url(name), value));
        }
    }
    for paged in paged {
        if let Some(name) = paged.query {
            query.push((encode_url(name), encode_url(&paged.value.text())));
        }
    }
    Ok(query)
}

fn body(
    body: Option<&RequestBody>,
    names: Names<'_>,
    paged: &[Paged<'_>],
) -> Result<Option<String>, RequestError> {
    let mut whole = match body {
        Some(RequestBody(table)) => Some(members(table, names)?),
        None => None,
    };
    for paged in paged {
        if let Some(place) = paged.body {
            let whole = whole.get_or_insert_default();
            put(whole, place, paged.value.json())
                .ok_or_else(|| RequestError::NoPlace(place.to_owned()))?;
        }
    }
    Ok(whole.map(|members| Value::Object(members).to_string()))
}

fn members(table: &toml::Table, names: Names<'_>) -> Result<Map<String, Value>, RequestError> {
    let mut members = Map::new();
    for (key, value) in table {
        if let Some(value) = json(value, names)? {
            members.insert(key.clone(), value);
        }
    }
    Ok(members)
}

fn json(value: &toml::Value, names: Names<'_>) -> Result<Option<Value>, RequestError> {
    Ok(match value {
        toml::Value::String(text) => {
            let template = Template::parse(text)?;
            let filled = names.fill(&template, Encode::Plain)?;
            // How many are asked for is a number wherever it stands.
            let is_size = text == "{size}";
            filled.map(|text| match text.parse::<u64>() {
                Ok(number) if is_size => Value::from(number),
                _ => Value::String(text),
            })
        }
        toml::Value::Integer(number) => Some(Value::from(*number)),
        toml::Value::Float(number) => Number::from_f64(*number).map(Value::Number),
        toml::Value::Boolean(truth) => Some(Value::Bool(*truth)),
        toml::Value::Datetime(time) => Some(Value::String(time.to_string())),
        toml::Value::Array(items) => {
            let mut list = Vec::new();
            for item in items {
                list.extend(json(item, names)?);
            }
            Some(Value::Array(list))
        }
        toml::Value::Table(table) => Some(Value::Object(members(table, names)?)),
    })
}

/// Puts `value` at a dotted place; none if something on the way is no object.
fn put(members: &mut Map<String, Value>, place: &str, value: Value) -> Option<()> {
    match place.split_once('.') {
        None => {
            members.insert(place.to_owned(), value);
            Some(())
        }
        Some((first, rest)) => {
            let inner = members
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            put(inner.as_object_mut()?, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::manifest::Manifest;

    const MANIFEST: &str = r#"
        name = "x"
        title = "X"
        help = "x"
        options = { form = { type = "text", help = "x" }, unset = { type = "text", help = "x" } }
        [[poll]]
        path = "/forms/{form}/responses"
        query = { since = "{cursor}", "filters[updated_after]" = "timestamp >= {cursor}", left_out = "{unset}", page = "7" }
        headers = { X-Form = "{form}", X-None = "{unset}" }
        records = "items"
        [[poll]]
        name = "raw"
        path = "/leads"
        raw_query = true
        query = { owner = "(account:{form})", range = "(start:{cursor})" }
        records = "elements"
        [[poll]]
        name = "search"
        method = "POST"
        path = "/search"
        body = { limit = "{size}", text = "a {cursor}", none = "{unset}", list = [{ value = "{cursor}" }, "{unset}"] }
        records = "results"
    "#;

    fn check(poll: usize, form: &str, own: &[(&str, &str)], paged: &[Paged<'_>]) -> Request {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let written = serde_json::json!({ "form": form });
        let options = Options::of(&manifest, written.as_object().unwrap());
        let own = own
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let names = Names {
            options: &options,
            own: &own,
        };
        build(Parts::from(&manifest.poll[poll]), names, paged).unwrap()
    }

    fn number<'a>(query: Option<&'a str>, body: Option<&'a str>, value: u64) -> Paged<'a> {
        Paged {
            query,
            body,
            value: PagedValue::Number(value),
        }
    }

    #[test]
    fn values_stay_in_their_places_and_what_has_none_is_left_out() {
        let request = check(
            0,
            "a/../b?c",
            &[("cursor", "2026-01-01T00:00:00+00:00")],
            &[],
        );
        assert_eq!(
            request.target,
            Target::Path(
                "/forms/a%2F..%2Fb%3Fc/responses\
                 ?filters%5Bupdated_after%5D=timestamp%20%3E%3D%202026-01-01T00%3A00%3A00%2B00%3A00\
                 &page=7&since=2026-01-01T00%3A00%3A00%2B00%3A00"
                    .to_owned()
            )
        );
        assert_eq!(
            request.headers,
            [("X-Form".to_owned(), "a/../b?c".to_owned())]
        );
        assert_eq!(request.body, None);
        let first = check(0, "f", &[], &[number(Some("page"), None, 2)]);
        let expect = Target::Path("/forms/f/responses?page=2".to_owned());
        assert_eq!(first.target, expect, "paging's own value counts");
    }

    #[test]
    fn a_raw_query_keeps_its_own_signs_and_encodes_what_is_put_in() {
        let request = check(1, "urn:li:a:(1,2)", &[("cursor", "17")], &[]);
        let expect = "/leads?owner=(account:urn%3Ali%3Aa%3A%281%2C2%29)&range=(start:17)";
        assert_eq!(request.target, Target::Path(expect.to_owned()));
    }

    #[test]
    fn a_body_is_json_whatever_is_put_in() {
        let own = [("cursor", "\"}'"), ("size", "50")];
        let paged = [
            number(None, Some("page.number"), 3),
            Paged {
                query: None,
                body: Some("after"),
                value: PagedValue::Text("50".to_owned()),
            },
        ];
        let request = check(2, "f", &own, &paged);
        let body: Value = serde_json::from_str(request.body.as_deref().unwrap()).unwrap();
        let expect = serde_json::json!({
            "limit": 50, "text": "a \"}'", "list": [{ "value": "\"}'" }],
            "page": { "number": 3 }, "after": "50"
        });
        assert_eq!(body, expect);
    }

    #[test]
    fn a_path_needs_all_its_names_and_goes_nowhere_else() {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        for (form, expect) in [
            (None, "`form` has no value, and the request's path needs it"),
            (Some(".."), "the value of `form` cannot stand in a path"),
        ] {
            let written = form.map_or_else(Map::new, |form| {
                Map::from_iter([("form".to_owned(), Value::from(form))])
            });
            let options = Options::of(&manifest, &written);
            let names = Names {
                options: &options,
                own: &BTreeMap::new(),
            };
            let error = build(Parts::from(&manifest.poll[0]), names, &[]).unwrap_err();
            assert_eq!(error.to_string(), expect);
        }
    }
}
