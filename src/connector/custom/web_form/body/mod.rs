//! A body's bytes to named values, by its `Content-Type`.
//!
//! [`check`] and [`decode`] walk a body with the same code, so that what passes the door can be read
//! later; `check` only counts. Names and values come in the order in which they were sent, and a
//! name that occurs several times has several values.

mod charset;
pub(in crate::connector) mod content_type;
mod json;
pub(in crate::connector) mod multipart;
mod plain;
pub(in crate::connector) mod urlencoded;

use std::borrow::Cow;

use charset::Charset;
use content_type::{ContentType, Encoding};

use crate::connector::reading::{FilePart, Form};
use crate::connector::{Payload, Refusal};

/// The most values that one body may hold. Real forms have dozens.
const MAX_VALUES: usize = 500;

/// The longest name of a field, in bytes as sent.
const MAX_NAME_BYTES: usize = 255;

/// Whether the body can be read, in one pass that keeps nothing.
pub fn check(payload: Payload<'_>) -> Result<(), Refusal> {
    let content_type = ContentType::parse(payload.content_type)?;
    let mut count = Count::default();
    match content_type.encoding(payload.body) {
        Encoding::Urlencoded => {
            for (name, _) in urlencoded::pairs(payload.body) {
                count.name(name)?;
            }
        }
        Encoding::PlainLines => {
            for (name, _) in plain::pairs(payload.body) {
                count.name(name)?;
            }
        }
        Encoding::Multipart => {
            for part in multipart::parts(payload.body, content_type.boundary()?)? {
                count.name(part?.name)?;
            }
        }
        Encoding::Json => {
            let text = charset::whole(payload.body, content_type.charset());
            json::walk(&text, &mut |name: &str, _: Cow<'_, str>| {
                count.name(name.as_bytes())
            })?;
        }
    }
    count.finish()
}

/// Everything in the body.
pub fn decode(payload: Payload<'_>) -> Result<Form, Refusal> {
    let content_type = ContentType::parse(payload.content_type)?;
    let body = payload.body;
    let mut form = Form::default();
    match content_type.encoding(body) {
        Encoding::Urlencoded => {
            let charset = Charset::of_form(
                urlencoded::pairs(body),
                content_type.charset(),
                payload.query,
            );
            for (name, value) in urlencoded::pairs(body) {
                form.add(
                    charset.text(urlencoded::decode(name)),
                    charset.text(urlencoded::decode(value)),
                );
            }
        }
        Encoding::PlainLines => {
            let charset = Charset::of_form(plain::pairs(body), content_type.charset(), None);
            for (name, value) in plain::pairs(body) {
                form.add(charset.text(name), charset.text(value));
            }
        }
        Encoding::Multipart => {
            let boundary = content_type.boundary()?;
            let fields = multipart::parts(body, boundary)?
                .filter_map(Result::ok)
                .map(|part| (part.name, part.content));
            let charset = Charset::of_form(fields, content_type.charset(), None);
            for part in multipart::parts(body, boundary)? {
                let part = part?;
                let name = multipart::unescape(charset.text(part.name));
                match part.file {
                    None => form.add(name, charset.of_part(part.charset).text(part.content)),
                    Some(_) if part.content.is_empty() => {}
                    Some(kind) => form.files.push(FilePart {
                        name,
                        kind: String::from_utf8_lossy(kind).into_owned(),
                        bytes: part.content.len(),
                    }),
                }
            }
        }
        Encoding::Json => {
            let text = charset::whole(body, content_type.charset());
            json::walk(&text, &mut |name: &str, value: Cow<'_, str>| {
                form.add(name.to_owned(), value.into_owned());
                Ok(())
            })?;
        }
    }
    Ok(form)
}

/// Counts names, and says so when there are too many or too long ones, or none.
#[derive(Debug, Default)]
struct Count {
    values: usize,
}

impl Count {
    fn name(&mut self, name: &[u8]) -> Result<(), Refusal> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Refusal::malformed(
                "body.too_many_fields",
                format!("the form has more than {MAX_VALUES} values"),
                "send only the fields that matter, each once",
            ));
        }
        if name.len() > MAX_NAME_BYTES {
            let start: String = String::from_utf8_lossy(name).chars().take(40).collect();
            return Err(Refusal::malformed(
                "body.name_too_long",
                format!("the name of a field is longer than {MAX_NAME_BYTES} bytes"),
                "give the field a shorter name; a long text belongs into its value",
            )
            .field(start + "…"));
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Refusal> {
        if self.values > 0 {
            return Ok(());
        }
        Err(Refusal::malformed(
            "body.no_fields",
            "the form has no fields",
            "give each input a name attribute: browsers send only inputs that have one",
        ))
    }
}

#[cfg(test)]
mod tests;
