//! Hides secrets in a file's text, before any of it can get into a message.
//!
//! A secret has no business in the file, but that is just when a message shows the line. The rules,
//! each on its own: what stands under a key that sounds like a secret, or that nobody knows; what
//! looks like a key or token; passwords in URLs; comments that name a secret. A masked character
//! becomes a sign of the same number of bytes, so that places stay true.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::schema::SCHEMAS;
use super::suggest;

/// Words in key names that say that the value is a secret.
const SECRET_WORDS: &[&str] = &[
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "credential",
    "private",
    "apikey",
];

/// The shortest run of characters that is taken for a key or token by its looks.
const TOKEN_LENGTH: usize = 16;

/// The text with its secrets masked. `whole` says that the file is valid TOML, so that `tree` can be
/// trusted to hold all of it.
pub(super) fn mask(text: &str, tree: &DeTable<'_>, whole: bool) -> String {
    let mut hidden = Vec::new();
    let top = Within {
        is_secret: false,
        is_map: false,
    };
    mask_table(text, tree, top, &mut hidden);
    mask_tokens(text, &mut hidden);
    mask_url_passwords(text, &mut hidden);
    mask_comments(text, &mut hidden);
    if !whole {
        mask_lines(text, &mut hidden);
    }
    cover(text, hidden)
}

/// The text without what stands before the `@` of a URL.
pub(super) fn without_url_password(text: &str) -> String {
    let mut hidden = Vec::new();
    mask_url_passwords(text, &mut hidden);
    cover(text, hidden)
}

fn cover(text: &str, mut hidden: Vec<Range<usize>>) -> String {
    hidden.sort_by_key(|range| range.start);
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for range in hidden {
        let start = range.start.max(done);
        if start >= range.end {
            continue;
        }
        masked.push_str(&text[done..start]);
        masked.extend(text[start..range.end].chars().map(star));
        done = range.end;
    }
    masked.push_str(&text[done..]);
    masked
}

/// A sign as many bytes long as `letter`; white space stays.
fn star(letter: char) -> char {
    match letter.len_utf8() {
        _ if letter.is_whitespace() => letter,
        1 => '*',
        2 => '·',
        3 => '•',
        _ => '\u{1F784}',
    }
}

/// Whether a key's name says that its value is a secret, also if it is misspelt.
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    key.replace(['_', '-', '.'], "").contains("apikey")
        // `google_key`, `signing_key`: what vendors call secrets. Hiding a harmless one costs little.
        || key.ends_with("_key")
        || SECRET_WORDS.iter().any(|word| key.contains(word))
        || key
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|part| suggest::closest(part, SECRET_WORDS.iter().copied()).is_some())
}

/// Whether a text can be shown as the name of an environment variable: a name, and not a token
/// that someone put in a name's place.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut letters = name.chars();
    let starts_well = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    let plain = letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let mixed = name.chars().any(|letter| letter.is_ascii_lowercase())
        && name.chars().any(|letter| letter.is_ascii_digit());
    starts_well && plain && !mixed
}

/// Whether a text can be shown as the path of a secret file.
fn is_shown_path(path: &str) -> bool {
    let named = path.rsplit_once('.').is_some_and(|(_, ending)| {
        (1..=5).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_lowercase())
    });
    ["/", "./", "../", "~/", "C:\\"]
        .iter()
        .any(|start| path.starts_with(start))
        || named
}

/// What is known of the table around a value.
#[derive(Clone, Copy)]
struct Within {
    /// All in it may be a secret.
    is_secret: bool,
    /// Its keys are the user's own.
    is_map: bool,
}

/// Whether nobody knows what a key holds: it is not ours, and not near one of ours that is harmless;
/// or it may as well have been meant for a secret, as `seet` is.
fn is_unknown_key(key: &str) -> bool {
    let may_be_secret = || {
        let folded = key.to_lowercase();
        let mut words = SECRET_WORDS.iter();
        words.any(|word| strsim::osa_distance(&folded, word) <= 2)
    };
    !SCHEMAS.keys.contains(key)
        && (may_be_secret()
            || suggest::closest(key, SCHEMAS.keys.iter().map(String::as_str))
                .is_none_or(is_secret_key))
}

fn mask_table(text: &str, table: &DeTable<'_>, within: Within, hidden: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let name = key.get_ref();
        let is_secret = within.is_secret || is_secret_key(name);
        let is_hidden = is_secret || (!within.is_map && is_unknown_key(name));
        if is_secret && let DeValue::String(value) = value.get_ref() {
            let reference = match name.as_ref() {
                "env" => is_variable_name(value),
                "file" => is_shown_path(value),
                _ => is_lone_variable(value),
            };
            if reference {
                continue;
            }
        }
        let inner = Within {
            is_secret,
            is_map: SCHEMAS.maps.contains(name.as_ref()),
        };
        mask_value(
            text,
            value.span(),
            value.get_ref(),
            is_hidden,
            inner,
            hidden,
        );
    }
}

/// `${NAME}` and nothing else.
pub(super) fn is_lone_variable(value: &str) -> bool {
    value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(is_variable_name)
}

