//! Values that fill a required field and say nothing.

/// Words typed in place of an answer, as [`compact`] writes them.
const WORDS: &[&str] = &[
    "asdf",
    "asdfasdf",
    "asdfg",
    "asdfgh",
    "aucun",
    "aucune",
    "blank",
    "brak",
    "empty",
    "geen",
    "keinangabe",
    "keine",
    "keineangabe",
    "keineangaben",
    "keiner",
    "na",
    "nessuno",
    "ninguna",
    "ninguno",
    "none",
    "notapplicable",
    "notavailable",
    "notprovided",
    "null",
    "nil",
    "qwerty",
    "qwertz",
    "sinespecificar",
    "tbd",
    "test",
    "testtest",
    "testuser",
    "undefined",
    "unknown",
    "x",
    "xx",
    "xxx",
    "xxxx",
    "нет",
];

/// Placeholders that are people's surnames too: one alone proves nothing.
const SURNAMES: &[&str] = &["na", "none", "null", "test"];

const LONGEST_WORD_BYTES: usize = 24;

/// Whether the whole value stands in place of an answer.
pub(super) fn is_placeholder(text: &str) -> bool {
    if !text.chars().any(char::is_alphanumeric) {
        return true;
    }
    text.len() <= LONGEST_WORD_BYTES && WORDS.contains(&compact(text).as_str()) || is_template(text)
}

/// Whether the value is a placeholder that people are called, too.
pub(super) fn may_be_surname(text: &str) -> bool {
    text.len() <= LONGEST_WORD_BYTES && SURNAMES.contains(&compact(text).as_str())
}

/// Whether the whole value is a template that nobody filled in: `{{first_name}}`, `*|FNAME|*`,
/// `%FNAME%`, `${name}`, `[[name]]`.
pub(super) fn is_template(text: &str) -> bool {
    let inside = |open: &str, close: &str| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|name| !name.is_empty() && !name.contains(close))
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            inside("{{{", "}}}") || inside("{{", "}}") || inside("{%", "%}") || inside("{", "}")
        }
        Some(b'%') => inside("%%", "%%") || (inside("%", "%") && !text.contains(' ')),
        Some(b'*') => inside("*|", "|*"),
        Some(b'$') => inside("${", "}"),
        Some(b'[') => inside("[[", "]]"),
        Some(b'<') => inside("<%", "%>"),
        _ => false,
    }
}

/// Lower case, letters and digits only: `N/A`, `n.a.` and `n a` are one word.
fn compact(text: &str) -> String {
    if text.is_ascii() {
        let mut compact = text.to_ascii_lowercase();
        compact.retain(|c| c.is_ascii_alphanumeric());
        return compact;
    }
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_an_answer_are_placeholders() {
        for text in [
            "n/a",
            "N.A.",
            "-",
            "---",
            ".",
            "?",
            "x",
            "XXX",
            "none",
            "Unknown",
            "Keine Angabe",
            "НЕТ",
            "test",
            "{{lead.first_name}}",
            "*|FNAME|*",
            "%FNAME%",
            "%%First Name%%",
            "${name}",
            "{keyword}",
            "[[first]]",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "Anna",
            "Nana",
            "Testa",
            "Noneva",
            "李",
            "Unknown Worlds",
            "50% off today, 20%",
            "{a} b {c}",
            "X Æ",
            "3M",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn some_placeholders_are_surnames() {
        assert!(may_be_surname("Null"));
        assert!(!may_be_surname("asdf"));
    }
}
