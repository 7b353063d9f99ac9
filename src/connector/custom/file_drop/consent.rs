//! Whether a person agreed. What nobody knows is unknown, not yes.

use super::options::ConsentRule;

/// What a cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Unclear,
}

const YES: &[&str] = &[
    "1",
    "y",
    "yes",
    "j",
    "ja",
    "oui",
    "o",
    "si",
    "sí",
    "sì",
    "s",
    "sim",
    "tak",
    "true",
    "t",
    "x",
    "✓",
    "✔",
    "☑",
    "on",
    "checked",
    "agreed",
    "agree",
    "accepted",
    "granted",
    "opted in",
    "opt-in",
    "opt in",
    "subscribed",
    "wahr",
    "vrai",
];

const NO: &[&str] = &[
    "0",
    "n",
    "no",
    "nein",
    "non",
    "nee",
    "não",
    "nao",
    "nie",
    "false",
    "f",
    "-",
    "off",
    "unchecked",
    "declined",
    "denied",
    "refused",
    "opted out",
    "opt-out",
    "opt out",
    "unsubscribed",
    "do not contact",
    "falsch",
    "faux",
    "✗",
    "☐",
];

fn answer(cell: &str, is_date: bool) -> Answer {
    let word = cell.trim().to_lowercase();
    if YES.contains(&word.as_str()) || is_date {
        Answer::Yes
    } else if NO.contains(&word.as_str()) {
        Answer::No
    } else {
        Answer::Unclear
    }
}

/// The `consent` of a row: `true`, `false`, a text that is proof of it, or none.
///
/// `cell` is the row's own word, if it has one that is not blank; `is_date` whether it is the day on
/// which the person agreed.
pub(super) fn consent(rule: &ConsentRule, cell: Option<&str>, is_date: bool) -> Option<String> {
    let said = cell.map(|cell| answer(cell, is_date));
    if said == Some(Answer::No) {
        return Some("false".to_owned());
    }
    match (&rule.column, &rule.statement, said) {
        // The day is proof; normalising keeps it as typed.
        (Some(_), _, Some(Answer::Yes)) if is_date => cell.map(str::to_owned),
        (Some(_), _, Some(Answer::Yes)) => Some("true".to_owned()),
        (None, Some(statement), _) => Some(statement.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, cell: Option<&str>, expect: Option<&str>) {
        let rule: ConsentRule = toml::from_str(rule).unwrap();
        let is_date = cell == Some("14.03.2026");
        assert_eq!(consent(&rule, cell, is_date).as_deref(), expect, "{cell:?}");
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        let column = "column = 'Opt-in'";
        for (cell, expect) in [
            (Some("Y"), Some("true")),
            (Some("Ja"), Some("true")),
            (Some("14.03.2026"), Some("14.03.2026")),
            (Some("Nein"), Some("false")),
            (Some("0"), Some("false")),
            (Some("not asked"), None),
            (None, None),
        ] {
            check(column, cell, expect);
        }
    }

    #[test]
    fn a_statement_speaks_for_all_who_did_not_say_no_and_unknown_stays_open() {
        let statement = "statement = 'Scanned at our booth'";
        check(statement, None, Some("Scanned at our booth"));
        check(statement, Some("maybe"), Some("Scanned at our booth"));
        check(statement, Some("N"), Some("false"));
        check("unknown = true", Some("Y"), None);
        check("unknown = true", Some("N"), Some("false"));
    }
}