fn mask_value(
    text: &str,
    span: Range<usize>,
    value: &DeValue<'_>,
    is_hidden: bool,
    inner: Within,
    hidden: &mut Vec<Range<usize>>,
) {
    match value {
        DeValue::Table(table) => mask_table(text, table, inner, hidden),
        DeValue::Array(list) => {
            for item in list {
                mask_value(text, item.span(), item.get_ref(), is_hidden, inner, hidden);
            }
        }
        DeValue::Boolean(_) => {}
        // No key takes several lines, but a quote too many makes a text of the lines below it.
        _ if !is_hidden
            && !text
                .get(span.clone())
                .is_some_and(|text| text.contains('\n')) => {}
        _ => {
            // The quotes stay: they show where the value begins and ends.
            let quote = |byte: Option<&u8>| matches!(byte, Some(b'"' | b'\''));
            let bytes = text.as_bytes();
            let start = span.start + usize::from(quote(bytes.get(span.start)));
            let end = span.end - usize::from(span.end > start && quote(bytes.get(span.end - 1)));
            hidden.push(start..end);
        }
    }
}

/// Runs of characters that look like a key or token, wherever they stand.
fn mask_tokens(text: &str, hidden: &mut Vec<Range<usize>>) {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+_-".contains(&byte);
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        if !is_part(bytes[start]) {
            start += 1;
            continue;
        }
        let mut end = start;
        while end < bytes.len() && is_part(bytes[end]) {
            end += 1;
        }
        let run = &bytes[start..end];
        let has = |test: fn(&u8) -> bool| run.iter().any(test);
        let mixed = has(u8::is_ascii_digit)
            && has(u8::is_ascii_lowercase)
            && (has(u8::is_ascii_uppercase) || run.len() >= 2 * TOKEN_LENGTH);
        if run.len() >= TOKEN_LENGTH && mixed && !is_salesforce_id(run) {
            hidden.push(start..end);
        }
        start = end;
    }
}

/// Record and field ids are no secrets, and people need to see them.
fn is_salesforce_id(run: &[u8]) -> bool {
    run.len() == 18 && run[0] == b'0' && run.iter().all(u8::is_ascii_alphanumeric)
}

/// `user:password@` after `://`.
fn mask_url_passwords(text: &str, hidden: &mut Vec<Range<usize>>) {
    for (at, _) in text.match_indices("://") {
        let start = at + "://".len();
        let authority = &text[start..];
        let end = authority
            .find(|letter: char| letter.is_whitespace() || "/\"'?#".contains(letter))
            .unwrap_or(authority.len());
        // An unescaped `/` or `?` in a password ends what a parser takes for the host: look for the
        // `@` on the rest of the line, too.
        let line = authority.lines().next().unwrap_or_default();
        let quoted = line.split(['"', '\'']).next().unwrap_or_default();
        if let Some(sign) = authority[..end].rfind('@').or_else(|| {
            let colon = quoted.find(':')?;
            let sign = quoted.rfind('@')?;
            (colon < sign).then_some(sign)
        }) {
            hidden.push(start..start + sign);
        }
    }
    for (at, name) in text.match_indices("password=") {
        let start = at + name.len();
        let value = &text[start..];
        let end = value
            .find(|letter: char| letter.is_whitespace() || "&\"'#".contains(letter))
            .unwrap_or(value.len());
        hidden.push(start..start + end);
    }
}

/// What follows a word that sounds like a secret in a comment: a line that was put out of use.
fn mask_comments(text: &str, hidden: &mut Vec<Range<usize>>) {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if let Some(start) = line.find('#')
            && let Some(word_end) = end_of_secret_word(&line[start..])
        {
            hidden.push(after_word(line, start + word_end, offset));
        }
        offset += line.len();
    }
}

/// For files that are no valid TOML, line by line: only headers and lines with a key of ours that is
/// no secret are shown, with what follows until the next key.
fn mask_lines(text: &str, hidden: &mut Vec<Range<usize>>) {
    /// What a line without a key belongs to.
    enum Before {
        Nothing,
        ShownKey,
        HiddenKey,
    }
    let mut offset = 0;
    let mut before = Before::Nothing;
    for line in text.split_inclusive('\n') {
        let start = line.len() - line.trim_start().len();
        let word_end = line[start..]
            .find(|letter| !is_word(letter))
            .map_or(line.len(), |length| start + length);
        let key = &line[start..word_end];
        let is_lone = key.is_empty() && !line.contains('=');
        let shown_until = if let Some(secret_end) = end_of_secret_word(line) {
            before = Before::HiddenKey;
            Some(secret_end)
        } else if line[start..].starts_with('[') && !line.contains('=') {
            before = Before::Nothing;
            None
        } else if SCHEMAS.keys.contains(key) {
            before = Before::ShownKey;
            end_of_value(line, word_end)
        } else {
            match before {
                Before::ShownKey if is_lone => None,
                // Perhaps a further line of a secret: what looks like a key in it may be none.
                Before::HiddenKey => Some(0),
                _ => {
                    before = Before::HiddenKey;
                    let is_key = line[word_end..].trim_start().starts_with('=');
                    Some(if is_key { word_end } else { 0 })
                }
            }
        };
        if let Some(word_end) = shown_until {
            hidden.push(after_word(line, word_end, offset));
        }
        offset += line.len();
    }
}

