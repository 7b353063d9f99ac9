//! Takes secrets out of a body before it is stored, byte for byte the same otherwise.

use std::ops::Range;

use bytes::Bytes;

use super::body::{kind, steps, string_end, without_bom};
use crate::connector::custom::web_form::body::{content_type, multipart, urlencoded};
use crate::connector::manifest::BodyEncoding;
use crate::connector::{Path, PathError, Refusal, Step};

/// Where secrets stand.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    paths: Vec<Vec<Step>>,
}

impl Redactor {
    /// At these paths, which must be plain: members, items and `*`.
    pub fn new<'p>(paths: impl Iterator<Item = &'p Path>) -> Result<Self, PathError> {
        let steps = |path: &Path| {
            let steps = path.steps().map(<[Step]>::to_vec);
            steps.ok_or_else(|| PathError {
                message: format!("`{path}` holds a secret and must be a plain path: `a.b[0].c`"),
            })
        };
        Ok(Self {
            paths: paths.map(steps).collect::<Result<_, _>>()?,
        })
    }

    /// `body` with a blank value wherever there was a secret. It must be what
    /// [`super::body::decode`] has read.
    pub fn redact(
        &self,
        encoding: BodyEncoding,
        content_type: &str,
        body: Bytes,
    ) -> Result<Bytes, Refusal> {
        if self.paths.is_empty() {
            return Ok(body);
        }
        let (cuts, blank) = match kind(encoding, content_type, &body)? {
            BodyEncoding::Urlencoded => (self.in_form(&body), ""),
            BodyEncoding::Multipart => (self.in_parts(content_type, &body)?, ""),
            BodyEncoding::Json | BodyEncoding::Any => {
                // What could not be looked through is not kept: the secret might be in it.
                let cuts = self.in_json(&body).ok_or_else(|| {
                    Refusal::malformed(
                        "body.malformed_json",
                        "the body is not valid JSON",
                        "send the body as JSON, unchanged on its way",
                    )
                })?;
                (cuts, "\"\"")
            }
        };
        if cuts.is_empty() {
            return Ok(body);
        }
        let mut redacted = Vec::with_capacity(body.len());
        let mut copied = 0;
        for cut in cuts {
            redacted.extend_from_slice(&body[copied..cut.start]);
            redacted.extend_from_slice(blank.as_bytes());
            copied = cut.end;
        }
        redacted.extend_from_slice(&body[copied..]);
        Ok(redacted.into())
    }

    fn in_form(&self, body: &[u8]) -> Vec<Range<usize>> {
        let pairs = urlencoded::pairs(body);
        let secret = pairs.filter(|(name, _)| self.names(&urlencoded::decode(name)));
        secret.map(|(_, value)| range_in(body, value)).collect()
    }

    fn in_parts(&self, content_type: &str, body: &[u8]) -> Result<Vec<Range<usize>>, Refusal> {
        let boundary = content_type::ContentType::parse(content_type)?.boundary()?;
        let mut cuts = Vec::new();
        for part in multipart::parts(body, boundary)? {
            let part = part?;
            if self.names(part.name) {
                cuts.push(range_in(body, part.content));
            }
        }
        Ok(cuts)
    }

    /// Whether what `a[b][c]` names is at one of the paths, or below it.
    fn names(&self, name: &[u8]) -> bool {
        let name = String::from_utf8_lossy(name);
        let names = steps(&name);
        self.paths.iter().any(|path| {
            let fits = path.iter().zip(&names).all(|(step, name)| match step {
                Step::Each => true,
                Step::Member(member) => member == name,
                Step::Index(index) => name.is_empty() || *name == index.to_string(),
            });
            // A name that comes twice is a list, though it does not look like one.
            let is_list = path.len() == names.len() + 1
                && matches!(path.last(), Some(Step::Index(_) | Step::Each));
            fits && (path.len() <= names.len() || is_list)
        })
    }

    fn in_json(&self, body: &[u8]) -> Option<Vec<Range<usize>>> {
        let mut scan = Scan {
            bytes: body,
            at: body.len() - without_bom(body).len(),
            cuts: Vec::new(),
        };
        let paths: Vec<&[Step]> = self.paths.iter().map(Vec::as_slice).collect();
        scan.value(&paths)?;
        Some(scan.cuts)
    }
}

