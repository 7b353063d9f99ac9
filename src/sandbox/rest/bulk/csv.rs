//! The CSV of bulk jobs: uploads cut into rows and cells, results written.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Value as Json, json};

/// Characters in a cell and in a row, and cells in a row, that Salesforce takes.
/// Source: "Bulk API and Bulk API 2.0 Limits and Allocations".
const MAX_CELL: usize = 32_000;
const MAX_ROW: usize = 400_000;
const MAX_CELLS: usize = 5_000;

/// How rows end and cells are parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) crlf: bool,
    delimiter: (&'static str, u8),
}

const DELIMITERS: [(&str, u8); 6] = [
    ("BACKQUOTE", b'`'),
    ("CARET", b'^'),
    ("COMMA", b','),
    ("PIPE", b'|'),
    ("SEMICOLON", b';'),
    ("TAB", b'\t'),
];

impl Default for Format {
    fn default() -> Self {
        Self {
            crlf: false,
            delimiter: ("COMMA", b','),
        }
    }
}

impl Format {
    /// By the names that a job gives; the error is the name that is none.
    pub(super) fn named(line_ending: &str, delimiter: &str) -> Result<Self, String> {
        let crlf = match line_ending {
            "LF" => false,
            "CRLF" => true,
            other => return Err(other.to_owned()),
        };
        let known = DELIMITERS.iter().find(|(name, _)| *name == delimiter);
        let delimiter = *known.ok_or_else(|| delimiter.to_owned())?;
        Ok(Self { crlf, delimiter })
    }

    pub(super) fn line_ending(&self) -> &'static str {
        if self.crlf { "CRLF" } else { "LF" }
    }

    /// As a job shows it.
    pub(super) fn describe(&self, job: &mut Json) {
        job["lineEnding"] = json!(self.line_ending());
        job["columnDelimiter"] = json!(self.delimiter.0);
    }

    /// Where each row of an upload stands, without its line end; blank lines are none. The error
    /// is the job's.
    pub(super) fn rows(&self, upload: &[u8]) -> Result<Vec<Range<usize>>, String> {
        let mut rows = Vec::new();
        let mut start = 0;
        let mut is_quoted = false;
        for at in memchr::memchr2_iter(b'"', b'\n', upload) {
            // A doubled quote inside of quotes ends them and starts them anew.
            if upload[at] == b'"' {
                is_quoted = !is_quoted;
                continue;
            }
            if is_quoted {
                continue;
            }
            let has_return = at > start && upload[at - 1] == b'\r';
            if has_return != self.crlf {
                return Err(format!(
                    "ClientInputError : LineEnding is invalid on user data. Current LineEnding \
                     setting is {}",
                    self.line_ending()
                ));
            }
            let end = at - usize::from(has_return);
            if end > start {
                rows.push(start..end);
            }
            start = at + 1;
        }
        if is_quoted {
            return Err(
                "InvalidBatch : Found unescaped quote. A value with quote should be \
                        within a quote"
                    .to_owned(),
            );
        }
        let rest = upload[start..]
            .strip_suffix(b"\r")
            .map_or(upload.len(), |_| upload.len() - 1);
        if rest > start {
            rows.push(start..rest);
        }
        Ok(rows)
    }

    /// The cells of a row. The error is the job's.
    pub(super) fn cells<'r>(&self, row: &'r [u8]) -> Result<Vec<Cow<'r, str>>, String> {
        let row = std::str::from_utf8(row)
            .map_err(|_| "InvalidBatch : The data is not encoded in UTF-8".to_owned())?;
        if row.len() > MAX_ROW && row.chars().count() > MAX_ROW {
            return Err(format!(
                "InvalidBatch : Maximum number of characters in a record is {MAX_ROW}"
            ));
        }
        let delimiter = char::from(self.delimiter.1);
        let mut cells = Vec::new();
        let mut rest = row;
        loop {
            let (cell, next) = cell(rest, delimiter)?;
            if cell.len() > MAX_CELL && cell.chars().count() > MAX_CELL {
                return Err(format!(
                    "InvalidBatch : Maximum number of characters in a field is {MAX_CELL}"
                ));
            }
            cells.push(cell);
            match next {
                Some(next) => rest = next,
                None => break,
            }
        }
        if cells.len() > MAX_CELLS {
            return Err(format!(
                "InvalidBatch : Maximum number of fields in a record is {MAX_CELLS}"
            ));
        }
        Ok(cells)
    }

    /// Appends a row of results: every cell in quotes.
    pub(super) fn write<'c>(&self, out: &mut Vec<u8>, cells: impl Iterator<Item = &'c str>) {
        for (place, cell) in cells.enumerate() {
            if place > 0 {
                out.push(self.delimiter.1);
            }
            out.push(b'"');
            for (part, text) in cell.split('"').enumerate() {
                if part > 0 {
                    out.extend_from_slice(b"\"\"");
                }
                out.extend_from_slice(text.as_bytes());
            }
            out.push(b'"');
        }
        if self.crlf {
            out.push(b'\r');
        }
        out.push(b'\n');
    }
}

