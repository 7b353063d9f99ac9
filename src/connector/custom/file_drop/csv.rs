//! Text files with one record a line: CSV by RFC 4180 and as it really comes.

use super::encoding::decode;
use super::error::FileError;
use super::options::FileDropOptions;
use super::raw::{Raw, RawRow};

/// What may stand between cells; Excel in much of Europe writes `;`.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How many records are looked at to find the delimiter out.
const MOST_SAMPLES: usize = 50;

/// Reads a text file.
pub(super) fn read(bytes: &[u8], options: &FileDropOptions) -> Result<Raw, FileError> {
    let mut raw = Raw::default();
    let text = decode(bytes, options.encoding.as_deref(), &mut raw.warnings)?;
    // Files of old Macs have no LF at all.
    let text = if text.contains('\r') && !text.contains('\n') {
        text.replace('\r', "\n")
    } else {
        text
    };
    let (named, text, skipped) = excel_line(&text);
    let delimiter = options
        .delimiter_byte()
        .or(named)
        .unwrap_or_else(|| find_delimiter(text));
    let mut reader = reader(text, delimiter);
    let mut last = None;
    for record in reader.records() {
        let record = record.map_err(|_| unreadable())?;
        let position = record.position().map_or((0, 0), |at| {
            (at.line() + breaks_before(text, at.byte()), at.byte())
        });
        let number = u32::try_from(position.0 + skipped).unwrap_or(u32::MAX);
        raw.push(RawRow {
            number,
            cells: record.iter().map(|cell| cell.trim().to_owned()).collect(),
            numbers: Vec::new(),
        })?;
        last = Some((number, position.1, record));
    }
    if let Some((number, byte, record)) = last {
        check_closed(text, byte, &record, delimiter, number)?;
    }
    Ok(raw)
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

/// The reader's records begin before the line breaks that stand before them.
fn breaks_before(text: &str, byte: u64) -> u64 {
    let rest = usize::try_from(byte).ok().and_then(|from| text.get(from..));
    let breaks = rest.unwrap_or_default().bytes();
    let breaks = breaks.take_while(|byte| matches!(byte, b'\r' | b'\n'));
    breaks.filter(|byte| *byte == b'\n').count() as u64
}

fn unreadable() -> FileError {
    FileError::new(
        "file.malformed",
        "the file is no text with one row a line",
        "export it anew as CSV (UTF-8)",
    )
}

/// Excel's own first line, `sep=;`: the delimiter, the text behind it, and how many lines it took.
fn excel_line(text: &str) -> (Option<u8>, &str, u64) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim_end_matches('\r').trim_matches('"');
    match first.as_bytes() {
        [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => {
            (Some(*delimiter), rest, 1)
        }
        _ => (None, text, 0),
    }
}

/// The one by which most records get one and the same number of cells, and the more cells the
/// better.
fn find_delimiter(text: &str) -> u8 {
    let score = |delimiter: u8| {
        let mut widths = std::collections::BTreeMap::<usize, usize>::new();
        for record in reader(text, delimiter)
            .records()
            .take(MOST_SAMPLES)
            .flatten()
        {
            if record.len() > 1 {
                *widths.entry(record.len()).or_default() += 1;
            }
        }
        let usual = widths
            .into_iter()
            .max_by_key(|(width, count)| (*count, *width));
        usual.map_or((0, 0), |(width, count)| (count, width))
    };
    let mut best = (DELIMITERS[0], (0, 0));
    for delimiter in DELIMITERS {
        let score = score(delimiter);
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

/// A quote that is never closed makes one cell of the rest of the file: rows would be lost in it.
fn check_closed(
    text: &str,
    byte: u64,
    record: &csv::StringRecord,
    delimiter: u8,
    number: u32,
) -> Result<(), FileError> {
    let written = usize::try_from(byte).ok().and_then(|from| text.get(from..));
    let has_lines = record
        .iter()
        .next_back()
        .is_some_and(|cell| cell.contains('\n'));
    let ends_quoted = written.is_none_or(|written| {
        let written = written.trim_end();
        written
            .trim_end_matches(char::from(delimiter))
            .ends_with('"')
    });
    if !has_lines || ends_quoted {
        return Ok(());
    }
    Err(FileError::new(
        "file.open_quote",
        format!("a quote in the row that begins at line {number} is never closed"),
        "close it, or double a quote that belongs to the text (`\"\"`)",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::options::options;
    use super::*;

    fn rows(text: &str) -> Vec<(u32, Vec<String>)> {
        let raw = read(text.as_bytes(), &options("")).unwrap();
        raw.rows
            .into_iter()
            .map(|row| (row.number, row.cells))
            .collect()
    }

    fn check(text: &str, expect: &[(u32, &[&str])]) {
        let expect: Vec<(u32, Vec<String>)> = expect
            .iter()
            .map(|(number, cells)| {
                (
                    *number,
                    cells.iter().map(|cell| (*cell).to_owned()).collect(),
                )
            })
            .collect();
        assert_eq!(rows(text), expect, "{text:?}");
    }

    #[test]
    fn every_usual_delimiter_and_line_end_is_found_out() {
        for delimiter in [",", ";", "\t", "|"] {
            for end in ["\n", "\r\n", "\r"] {
                let text = format!("a{delimiter}b{end}1{delimiter}2{end}3{delimiter}4");
                check(
                    &text,
                    &[(1, &["a", "b"]), (2, &["1", "2"]), (3, &["3", "4"])],
                );
            }
        }
        check(
            "email\na@b.example\n",
            &[(1, &["email"]), (2, &["a@b.example"])],
        );
    }

    #[test]
    fn excel_says_its_delimiter_in_a_line_of_its_own() {
        check(
            "sep=;\r\na;b,c\r\n1;2,3\r\n",
            &[(2, &["a", "b,c"]), (3, &["1", "2,3"])],
        );
    }

    #[test]
    fn lines_and_quotes_within_quotes_stay_one_cell_and_blank_rows_go() {
        check(
            "a;b\n\n\"x \"\"y\"\"\nz\";2\n;;\n3;\"4,5\"",
            &[
                (1, &["a", "b"]),
                (3, &["x \"y\"\nz", "2"]),
                (6, &["3", "4,5"]),
            ],
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_loses_no_row_silently() {
        let problem = read(b"a,b\n1,\"2\n3,4\n5,6\n", &options("")).unwrap_err();
        assert_eq!(problem.code, "file.open_quote");
        assert!(problem.message.contains("line 2"), "{problem}");
        assert!(read(b"a,b\n1,\"2\n3\"\n", &options("")).is_ok());
    }
}