/// Where `part` of `whole` is.
fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// Goes through valid JSON, deeper only where a path leads: it never recurs more than a path is long.
struct Scan<'b> {
    bytes: &'b [u8],
    at: usize,
    cuts: Vec<Range<usize>>,
}

impl Scan<'_> {
    fn value(&mut self, paths: &[&[Step]]) -> Option<()> {
        self.blanks();
        if paths.iter().any(|path| path.is_empty()) {
            let start = self.at;
            self.skip()?;
            self.cuts.push(start..self.at);
            return Some(());
        }
        match self.bytes.get(self.at)? {
            _ if paths.is_empty() => self.skip(),
            b'{' => self.object(paths),
            b'[' => self.array(paths),
            _ => self.skip(),
        }
    }

    fn object(&mut self, paths: &[&[Step]]) -> Option<()> {
        self.at += 1;
        loop {
            self.blanks();
            match self.bytes.get(self.at)? {
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                b',' => self.at += 1,
                b'"' => {
                    let name = self.name()?;
                    self.blanks();
                    if *self.bytes.get(self.at)? != b':' {
                        return None;
                    }
                    self.at += 1;
                    let inner = below(paths, |step| match step {
                        Step::Each => true,
                        Step::Member(member) => *member == name,
                        Step::Index(_) => false,
                    });
                    self.value(&inner)?;
                }
                _ => return None,
            }
        }
    }

    fn array(&mut self, paths: &[&[Step]]) -> Option<()> {
        self.at += 1;
        let mut place = 0;
        loop {
            self.blanks();
            match self.bytes.get(self.at)? {
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                b',' => self.at += 1,
                _ => {
                    let inner = below(paths, |step| match step {
                        Step::Each => true,
                        Step::Index(index) => *index == place,
                        Step::Member(_) => false,
                    });
                    self.value(&inner)?;
                    place += 1;
                }
            }
        }
    }

    /// A member's name as it is meant: `google\u005fkey` is `google_key`.
    fn name(&mut self) -> Option<String> {
        let start = self.at;
        self.at = string_end(self.bytes, start);
        let written = String::from_utf8_lossy(self.bytes.get(start..self.at)?);
        serde_json::from_str(&written).ok()
    }

    fn blanks(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Goes behind a value. Always moves on.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.blanks();
            match self.bytes.get(self.at)? {
                b'"' => self.at = string_end(self.bytes, self.at),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                b',' | b':' => return None,
                _ => {
                    let rest = &self.bytes[self.at..];
                    let end = rest.iter().position(|b| b",:]}[{\" \n\r\t".contains(b));
                    self.at += end.unwrap_or(rest.len());
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// What is left of the paths whose next step fits.
fn below<'p>(paths: &[&'p [Step]], fits: impl Fn(&Step) -> bool) -> Vec<&'p [Step]> {
    let split = paths.iter().filter_map(|path| path.split_first());
    split
        .filter(|(step, _)| fits(step))
        .map(|(_, rest)| rest)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::body::decode;
    use super::*;

    fn redactor(paths: &[&str]) -> Redactor {
        let paths: Vec<Path> = paths
            .iter()
            .map(|path| Path::parse(path).unwrap())
            .collect();
        Redactor::new(paths.iter()).unwrap()
    }

    #[track_caller]
    fn check(paths: &[&str], encoding: BodyEncoding, kind: &str, body: &str, expect: &str) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let redacted = redactor(paths).redact(encoding, kind, body).unwrap();
        assert_eq!(std::str::from_utf8(&redacted).unwrap(), expect);
    }

    #[test]
    fn secrets_are_blanked_and_all_else_stays_byte_for_byte() {
        for (paths, body, expect) in [
            (
                &["google_key"] as &[&str],
                "{ \"lead_id\":\"7\",\n\t\"google_key\" : \"s\\\"ecret\" , \"n\": 1.50e2,\"u\":\"\\u00e9\"}",
                "{ \"lead_id\":\"7\",\n\t\"google_key\" : \"\" , \"n\": 1.50e2,\"u\":\"\\u00e9\"}",
            ),
            (
                &["a.key", "l[*].k", "l[1].x"],
                r#"{"a":{"key":"1","b":{"key":"stays"}},"l":[{"k":"2","x":"stays"},{"k":[3,{"k":4}],"x":5}],"key":"stays"}"#,
                r#"{"a":{"key":"","b":{"key":"stays"}},"l":[{"k":"","x":"stays"},{"k":"","x":""}],"key":"stays"}"#,
            ),
            (
                &["google_key"],
                r#"{"google\u005fkey":"one","google_key":"two"}"#,
                r#"{"google\u005fkey":"","google_key":""}"#,
            ),
            (
                &["[*].key"],
                "\u{feff}[{\"key\":null}]",
                "\u{feff}[{\"key\":\"\"}]",
            ),
            (&["key"], r#"{"a":"key"}"#, r#"{"a":"key"}"#),
        ] {
            check(paths, BodyEncoding::Json, "", body, expect);
        }
    }

    #[test]
    fn forms_are_redacted_too() {
        check(
            &["data.secret", "key", "l[0]"],
            BodyEncoding::Any,
            "application/x-www-form-urlencoded",
            "data%5Bsecret%5D=a&data[b]=b&k%65y=c&key=d&l=e&l[]=f&keys=g&data[secret][x]=h",
            "data%5Bsecret%5D=&data[b]=b&k%65y=&key=&l=&l[]=&keys=g&data[secret][x]=",
        );
        let part = |value: &str| {
            format!(
                "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{value}\r\n--x--\r\n"
            )
        };
        let kind = "multipart/form-data; boundary=x";
        check(
            &["key"],
            BodyEncoding::Any,
            kind,
            &part("secret"),
            &part(""),
        );
    }

    #[test]
    fn only_plain_paths_can_be_redacted() {
        let path = Path::parse("a[?@.b == 'c'].d").unwrap();
        assert!(Redactor::new(std::iter::once(&path)).is_err());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-c\"\\\\{}\\[\\],: é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[ab\"]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_redacted_is_the_same_but_for_the_secret(mut value in json()) {
            let body = Bytes::from(serde_json::to_string_pretty(&value).unwrap());
            let redacted = redactor(&["a.b", "a[1]"])
                .redact(BodyEncoding::Json, "", body)
                .unwrap();
            let redacted: Value = serde_json::from_slice(&redacted).unwrap();
            if let Some(inside) = value.pointer_mut("/a/b") {
                *inside = "".into();
            }
            if let Some(Value::Array(items)) = value.get_mut("a")
                && let Some(inside) = items.get_mut(1)
            {
                *inside = "".into();
            }
            prop_assert_eq!(redacted, value);
        }

        #[test]
        fn nothing_that_is_sent_makes_it_panic(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..100),
                "[ab\"\\\\{}\\[\\],: =&é]{0,60}".prop_map(String::into_bytes),
            ],
        ) {
            let redactor = redactor(&["a.b", "[0].a", "a[*]"]);
            for (encoding, kind) in [
                (BodyEncoding::Json, ""),
                (BodyEncoding::Urlencoded, ""),
                (BodyEncoding::Multipart, "multipart/form-data; boundary=a"),
            ] {
                let body = Bytes::copy_from_slice(&body);
                let _ = decode(encoding, kind, &body);
                let _ = redactor.redact(encoding, kind, body);
            }
        }
    }
}
