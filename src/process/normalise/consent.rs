//! Consent and opt-outs: `true` or `false`, however the form says it.

use super::draft::Draft;

const OPT_OUTS: [&str; 3] = ["email_opt_out", "fax_opt_out", "do_not_call"];

/// What an unticked box, or a no, is sent as.
const NO: &[&str] = &[
    "0",
    "n",
    "f",
    "no",
    "off",
    "false",
    "nein",
    "non",
    "nee",
    "não",
    "nao",
    "нет",
    "nej",
    "nei",
    "nie",
    "ne",
    "ei",
    "hayır",
    "unchecked",
    "unticked",
    "disabled",
    "declined",
    "denied",
    "いいえ",
    "否",
    "아니요",
];

/// What a ticked box, or a yes, is sent as.
const YES: &[&str] = &[
    "1", "y", "t", "yes", "on", "true", "ja", "j", "oui", "o", "sí", "si", "s", "sì", "sim", "tak",
    "да", "ano", "igen", "evet", "checked", "ticked", "x", "accepted", "accept", "agree", "agreed",
    "granted", "はい", "是", "네",
];

/// Normalises `consent` and the opt-outs.
///
/// An opt-out is only ever true: a box that was left alone lifts none. The text of a box that says
/// more than yes (`I agree to …`) is the proof of consent, so it is kept as `consent_as_typed`.
pub(super) fn normalise(draft: &mut Draft) {
    for field in OPT_OUTS {
        match draft.take(field).as_deref().map(read) {
            Some(Answer::Yes) => draft.set(field, "true"),
            Some(Answer::Other) => {
                draft.set(field, "true");
                draft.note(
                    "opt_out.assumed",
                    field,
                    "the answer is neither yes nor no; taken as an opt-out",
                );
            }
            Some(Answer::No) | None => {}
        }
    }
    let Some(typed) = draft.take("consent") else {
        return;
    };
    let answer = read(&typed);
    draft.set(
        "consent",
        if answer == Answer::No {
            "false"
        } else {
            "true"
        },
    );
    if answer == Answer::Other {
        draft.set("consent_as_typed", &typed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    /// Any other text: a ticked box whose value is its wording.
    Other,
}

/// Several values of one name (a hidden `0` before the box's `1`): the last is the box's own.
fn read(typed: &str) -> Answer {
    let last = typed
        .rsplit(';')
        .map(str::trim)
        .find(|value| !value.is_empty())
        .unwrap_or_default();
    let word = last.trim_end_matches(['.', '!']).to_lowercase();
    if NO.contains(&word.as_str()) {
        Answer::No
    } else if YES.contains(&word.as_str()) {
        Answer::Yes
    } else {
        Answer::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &str, typed: &str, expect: Option<&str>) {
        let mut draft = Draft::default();
        draft.set(field, typed);
        normalise(&mut draft);
        assert_eq!(draft.get(field), expect, "{field} {typed}");
    }

    #[test]
    fn yes_and_no_are_read_in_many_languages() {
        for typed in [
            "on",
            "1",
            "Yes",
            "TRUE",
            "ja",
            "oui",
            "sí",
            "да",
            "はい",
            "0;1",
            "I agree to the terms",
        ] {
            check("consent", typed, Some("true"));
            check("email_opt_out", typed, Some("true"));
        }
        for typed in ["0", "off", "No", "nein", "false", "нет"] {
            check("consent", typed, Some("false"));
            check("do_not_call", typed, None);
        }
    }

    #[test]
    fn the_wording_of_a_box_is_kept() {
        let mut draft = Draft::default();
        draft.set("consent", "I agree to the terms");
        normalise(&mut draft);
        assert_eq!(draft.get("consent_as_typed"), Some("I agree to the terms"));
    }
}
