//! What the parser says of a file that is no valid TOML, and what to do about it.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::source_file::{SourceFile, Spot};
use crate::diagnostic::{Diagnostic, Place};

/// A syntax error in the words of the parser; a duplicate key with where it was before.
pub(super) fn error(file: &Arc<SourceFile>, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or_default();
    let place = Place {
        file: file.path.clone(),
        text: Arc::clone(&file.text),
        span: span.clone(),
    };
    if error.message() == "duplicate key" {
        let diagnostic = Diagnostic::error("config.duplicate", twice(&file.text, &span))
            .at(place)
            .hint("keep one of the two");
        return match first_of(&file.text, &span) {
            Some(first) => {
                let first = Spot {
                    file: Arc::clone(file),
                    span: first,
                };
                diagnostic.label(format!("first at {}", first.place().file_and_line()))
            }
            None => diagnostic,
        };
    }
    let hint = hint_for(error.message());
    let diagnostic = Diagnostic::error("config.syntax", error.message()).at(place);
    match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    }
}

/// What is there twice, in words: a header with its whole name, or a key.
fn twice(text: &str, span: &Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    match line.trim().split_once(']') {
        Some((header, _)) if header.starts_with('[') => format!("{header}] is there twice"),
        _ => format!(
            "`{}` is set twice",
            text.get(span.clone()).unwrap_or_default()
        ),
    }
}

fn hint_for(message: &str) -> Option<&'static str> {
    let starts = |start| message.starts_with(start);
    if [
        "string values must be",
        "invalid float",
        "invalid integer",
        "invalid date",
    ]
    .into_iter()
    .any(starts)
    {
        Some("put text in quotes: `key = \"text\"`")
    } else if starts("invalid unquoted key") {
        Some("write `key = value`; keys with other letters than a-z, 0-9, `_` and `-` go in quotes")
    } else if starts("unclosed table") {
        Some("write `[name]`, alone on its line")
    } else if starts("unclosed array") {
        Some("close the list with `]`")
    } else if starts("unclosed inline table") {
        Some("close the table with `}`")
    } else if starts("invalid basic string") || starts("invalid literal string") {
        Some("close the text with a quote on the same line")
    } else if starts("invalid multi-line") {
        Some("close the text with three quotes")
    } else if message.contains("expected `=`") {
        Some("each line is `key = value`, a `[table]` header, or a `# comment`")
    } else {
        None
    }
}

/// Where the key that is repeated at `span` was first: parses what stands before it, and asks that
/// for the path that the repeated line alone has under its header.
fn first_of(text: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let line_start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let (before, rest) = text.split_at_checked(line_start)?;
    let line = rest.lines().next()?;
    let header = before
        .lines()
        .rev()
        .map(str::trim_start)
        .find(|line| line.starts_with('['));
    let alone = if line.trim_start().starts_with('[') {
        line.to_owned()
    } else {
        format!("{}\n{line}", header.unwrap_or_default())
    };
    let (alone, _) = DeTable::parse_recoverable(&alone);
    let (before, _) = DeTable::parse_recoverable(before);
    let mut path = alone.get_ref();
    let mut held = before.get_ref();
    loop {
        let (key, value) = path.iter().next()?;
        let (first, inner) = held.get_key_value(key.get_ref().as_ref())?;
        match (value.get_ref().as_table(), inner.get_ref().as_table()) {
            (Some(next), Some(inner)) if !next.is_empty() => {
                path = next;
                held = inner;
            }
            _ => return Some(first.span()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_equal_keys_is_found() {
        for (text, repeated, first) in [
            ("[a]\nx=1\n[b]\nx=2\nx=3\n", "x=3", "x=2"),
            ("[a]\nx=1\n[a]\n", "a]\n", "a]\nx"),
            ("x=1\ny=1\nx=2\n", "x=2", "x=1"),
        ] {
            let start = text.rfind(repeated).unwrap();
            let found = first_of(text, &(start..start + 1)).unwrap();
            assert_eq!(found.start, text.find(first).unwrap(), "{text}");
        }
    }
}
