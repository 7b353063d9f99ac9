//! What names and values say whoever sends them: what nobody may keep, what marks a trial, yes and no.

use super::alias::fold;

/// The names, folded, under which a form says that it is only being tried out.
const TEST_MARKERS: &[&str] = &["test", "istest", "testlead"];

/// Parts of folded names that hold secrets or payment data: never kept, whatever the configuration
/// says. In English, German, French, Spanish, Italian, Dutch and Portuguese.
const FORBIDDEN: &[&str] = &[
    "password",
    "passwd",
    "passwort",
    "kennwort",
    "motdepasse",
    "contrasena",
    "parolachiave",
    "wachtwoord",
    "palavrapasse",
    "passphrase",
    "onetimecode",
    "creditcard",
    "cardnumber",
    "cardnum",
    "kreditkarte",
    "kartennummer",
    "cartedecredit",
    "numerodecarte",
    "tarjetadecredito",
    "numerodetarjeta",
    "cartadicredito",
    "numerocarta",
    "kaartnummer",
    "cartaodecredito",
    "numerodocartao",
    "ccnumber",
    "ccexp",
    "cccsc",
    "cvv",
    "securitycode",
    "socialsecurity",
];

/// The same, but only as the whole name: short enough to be part of an innocent one.
const FORBIDDEN_WHOLE: &[&str] = &["pwd", "pass", "senha", "pin", "cvc", "cvc2", "csc", "ssn"];

/// Whether a field must never be kept.
pub fn is_forbidden(name: &str) -> bool {
    let folded = fold(name);
    // `user[password]` and `account.pwd` name their last part.
    let last = name
        .rsplit(['.', '['])
        .map(|part| fold(part.trim_end_matches(']')))
        .next()
        .unwrap_or_default();
    FORBIDDEN.iter().any(|part| folded.contains(part))
        || FORBIDDEN_WHOLE
            .iter()
            .any(|whole| *whole == folded || *whole == last)
}

/// Whether a field of that folded name says that the form is only being tried out, if its value is
/// yes.
pub fn is_test_marker(folded: &str) -> bool {
    TEST_MARKERS.contains(&folded)
}

/// Whether a value means yes: of a marker, not of a checkbox.
pub fn is_yes(value: &str) -> bool {
    ["1", "true", "yes", "on"]
        .iter()
        .any(|yes| yes.eq_ignore_ascii_case(value.trim()))
}

/// Whether a value means no.
pub fn is_no(value: &str) -> bool {
    ["", "0", "false", "no", "off"]
        .iter()
        .any(|no| no.eq_ignore_ascii_case(value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_payment_data_are_known_by_name() {
        for name in [
            "password",
            "user[password]",
            "new-password",
            "Passwort",
            "mot_de_passe",
            "contraseña",
            "pwd",
            "account.pwd",
            "login[pwd]",
            "card_number",
            "cc-number",
            "cc-csc",
            "creditCard",
            "cvv",
            "CVC",
            "Kreditkartennummer",
            "ssn",
            "one-time-code",
        ] {
            assert!(is_forbidden(name), "{name}");
        }
        for name in [
            "passport_country",
            "pinterest",
            "spinner",
            "compass",
            "email",
            "company",
            "",
        ] {
            assert!(!is_forbidden(name), "{name}");
        }
    }
}
