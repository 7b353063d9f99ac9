//! `multipart/form-data` out of the stored bytes, without copying. Source: RFC 7578, RFC 2046 and
//! what browsers send (WHATWG HTML, multipart/form-data encoding).

use memchr::memmem;

use super::content_type::parameter;
use crate::connector::Refusal;

/// The longest head of one part. Browsers send about 150 bytes.
const MAX_HEAD_BYTES: usize = 4096;

/// One part of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field's name, as sent: see [`unescape`].
    pub name: &'a [u8],
    /// The content type of a file; `None` for a plain value.
    pub file: Option<&'a [u8]>,
    /// The charset that the part names for itself.
    pub charset: Option<&'a str>,
    /// The value, or the file's bytes.
    pub content: &'a [u8],
}

/// The parts of `body`. Ends at the first thing that is wrong, and says what it is.
pub fn parts<'a>(
    body: &'a [u8],
    boundary: &str,
) -> Result<impl Iterator<Item = Result<Part<'a>, Refusal>>, Refusal> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very start, without a line break before it.
    let mut rest = if body.starts_with(&delimiter.as_bytes()[2..]) {
        Some(&body[delimiter.len() - 2..])
    } else {
        match memmem::find(body, delimiter.as_bytes()) {
            Some(start) => Some(&body[start + delimiter.len()..]),
            None => return Err(no_delimiter()),
        }
    };
    Ok(std::iter::from_fn(move || {
        let after_delimiter = rest.take()?;
        if after_delimiter.starts_with(b"--") {
            return None;
        }
        let part = next_part(after_delimiter, delimiter.as_bytes());
        Some(part.map(|(part, after)| {
            rest = Some(after);
            part
        }))
    }))
}

/// The part behind a delimiter, and what comes behind the next delimiter.
fn next_part<'a>(text: &'a [u8], delimiter: &[u8]) -> Result<(Part<'a>, &'a [u8]), Refusal> {
    // Spaces may stand between a delimiter and its line break.
    let head_start = match memmem::find(text, b"\r\n") {
        Some(end) if text[..end].trim_ascii().is_empty() => end + 2,
        Some(_) => return Err(no_delimiter()),
        None => return Err(cut_off()),
    };
    let text = &text[head_start..];
    let searched = &text[..text.len().min(MAX_HEAD_BYTES)];
    let head_end = memmem::find(searched, b"\r\n\r\n").ok_or_else(|| {
        if searched.len() < MAX_HEAD_BYTES {
            cut_off()
        } else {
            no_name()
        }
    })?;
    let (head, content) = (&text[..head_end], &text[head_end + 4..]);
    let end = memmem::find(content, delimiter).ok_or_else(cut_off)?;
    let after = &content[end + delimiter.len()..];
    Ok((part(head, &content[..end])?, after))
}

fn part<'a>(head: &'a [u8], content: &'a [u8]) -> Result<Part<'a>, Refusal> {
    let mut name = None;
    let mut is_file = false;
    let mut kind: &[u8] = b"";
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (key, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if key.eq_ignore_ascii_case(b"content-disposition") {
            name = quoted(value, b"name");
            is_file = quoted(value, b"filename")
                .or(quoted(value, b"filename*"))
                .is_some();
        } else if key.eq_ignore_ascii_case(b"content-type") {
            kind = value;
        }
    }
    let charset = std::str::from_utf8(kind)
        .ok()
        .and_then(|kind| parameter(kind.split_once(';')?.1, "charset"));
    Ok(Part {
        name: name.filter(|name| !name.is_empty()).ok_or_else(no_name)?,
        file: is_file.then_some(kind),
        charset,
        content,
    })
}

/// The value of a parameter of `form-data; name="a"; filename="b"`. Quoted values may hold `;`.
fn quoted<'a>(header: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = header;
    loop {
        let start = memchr::memchr(b';', rest)?;
        rest = rest[start + 1..].trim_ascii_start();
        let equals = memchr::memchr(b'=', rest)?;
        let key = rest[..equals].trim_ascii();
        rest = &rest[equals + 1..];
        let value = match rest.strip_prefix(b"\"") {
            Some(inside) => {
                let end = memchr::memchr(b'"', inside)?;
                rest = &inside[end..];
                &inside[..end]
            }
            None => rest[..memchr::memchr(b';', rest).unwrap_or(rest.len())].trim_ascii(),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
    }
}

/// A name as it was in the page: browsers write `"`, CR and LF as `%22`, `%0D`, `%0A`, and nothing
/// else.
pub fn unescape(name: String) -> String {
    if !name.contains('%') {
        return name;
    }
    name.replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}

fn no_delimiter() -> Refusal {
    Refusal::malformed(
        "body.multipart_boundary",
        "the boundary that the Content-Type names is not in the body",
        "let the browser set Content-Type when it sends FormData: it knows the boundary",
    )
}

fn cut_off() -> Refusal {
    Refusal::malformed(
        "body.multipart_cut",
        "the body ends in the middle of a part",
        "send the closing boundary, and line breaks as CR LF",
    )
}

fn no_name() -> Refusal {
    Refusal::malformed(
        "body.multipart_part",
        "a part of the form has no name",
        "give each part a head of its own: Content-Disposition: form-data; name=\"…\"",
    )
}
