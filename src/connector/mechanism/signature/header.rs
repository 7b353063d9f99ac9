//! How a header with signatures is written.

use http::{HeaderMap, HeaderName};

use super::expand::Part;
use super::{Denied, VerifierError};

/// The most items that are looked at in all values of a header.
const MOST_ITEMS: usize = 16;

/// The parts of a header's items: `sha256={signature}`, `t={timestamp},v1={signature}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    separator: char,
    items: Vec<Item>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Item {
    before: String,
    holds: Option<Holds>,
    after: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Signature,
    Timestamp,
}

/// What was found in a header.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found<'h> {
    /// All that may be signatures.
    pub signatures: Vec<&'h str>,
    /// The first time.
    pub timestamp: Option<&'h str>,
}

impl Format {
    /// Of a header's items, between which there is a `,`, or a `;` if the format has one.
    pub fn new(parts: &[Part]) -> Result<Self, VerifierError> {
        let has = |mark: char| {
            parts
                .iter()
                .any(|part| matches!(part, Part::Literal(text) if text.contains(mark)))
        };
        let separator = if has(';') && !has(',') { ';' } else { ',' };
        let mut items = vec![Item::default()];
        for part in parts {
            match part {
                Part::Literal(text) => {
                    for (number, piece) in text.split(separator).enumerate() {
                        if number > 0 {
                            items.push(Item::default());
                        }
                        if let Some(item) = items.last_mut() {
                            match item.holds {
                                None => item.before.push_str(piece),
                                Some(_) => item.after.push_str(piece),
                            }
                        }
                    }
                }
                Part::Name(name) => {
                    let holds = match name.as_str() {
                        "signature" => Holds::Signature,
                        "timestamp" => Holds::Timestamp,
                        _ => return Err(VerifierError::Name(name.clone())),
                    };
                    match items.last_mut() {
                        Some(item) if item.holds.is_none() => item.holds = Some(holds),
                        _ => return Err(VerifierError::Format),
                    }
                }
            }
        }
        for item in &mut items {
            item.before = item.before.trim_start().to_owned();
            item.after = item.after.trim_end().to_owned();
        }
        items.retain(|item| item.holds.is_some());
        let format = Self { separator, items };
        if format.has(Holds::Signature) {
            Ok(format)
        } else {
            Err(VerifierError::Format)
        }
    }

    /// The signature by itself.
    pub fn bare() -> Self {
        Self {
            separator: ',',
            items: vec![Item {
                holds: Some(Holds::Signature),
                ..Item::default()
            }],
        }
    }

    /// Whether the time stands beside the signature.
    pub fn has_timestamp(&self) -> bool {
        self.has(Holds::Timestamp)
    }

    fn has(&self, holds: Holds) -> bool {
        self.items.iter().any(|item| item.holds == Some(holds))
    }

    /// Signatures and time in the header's values.
    pub fn find<'h>(&self, headers: &'h HeaderMap, name: &HeaderName) -> Result<Found<'h>, Denied> {
        let mut found = Found::default();
        let values = texts(headers, name)?;
        let items = values.flat_map(|value| value.split(self.separator));
        for text in items.take(MOST_ITEMS) {
            for item in &self.items {
                let Some(inside) = item.inside(text.trim()) else {
                    continue;
                };
                match item.holds {
                    Some(Holds::Signature) => found.signatures.push(inside),
                    Some(Holds::Timestamp) => {
                        found.timestamp.get_or_insert(inside);
                    }
                    None => {}
                }
            }
        }
        Ok(found)
    }

    /// The one value that a header holds as a whole, such as a token after `Bearer `.
    pub fn whole<'h>(
        &self,
        headers: &'h HeaderMap,
        name: &HeaderName,
    ) -> Result<Vec<&'h str>, Denied> {
        let item = self.items.first();
        let values = texts(headers, name)?.take(MOST_ITEMS);
        Ok(values
            .filter_map(|value| item?.inside(value.trim()))
            .collect())
    }
}

impl Item {
    fn inside<'h>(&self, text: &'h str) -> Option<&'h str> {
        text.strip_prefix(self.before.as_str())?
            .strip_suffix(self.after.as_str())
    }
}

/// The values of a header that are text; it is missing if there are none.
pub fn texts<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<impl Iterator<Item = &'h str>, Denied> {
    let mut values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
        .peekable();
    match values.peek() {
        Some(_) => Ok(values),
        None => Err(Denied::Missing {
            header: name.to_string(),
        }),
    }
}

/// The first value of a header.
pub fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, Denied> {
    let missing = || Denied::Missing {
        header: name.to_string(),
    };
    texts(headers, name)?.next().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::super::expand::expand;
    use super::*;
    use crate::connector::Options;
    use crate::connector::manifest::Template;

    #[track_caller]
    fn check(format: &str, header: &str, signatures: &[&str], timestamp: Option<&str>) {
        let template = Template::parse(format).unwrap();
        let parts = expand(&template, &Options::default(), |_| true)
            .unwrap()
            .unwrap();
        let name = HeaderName::from_static("x-signature");
        let mut headers = HeaderMap::new();
        headers.insert(&name, header.parse().unwrap());
        let found = Format::new(&parts).unwrap();
        let found = found.find(&headers, &name).unwrap();
        assert_eq!(found.signatures, signatures, "{format} in {header}");
        assert_eq!(found.timestamp, timestamp, "{format} in {header}");
    }

    #[test]
    fn signatures_and_times_are_found_in_lists() {
        check("sha256={signature}", "sha256=ab", &["ab"], None);
        check("sha256={signature}", "sha1=ab, sha256=cd", &["cd"], None);
        check("sha256={signature}", "ab", &[], None);
        check(
            "t={timestamp},v1={signature}",
            "v1=aa, t=12,v0=bb,v1=cc",
            &["aa", "cc"],
            Some("12"),
        );
        check(
            "ts={timestamp};h1={signature}",
            "ts=1;h1=aa",
            &["aa"],
            Some("1"),
        );
        check("{signature}", "a+/b==", &["a+/b=="], None);
    }

    #[test]
    fn a_format_without_a_signature_is_refused() {
        let parts = [Part::Name("timestamp".to_owned())];
        assert_eq!(Format::new(&parts), Err(VerifierError::Format));
    }
}
