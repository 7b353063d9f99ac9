use super::syntax::{Glob, refuse_at};
use crate::sandbox::errors::Refusal;

/// A word of the query and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'q> {
    pub(super) kind: TokenKind<'q>,
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TokenKind<'q> {
    /// A name, perhaps with full stops, or a keyword.
    Word(&'q str),
    /// What stands between quotes, escapes untouched.
    Quoted(&'q str),
    /// A number, a date or a moment: whatever starts with a digit or a sign.
    Figure(&'q str),
    /// `( ) , = != <> < <= > >=`
    Symbol(&'q str),
    /// The end.
    End,
}

pub(super) fn lex(query: &str) -> Result<Vec<Token<'_>>, Refusal> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = query[at..].chars().next() {
        let rest = &query[at..];
        let (kind, length) = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let length = span(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
                (TokenKind::Word(&rest[..length]), length)
            }
            c if c.is_ascii_digit() || c == '-' || c == '+' => {
                let length = span(rest, |c| c.is_ascii_alphanumeric() || "+-:.".contains(c));
                (TokenKind::Figure(&rest[..length]), length)
            }
            '\'' => {
                let length = quoted(rest).ok_or_else(|| {
                    let message = "line 1:0 no viable alternative at character '<EOF>'";
                    refuse_at("MALFORMED_QUERY", query, at, message)
                })?;
                (TokenKind::Quoted(&rest[1..=length]), length + 2)
            }
            _ => {
                let symbols = ["!=", "<>", "<=", ">=", "(", ")", ",", "=", "<", ">"];
                let symbol = symbols.into_iter().find(|symbol| rest.starts_with(symbol));
                let Some(symbol) = symbol else {
                    let message = format!("unexpected token: '{first}'");
                    return Err(refuse_at("MALFORMED_QUERY", query, at, &message));
                };
                (TokenKind::Symbol(symbol), symbol.len())
            }
        };
        tokens.push(Token { kind, at });
        at += length;
    }
    let kind = TokenKind::End;
    tokens.push(Token { kind, at });
    Ok(tokens)
}

fn span(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Bytes between the quote that `text` starts with and the one that ends it.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text[1..].char_indices().find_map(|(at, c)| {
        let ends = c == '\'' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

/// The text that a quoted literal stands for; `None` if an escape is none.
pub(super) fn unescape(raw: &str) -> Option<String> {
    let pattern = unescape_with(raw, Glob::Character, false)?;
    Some(
        pattern
            .into_iter()
            .filter_map(|piece| match piece {
                Glob::Character(c) => Some(c),
                Glob::Any | Glob::One => None,
            })
            .collect(),
    )
}

/// The pattern that a quoted literal of LIKE stands for, in lower case.
pub(super) fn unescape_pattern(raw: &str) -> Option<Vec<Glob>> {
    let plain = |c| match c {
        '%' => Glob::Any,
        '_' => Glob::One,
        c => Glob::Character(c),
    };
    let pattern = unescape_with(raw, plain, true)?;
    let lower = pattern.into_iter().flat_map(|piece| match piece {
        Glob::Character(c) => c.to_lowercase().map(Glob::Character).collect(),
        other => vec![other],
    });
    Some(lower.collect())
}

fn unescape_with(raw: &str, plain: impl Fn(char) -> Glob, is_pattern: bool) -> Option<Vec<Glob>> {
    let mut pieces = Vec::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            pieces.push(plain(c));
            continue;
        }
        pieces.push(Glob::Character(match characters.next()? {
            c @ ('\'' | '"' | '\\') => c,
            'n' | 'N' => '\n',
            'r' | 'R' => '\r',
            't' | 'T' => '\t',
            'b' | 'B' => '\u{8}',
            'f' | 'F' => '\u{c}',
            'u' => {
                let digits: String = characters.by_ref().take(4).collect();
                let code = (digits.len() == 4).then(|| u32::from_str_radix(&digits, 16).ok())??;
                char::from_u32(code)?
            }
            c @ ('%' | '_') if is_pattern => c,
            _ => return None,
        }));
    }
    Some(pieces)
}
