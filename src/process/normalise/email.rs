//! E-mail addresses: taken out of what people type around them, checked by RFC 5321, lower case,
//! the domain as punycode. That form is shown, written and matched on.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::draft::Draft;
use super::mailbox::{self, Flags};

/// Limits of RFC 5321, 4.5.3.1, in octets.
const MAX_LOCAL_BYTES: usize = 64;
const MAX_ADDRESS_BYTES: usize = 254;
const MAX_LABEL_BYTES: usize = 63;

/// The address in `text`, normalised; `None` if there is none.
///
/// Takes `Anna <anna@acme.example>`, `mailto:`, quotes, trailing punctuation, spaces around `@`, and the
/// first of several addresses; `[at]` only if nothing else can be read.
pub fn parse(text: &str) -> Option<String> {
    let text = plain_width(text);
    parse_plain(&text).or_else(|| parse_plain(&spelled_out(&text)?))
}

/// Whether `text` holds more than one address.
fn holds_several(text: &str) -> bool {
    text.matches('@').count() > 1
        && text
            .split([';', ',', ' ', '/', '|'])
            .filter(|part| part.contains('@'))
            .filter_map(parse)
            .nth(1)
            .is_some()
}

/// Normalises `email`. An address that cannot be read leaves the field: it stays beside it as
/// `email_as_typed`, and is not matched on.
pub(super) fn normalise(draft: &mut Draft) {
    let Some(typed) = draft.take("email") else {
        return;
    };
    let Some(address) = parse(&typed) else {
        draft.set("email_as_typed", &typed);
        draft.note(
            "email.invalid",
            "email",
            "e-mail cannot be an address: it needs the form name@domain.tld; kept as typed in email_as_typed, not matched on",
        );
        return;
    };
    if mailbox::is_placeholder(&address) {
        draft.placeholder_contact = true;
        draft.note(
            "email.placeholder",
            "email",
            "e-mail is made up (such as test@test.com); taken as blank",
        );
        return;
    }
    if holds_several(&typed) {
        draft.note(
            "email.several",
            "email",
            "several e-mail addresses were given; the first is used",
        );
    }
    note_flags(draft, &mailbox::flags(&address));
    if !address.is_ascii() {
        draft.note(
            "email.not_ascii",
            "email",
            "e-mail has letters beyond ASCII before the @; few mail servers and no Salesforce take it",
        );
    }
    draft.set("email", &address);
}

fn note_flags(draft: &mut Draft, flags: &Flags) {
    if flags.role {
        draft.note(
            "email.role",
            "email",
            "e-mail is a role's mailbox, not one person's; it matches only with an agreeing name",
        );
    }
    if flags.disposable {
        draft.note(
            "email.disposable",
            "email",
            "e-mail is a throw-away mailbox",
        );
    }
    if let Some(domain) = &flags.suggestion {
        let message =
            format!("the domain of the e-mail looks like a misspelling of {domain}; not changed");
        draft.note("email.typo", "email", &message);
    }
}

/// Full-width letters, as typed with an input method, made plain; joiners dropped.
fn plain_width(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.nfkc()
            .filter(|c| !matches!(c, '\u{200C}' | '\u{200D}'))
            .collect(),
    )
}

fn parse_plain(text: &str) -> Option<String> {
    if let Some((_, rest)) = text.split_once('<')
        && let Some((inside, _)) = rest.split_once('>')
        && let Some(address) = parse_words(inside)
    {
        return Some(address);
    }
    parse_words(text)
}

/// The first address among words, with spaces around `@` allowed.
fn parse_words(text: &str) -> Option<String> {
    let joined;
    let text = if text.contains(" @") || text.contains("@ ") {
        joined = text.replace(" @", "@").replace("@ ", "@");
        &joined
    } else {
        text
    };
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '<' | '>'))
        .filter(|word| word.contains('@'))
        .find_map(parse_word)
}

fn parse_word(word: &str) -> Option<String> {
    let word = word.trim_matches(|c: char| {
        matches!(
            c,
            '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '(' | ')' | '[' | ']' | '.' | ':' | '!'
        )
    });
    let word = strip_mailto(word);
    if let Some(address) = parse_address(word) {
        return Some(address);
    }
    // Two addresses with a slash between; a slash alone is legal before the @.
    word.split('/')
        .filter(|part| part.contains('@') && part.len() < word.len())
        .find_map(parse_address)
}

fn strip_mailto(word: &str) -> &str {
    const SCHEME: &str = "mailto:";
    match word.get(..SCHEME.len()) {
        Some(start) if start.eq_ignore_ascii_case(SCHEME) => {
            let address = &word[SCHEME.len()..];
            address.split('?').next().unwrap_or(address)
        }
        _ => word,
    }
}

