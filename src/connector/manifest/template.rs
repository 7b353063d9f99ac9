use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _};

/// Text with names in braces: `/forms/{form_id}/responses`. `{{` and `}}` stand for the braces
/// themselves. No logic: a name is replaced by its value, or the whole text has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Name(String),
}

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplatePart<'t> {
    /// Text that stands as it is.
    Literal(&'t str),
    /// A name to be replaced.
    Name(&'t str),
}

/// How values are put into a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encode {
    /// As they are.
    Plain,
    /// Percent-encoded, all but letters, digits and `-._~`: a value cannot leave its place in a path
    /// or query.
    Url,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its other half.
    #[error("a `{{` or `}}` stands alone; write `{{{{` for a brace that is meant as such")]
    Unbalanced,
    /// Something in braces that is no name.
    #[error(
        "`{{{0}}}` is no name: lower-case letters, digits, `_` and `-`, after a letter; parts by `.`"
    )]
    BadName(String),
}

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..];
            if let Some(after) = brace.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some(inner) = brace.strip_prefix('{') {
                let end = inner.find('}').ok_or(TemplateError::Unbalanced)?;
                let name = &inner[..end];
                if !is_name(name) {
                    return Err(TemplateError::BadName(name.to_owned()));
                }
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Name(name.to_owned()));
                rest = &inner[end + 1..];
            } else {
                return Err(TemplateError::Unbalanced);
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// Text without names.
    pub fn literal(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Literal(text.into())],
        }
    }

    /// The names in it, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// Its parts, in their order: for what is no text, such as a body that is signed.
    pub fn parts(&self) -> impl Iterator<Item = TemplatePart<'_>> {
        self.parts.iter().map(|part| match part {
            Part::Literal(text) => TemplatePart::Literal(text),
            Part::Name(name) => TemplatePart::Name(name),
        })
    }

    /// The text with all names replaced; none if one of them has no value.
    pub fn fill(
        &self,
        encode: Encode,
        value: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Name(name) => {
                    let value = value(name)?;
                    match encode {
                        Encode::Plain => text.push_str(&value),
                        Encode::Url => text.push_str(&encode_url(&value)),
                    }
                }
            }
        }
        Some(text)
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub fn encode_url(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

fn is_name(name: &str) -> bool {
    name.len() <= 80
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.:".contains(&b))
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Part::Name(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str, encode: Encode) -> Option<String> {
        let template = Template::parse(text).unwrap();
        assert_eq!(template.to_string(), text);
        template.fill(encode, &mut |name| match name {
            "id" => Some("a/b c".to_owned()),
            "none" => None,
            other => Some(other.to_uppercase()),
        })
    }

    #[test]
    fn names_are_replaced_and_a_missing_one_leaves_nothing() {
        assert_eq!(fill("/x/{id}/y", Encode::Url).unwrap(), "/x/a%2Fb%20c/y");
        assert_eq!(fill("{id}", Encode::Plain).unwrap(), "a/b c");
        assert_eq!(fill("{{{one}}} {two}", Encode::Plain).unwrap(), "{ONE} TWO");
        assert_eq!(fill("a{none}", Encode::Plain), None);
        assert_eq!(fill("", Encode::Plain).unwrap(), "");
    }

    #[test]
    fn a_brace_alone_or_no_name_is_refused() {
        for (text, error) in [
            ("{a", TemplateError::Unbalanced),
            ("a}", TemplateError::Unbalanced),
            ("{A b}", TemplateError::BadName("A b".to_owned())),
            ("{}", TemplateError::BadName(String::new())),
        ] {
            assert_eq!(Template::parse(text), Err(error), "{text}");
        }
    }
}