/// The first cell, and what follows its delimiter.
fn cell(row: &str, delimiter: char) -> Result<(Cow<'_, str>, Option<&str>), String> {
    let Some(quoted) = row.strip_prefix('"') else {
        return Ok(match row.split_once(delimiter) {
            Some((cell, rest)) => (cell.into(), Some(rest)),
            None => (row.into(), None),
        });
    };
    let broken = || {
        "InvalidBatch : Found unescaped quote. A value with quote should be within a quote"
            .to_owned()
    };
    let mut from = 0;
    let end = loop {
        let at = from + quoted[from..].find('"').ok_or_else(broken)?;
        if quoted[at + 1..].starts_with('"') {
            from = at + 2;
        } else {
            break at;
        }
    };
    let text = &quoted[..end];
    let text = if from == 0 {
        text.into()
    } else {
        text.replace("\"\"", "\"").into()
    };
    let rest = &quoted[end + 1..];
    if rest.is_empty() {
        return Ok((text, None));
    }
    match rest.strip_prefix(delimiter) {
        Some(rest) => Ok((text, Some(rest))),
        None => Err(broken()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, upload: &str) -> Result<Vec<Vec<String>>, String> {
        let rows = format.rows(upload.as_bytes())?;
        rows.into_iter()
            .map(|row| {
                let cells = format.cells(&upload.as_bytes()[row])?;
                Ok(cells.into_iter().map(Cow::into_owned).collect())
            })
            .collect()
    }

    #[test]
    fn quotes_hide_delimiters_line_ends_and_quotes() {
        let upload = "a,b\n\"x,\ny\",\"say \"\"hi\"\"\"\n\n,\"\"\nlast,one";
        assert_eq!(
            read(Format::default(), upload).unwrap(),
            [
                ["a", "b"],
                ["x,\ny", "say \"hi\""],
                ["", ""],
                ["last", "one"]
            ]
        );
        let tabs = Format::named("CRLF", "TAB").unwrap();
        assert_eq!(
            read(tabs, "a\tb\r\n1\t\"2\r\n\"\r\n").unwrap(),
            [["a", "b"], ["1", "2\r\n"]]
        );
    }

    #[test]
    fn another_line_end_than_was_said_fails_the_job() {
        let crlf = Format::named("CRLF", "COMMA").unwrap();
        for (format, upload, says) in [
            (Format::default(), "a\r\nb\r\n", "setting is LF"),
            (crlf, "a\nb\n", "setting is CRLF"),
            (Format::default(), "a\n\"b\n", "unescaped quote"),
            (Format::default(), "a\n\"b\"c\n", "unescaped quote"),
        ] {
            let error = read(format, upload).unwrap_err();
            assert!(error.contains(says), "{upload:?}: {error}");
        }
        assert!(Format::named("CR", "COMMA").is_err());
        assert!(Format::named("LF", "SPACE").is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let cells = ["plain", "", "a,b", "say \"hi\"\n", "ü"];
        let mut out = Vec::new();
        Format::default().write(&mut out, cells.into_iter());
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("\"plain\",\"\",\"a,b\","));
        assert_eq!(read(Format::default(), &text).unwrap(), [cells]);
    }
}
