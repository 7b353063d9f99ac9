//! The secret itself, in a header or in the body.

use http::HeaderName;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use subtle::{Choice, ConstantTimeEq as _};

use super::expand;
use super::header::Format;
use super::{Denied, Key, Request, VerifierError, encoding};
use crate::connector::manifest::{Encoding, Signature};
use crate::connector::select::add_texts;
use crate::connector::{Options, Path};

/// The most values that are looked at.
const MOST_VALUES: usize = 16;

/// Where the secret stands.
#[derive(Debug)]
pub struct Equals {
    place: Place,
}

#[derive(Debug)]
enum Place {
    Header {
        name: HeaderName,
        format: Format,
        /// `Basic {signature}`: what the header holds is user and password in base 64.
        is_base64: bool,
    },
    Body(Path),
}

impl Equals {
    /// Of a manifest's `signature`.
    pub fn new(signature: &Signature, options: &Options) -> Result<Self, VerifierError> {
        let path = match &signature.body_path {
            Some(path) if path.starts_with('{') => expand::fill(path, options)?,
            other => other.clone(),
        };
        if let Some(path) = path {
            return Ok(Self {
                place: Place::Body(Path::parse(&path)?),
            });
        }
        let name = match &signature.header {
            Some(template) => expand::filled(template, options)?,
            None => None,
        };
        let name = name.ok_or(VerifierError::NoHeader)?;
        let format = match &signature.format {
            Some(template) => expand::expand(template, options, |name| name == "signature")?,
            None => None,
        };
        Ok(Self {
            place: Place::Header {
                name: HeaderName::try_from(name.trim())
                    .map_err(|_| VerifierError::Header(name.clone()))?,
                format: match format {
                    Some(parts) => Format::new(&parts)?,
                    None => Format::bare(),
                },
                is_base64: signature.encoding == Encoding::Base64,
            },
        })
    }

    /// Where the secret stands in the body.
    pub fn body_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Body(path) => Some(path),
            Place::Header { .. } => None,
        }
    }

    /// Whether the secret is one of the keys.
    pub fn verify(
        &self,
        keys: &[Key],
        request: &Request<'_>,
        body: impl FnOnce() -> Option<Value>,
    ) -> Result<(), Denied> {
        let given: Vec<Vec<u8>> = match &self.place {
            Place::Header {
                name,
                format,
                is_base64,
            } => {
                let given = format.whole(request.headers, name)?;
                let decode = |text: &str| {
                    if *is_base64 {
                        encoding::base64(text)
                    } else {
                        Some(text.as_bytes().to_vec())
                    }
                };
                given.into_iter().filter_map(decode).collect()
            }
            Place::Body(path) => {
                let mut given = Vec::new();
                let body = body().unwrap_or_default();
                for value in path.all(&body).into_iter().take(MOST_VALUES) {
                    add_texts(value, &mut given);
                }
                given.truncate(MOST_VALUES);
                given.into_iter().map(String::into_bytes).collect()
            }
        };
        any_is(keys, given.iter().map(Vec::as_slice))
    }
}

/// Whether one of `given` is one of the keys. Hashes are compared, so that not even the length of a
/// secret shows in the time that it takes.
pub fn any_is<'g>(
    keys: &[Key],
    given: impl Iterator<Item = &'g [u8]> + Clone,
) -> Result<(), Denied> {
    let mut fits = Choice::from(0);
    for key in keys {
        let Key::Shared(key) = key else { continue };
        let expected = digest(&SHA256, key);
        for given in given.clone() {
            fits |= expected.as_ref().ct_eq(digest(&SHA256, given).as_ref());
        }
    }
    if bool::from(fits) {
        Ok(())
    } else {
        Err(Denied::Wrong)
    }
}
