//! Templates of a signature, with options put in.

use http::HeaderName;

use super::VerifierError;
use crate::connector::Options;
use crate::connector::manifest::{Encode, Template, TemplatePart};

/// A part of a template whose options have been put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that stands as it is.
    Literal(String),
    /// What each request says anew.
    Name(String),
}

/// The parts of `template`. A name that is not `known` is an option's, and what the option holds may
/// have known names in it: so the user of a generic source says what is signed. `None` if such an
/// option is not set.
pub fn expand(
    template: &Template,
    options: &Options,
    known: impl Fn(&str) -> bool,
) -> Result<Option<Vec<Part>>, VerifierError> {
    let mut parts = Vec::new();
    for part in template.parts() {
        match part {
            TemplatePart::Literal(text) => parts.push(Part::Literal(text.to_owned())),
            TemplatePart::Name(name) if known(name) => parts.push(Part::Name(name.to_owned())),
            TemplatePart::Name(name) => {
                let Some(text) = text_of(options, name)? else {
                    return Ok(None);
                };
                let inner = Template::parse(&text)
                    .map_err(|error| VerifierError::Template(error.to_string()))?;
                for part in inner.parts() {
                    parts.push(match part {
                        TemplatePart::Literal(text) => Part::Literal(text.to_owned()),
                        TemplatePart::Name(name) if known(name) => Part::Name(name.to_owned()),
                        TemplatePart::Name(name) => {
                            return Err(VerifierError::Name(name.to_owned()));
                        }
                    });
                }
            }
        }
    }
    Ok(Some(parts))
}

/// A text with options put in; `None` if one of them is not set.
pub fn fill(text: &str, options: &Options) -> Result<Option<String>, VerifierError> {
    let template =
        Template::parse(text).map_err(|error| VerifierError::Template(error.to_string()))?;
    filled(&template, options)
}

/// The same of a template.
pub fn filled(template: &Template, options: &Options) -> Result<Option<String>, VerifierError> {
    if let Some(name) = template.names().find(|name| is_secret(options, name)) {
        return Err(VerifierError::Name(name.to_owned()));
    }
    let text = options
        .fill(template, Encode::Plain, &mut |_| None)
        .map_err(|error| VerifierError::Template(error.to_string()))?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// The name of a header that may be an option's value.
pub fn header(text: &str, options: &Options) -> Result<Option<HeaderName>, VerifierError> {
    let Some(name) = fill(text, options)? else {
        return Ok(None);
    };
    match HeaderName::try_from(name.trim()) {
        Ok(header) => Ok(Some(header)),
        Err(_) => Err(VerifierError::Header(name)),
    }
}

fn text_of(options: &Options, name: &str) -> Result<Option<String>, VerifierError> {
    if is_secret(options, name) {
        return Err(VerifierError::Name(name.to_owned()));
    }
    let text = options
        .text(name)
        .map_err(|error| VerifierError::Template(error.to_string()))?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// A secret that stood in a template would be read once and never again.
fn is_secret(options: &Options, name: &str) -> bool {
    !options.secret_refs(name).is_empty()
}