/// Where the one value of a line ends, if something comes behind it: perhaps the next line, whose
/// line break was lost. Lists and tables go on as they like.
fn end_of_value(line: &str, key_end: usize) -> Option<usize> {
    let value = key_end + line[key_end..].find(|letter: char| !" \t=".contains(letter))?;
    let end = match line[value..].chars().next()? {
        '[' | '{' => return None,
        quote @ ('"' | '\'') => value + 1 + line[value + 1..].find(quote)? + 1,
        _ => value + line[value..].find(['"', '\''])?,
    };
    let is_over = line[end..].trim_start().starts_with('#') || line[end..].trim().is_empty();
    (!is_over).then_some(end)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '-'
}

/// The rest of a line from its value on.
fn after_word(line: &str, word_end: usize, offset: usize) -> Range<usize> {
    let value = line[word_end..]
        .find(|letter: char| !" \t=:\"'".contains(letter))
        .map_or(line.len(), |skipped| word_end + skipped);
    offset + value..offset + line.len()
}

fn end_of_secret_word(line: &str) -> Option<usize> {
    let mut rest = 0;
    while let Some(start) = line[rest..].find(is_word).map(|found| rest + found) {
        let end = line[start..]
            .find(|letter| !is_word(letter))
            .map_or(line.len(), |length| start + length);
        if is_secret_key(&line[start..end]) {
            return Some(end);
        }
        rest = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let masked = mask(text, tree.get_ref(), errors.is_empty());
        assert_eq!(masked, expect);
        assert_eq!(masked.len(), text.len());
    }

    #[test]
    fn a_value_under_a_secret_key_is_masked() {
        check("client_secret = \"abc é\"", "client_secret = \"*** ·\"");
        check("client_secrt = 'abc'", "client_secrt = '***'");
        check("[a.token]\nb = [\"xy\"]", "[a.token]\nb = [\"**\"]");
        check("api_key = 1234", "api_key = ****");
    }

    #[test]
    fn a_reference_to_a_secret_stays_readable() {
        for text in [
            "client_secret = { env = \"SF_CLIENT_SECRET\" }",
            "private_key = { file = \"/run/secrets/key.pem\" }",
            "client_secret = \"${SF_CLIENT_SECRET}\"",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_secret_in_the_place_of_its_reference_is_masked() {
        check(
            "secret = { env = \"ab-cd\" }",
            "secret = { env = \"*****\" }",
        );
        check("secret = { env = \"a1b2\" }", "secret = { env = \"****\" }");
        check(
            "secret = { file = \"hunter\" }",
            "secret = { file = \"******\" }",
        );
        check("secret = \"${X:-abc}\"", "secret = \"*********\"");
    }

    #[test]
    fn a_value_under_a_key_that_nobody_knows_is_masked() {
        check("[server]\nquux = \"abc\"", "[server]\nquux = \"***\"");
        for text in [
            "[sources.demo]\nconector = \"web-form\"",
            "[salesforce.lead]\nPlan__c = \"plan\"",
            "[sources.demo.fields]\nplan = { from = \"x\" }",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn a_secret_in_a_comment_is_masked() {
        check(
            "linger_ms = 1 # password: abc",
            "linger_ms = 1 # password: ***",
        );
        check("#client_secret = \"abc\"", "#client_secret = \"****");
    }

    #[test]
    fn what_looks_like_a_token_is_masked_anywhere() {
        check(
            "linger_ms = 1 # AbCdEfGh12345678\norg_id = \"00D5g00000EXAMPEA0\"",
            "linger_ms = 1 # ****************\norg_id = \"00D5g00000EXAMPEA0\"",
        );
    }

    #[test]
    fn a_password_in_a_url_is_masked() {
        check(
            "url = \"pg://me:pw@host/db\"",
            "url = \"pg://*****@host/db\"",
        );
        check("url = \"pg://me:p/w?@host\"", "url = \"pg://*******@host\"");
        check("url = \"https://a.com/x\"", "url = \"https://a.com/x\"");
        check(
            "url = \"pg://host/db?password=pw&a=b\"",
            "url = \"pg://host/db?password=**&a=b\"",
        );
    }

    #[test]
    fn a_broken_file_is_masked_by_line() {
        check(
            "client_secret = \"abc\nlisten = 1\n",
            "client_secret = \"***\nlisten = 1\n",
        );
        check("client_secret: abc", "client_secret: ***");
        check(
            "auth = \"x\"äzecäreä = \"abc\"",
            "auth = \"x\"·***·**· * *****",
        );
        check("linger_ms = 1ab = \"abc", "linger_ms = 1ab = \"***");
        check("password \"a b", "password \"* *");
        check(
            "private_key = \"\"\"\n--- BEGIN\nMIIabc==\nlisten = 1\n",
            "private_key = \"**\n*** *****\n********\n****** * *\n",
        );
    }
}