/// `anna [at] acme [dot] example` with its signs.
fn spelled_out(text: &str) -> Option<String> {
    const SIGNS: &[(&str, &str)] = &[
        ("[at]", "@"),
        ("(at)", "@"),
        ("{at}", "@"),
        (" at ", "@"),
        ("[dot]", "."),
        ("(dot)", "."),
        ("[punkt]", "."),
        (" dot ", "."),
    ];
    if text.contains('@') {
        return None;
    }
    let mut spelled = text.to_lowercase();
    for (sign, character) in SIGNS {
        if spelled.contains(sign) {
            let spaced = format!(" {sign} ");
            spelled = spelled.replace(&spaced, character).replace(sign, character);
        }
    }
    spelled.contains('@').then_some(spelled)
}

fn parse_address(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let local = lower(local);
    if !is_local_part(&local) {
        return None;
    }
    let domain = normalise_domain(domain)?;
    let address = format!("{local}@{domain}");
    (address.len() <= MAX_ADDRESS_BYTES).then_some(address)
}

fn lower(local: &str) -> String {
    if local.is_ascii() {
        local.to_ascii_lowercase()
    } else {
        local.to_lowercase().nfkc().collect()
    }
}

/// RFC 5321's dot-string, with the letters of RFC 6531. Quoted strings are none of this: no
/// mailbox of a person has one.
fn is_local_part(local: &str) -> bool {
    (1..=MAX_LOCAL_BYTES).contains(&local.len())
        && local.split('.').all(|atom| !atom.is_empty())
        && local.chars().all(|c| match c {
            '.' => true,
            c if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c),
            c => !c.is_whitespace() && !c.is_control(),
        })
}

/// The domain as lower-case punycode: at least two labels, the last no number.
fn normalise_domain(domain: &str) -> Option<String> {
    let domain = domain.trim_end_matches('.');
    let ascii = if domain.is_ascii() && !domain.contains("--") {
        domain.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii(domain).ok()?
    };
    let mut labels = 0;
    for label in ascii.split('.') {
        let bytes = label.as_bytes();
        let fits = (1..=MAX_LABEL_BYTES).contains(&bytes.len())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-');
        if !fits {
            return None;
        }
        labels += 1;
    }
    let last = ascii.rsplit('.').next()?;
    (labels >= 2 && last.len() >= 2 && !last.bytes().any(|b| b.is_ascii_digit())
        || last.starts_with("xn--") && labels >= 2)
        .then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(parse(text).as_deref(), expect, "{text}");
    }

    #[test]
    fn addresses_are_taken_out_of_what_is_around_them() {
        for (text, expect) in [
            ("anna@acme.example", "anna@acme.example"),
            ("Anna.Miller@ACME.example", "anna.miller@acme.example"),
            ("Anna Miller <anna@acme.example>", "anna@acme.example"),
            ("mailto:anna@acme.example?subject=Hi", "anna@acme.example"),
            ("\"anna@acme.example\".", "anna@acme.example"),
            ("anna @ acme.example", "anna@acme.example"),
            ("anna@acme.example;", "anna@acme.example"),
            ("a@acme.example, b@acme.example", "a@acme.example"),
            ("n/a; b@acme.example", "b@acme.example"),
            ("a@acme.example/b@acme.example", "a@acme.example"),
            ("anna [at] acme [dot] example", "anna@acme.example"),
            ("anna(at)acme.example", "anna@acme.example"),
            ("anna＠acme.example", "anna@acme.example"),
            ("o'brien+crm@acme.example", "o'brien+crm@acme.example"),
            ("jürgen@müller.example", "jürgen@xn--mller-kva.example"),
            ("info@Bücher.example", "info@xn--bcher-kva.example"),
            ("info@xn--bcher-kva.example", "info@xn--bcher-kva.example"),
            ("иван@пример.рф", "иван@xn--e1afmkfd.xn--p1ai"),
            ("用户@例子.中国", "用户@xn--fsqu00a.xn--fiqs8s"),
            ("a@b.co", "a@b.co"),
        ] {
            check(text, Some(expect));
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_none() {
        for text in [
            "",
            "anna",
            "anna@",
            "@acme.example",
            "anna@localhost",
            "anna@192.168.0.1",
            "anna@[192.168.0.1]",
            "anna..m@acme.example",
            ".anna@acme.example.",
            "anna@acme..example",
            "anna@-acme.example",
            "anna@acme.e",
            "an na",
            "anna@ac me",
            "a@b@c.example,",
            "look at me",
            "anna@acme.c0m",
            "anna@exa_mple.com",
        ] {
            if text == ".anna@acme.example." {
                check(text, Some("anna@acme.example"));
            } else {
                check(text, None);
            }
        }
        check(&format!("{}@acme.example", "a".repeat(65)), None);
        check(&format!("a@{}.example", "b".repeat(64)), None);
    }

    proptest! {
        #[test]
        fn an_address_normalises_to_itself(
            text in "[ <\"(]{0,2}[a-zA-Zäß.+'@ ＠ﬁİ]{0,12}@[a-zA-Zöß\\-.。]{0,12}\\.[a-z]{2,4}[>)., ;]{0,2}"
        ) {
            if let Some(address) = parse(&text) {
                prop_assert_eq!(parse(&address), Some(address));
            }
        }

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            if let Some(address) = parse(&text) {
                prop_assert_eq!(parse(&address), Some(address.clone()));
                mailbox::flags(&address);
            }
        }
    }
}
