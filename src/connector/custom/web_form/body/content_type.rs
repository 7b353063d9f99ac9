use crate::connector::Refusal;

/// The longest boundary that is taken. RFC 2046 allows 70; browsers send about 40.
const MAX_BOUNDARY_BYTES: usize = 200;

/// A `Content-Type` header, taken apart without copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentType<'a> {
    media: Media,
    parameters: &'a str,
}

/// The media types that forms are sent as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Urlencoded,
    Multipart,
    Plain,
    Json,
}

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `a=1&b=2`
    Urlencoded,
    /// `multipart/form-data`
    Multipart,
    /// `enctype="text/plain"`: a pair a line, nothing escaped.
    PlainLines,
    /// A JSON object.
    Json,
}

impl<'a> ContentType<'a> {
    /// Reads the header; the case of the type and unknown parameters do not matter.
    pub fn parse(header: &'a str) -> Result<Self, Refusal> {
        let (media, parameters) = header.split_once(';').unwrap_or((header, ""));
        let media = media.trim();
        let media = if media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Media::Urlencoded
        } else if media.eq_ignore_ascii_case("application/json")
            || media.eq_ignore_ascii_case("text/json")
            || ends_with_json(media)
        {
            Media::Json
        } else if media.eq_ignore_ascii_case("multipart/form-data") {
            Media::Multipart
        } else if media.eq_ignore_ascii_case("text/plain") {
            Media::Plain
        } else {
            return Err(Refusal::unsupported_type(
                "body.type",
                if media.is_empty() {
                    "the request does not say the type of its body"
                } else {
                    "a form cannot be read from a body of this type"
                },
                "send Content-Type application/x-www-form-urlencoded, multipart/form-data, \
                 application/json or text/plain",
            ));
        };
        Ok(Self { media, parameters })
    }

    /// How to read the body. A body that starts as a JSON object is one, also when it comes as
    /// text/plain (`navigator.sendBeacon` with a string) or as urlencoded (curl's default): a form
    /// in those encodings never starts so. Source: WHATWG HTML, form submission.
    pub fn encoding(&self, body: &[u8]) -> Encoding {
        match self.media {
            Media::Multipart => Encoding::Multipart,
            Media::Json => Encoding::Json,
            Media::Urlencoded | Media::Plain if starts_as_object(body) => Encoding::Json,
            Media::Urlencoded => Encoding::Urlencoded,
            // A form sent as text/plain ends each pair with a line break. A body without any is
            // a query string that a script handed to sendBeacon.
            Media::Plain if memchr::memchr2(b'\n', b'\r', body).is_none() => Encoding::Urlencoded,
            Media::Plain => Encoding::PlainLines,
        }
    }

    /// The boundary between the parts of a multipart body.
    pub fn boundary(&self) -> Result<&'a str, Refusal> {
        match self.parameter("boundary") {
            Some(boundary) if !boundary.is_empty() && boundary.len() <= MAX_BOUNDARY_BYTES => {
                Ok(boundary)
            }
            _ => Err(Refusal::malformed(
                "body.multipart_boundary",
                "the Content-Type names no boundary for the parts of the form",
                "let the browser set Content-Type when it sends FormData: it knows the boundary",
            )),
        }
    }

    /// The `charset` parameter.
    pub fn charset(&self) -> Option<&'a str> {
        self.parameter("charset")
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        parameter(self.parameters, name)
    }
}

/// The value of a parameter in `; name=value; name="value"`. Values hold no `;` in practice, and a
/// backslash escapes nothing: browsers write `"` as `%22`.
pub fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

fn ends_with_json(media: &str) -> bool {
    const SUFFIX: &str = "+json";
    media
        .len()
        .checked_sub(SUFFIX.len())
        .and_then(|start| media.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX))
}

fn starts_as_object(body: &[u8]) -> bool {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    body.trim_ascii_start().first() == Some(&b'{')
}
