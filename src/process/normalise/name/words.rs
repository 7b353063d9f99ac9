//! Words around names: honorifics, generations, degrees, particles.

/// Honorifics before a name, folded by [`folded`], and the value of Salesforce's Salutation that
/// says the same; blank where it has none.
///
/// `M.` and `D.` are none of them: they are initials at least as often.
const HONORIFICS: &[(&str, &str)] = &[
    // English
    ("mr", "Mr."),
    ("mister", "Mr."),
    ("mrs", "Mrs."),
    ("ms", "Ms."),
    ("miss", "Ms."),
    ("mx", "Mx."),
    ("dr", "Dr."),
    ("doctor", "Dr."),
    ("prof", "Prof."),
    ("professor", "Prof."),
    ("sir", ""),
    ("rev", ""),
    // German
    ("herr", "Mr."),
    ("hr", "Mr."),
    ("frau", "Ms."),
    ("fr", "Ms."),
    ("fräulein", "Ms."),
    ("dipling", ""),
    ("diplinform", ""),
    ("diplkfm", ""),
    ("mag", ""),
    ("ing", ""),
    ("drmed", "Dr."),
    ("dring", "Dr."),
    ("drrernat", "Dr."),
    ("profdr", "Prof."),
    ("pd", ""),
    ("divers", "Mx."),
    // French
    ("monsieur", "Mr."),
    ("mme", "Mrs."),
    ("madame", "Mrs."),
    ("mlle", "Ms."),
    ("mademoiselle", "Ms."),
    ("me", ""),
    ("maître", ""),
    // Spanish and Portuguese; `Sr.` before a name is one, after it a generation
    ("sr", "Mr."),
    ("señor", "Mr."),
    ("sra", "Mrs."),
    ("señora", "Mrs."),
    ("srta", "Ms."),
    ("señorita", "Ms."),
    ("dña", ""),
    ("doña", ""),
    ("lic", ""),
    ("senhor", "Mr."),
    ("senhora", "Mrs."),
    ("dra", "Dr."),
    // Italian
    ("sig", "Mr."),
    ("signor", "Mr."),
    ("sigra", "Mrs."),
    ("signora", "Mrs."),
    ("dott", "Dr."),
    ("dottssa", "Dr."),
    ("avv", ""),
    // Dutch
    ("dhr", "Mr."),
    ("mevr", "Mrs."),
    ("mevrouw", "Mrs."),
    ("mw", "Mrs."),
    ("drs", ""),
    ("ir", ""),
    // Polish, Russian, Indian
    ("pan", "Mr."),
    ("pani", "Ms."),
    ("гн", "Mr."),
    ("гжа", "Ms."),
    ("господин", "Mr."),
    ("госпожа", "Ms."),
    ("shri", "Mr."),
    ("smt", "Mrs."),
];

/// Honorifics that are first names or surnames as well: taken off only with a dot, or as the value
/// of the salutation field.
const ALSO_NAMES: &[&str] = &[
    "fr", "hr", "me", "mag", "ing", "lic", "rev", "pan", "pani", "sig", "ir", "pd", "sir", "mw",
    "divers",
];

/// Honorifics written after a name without a space, or as a word of its own.
const SUFFIX_HONORIFICS: &[&str] = &["様", "さん", "先生", "女士", "小姐", "씨", "님"];

/// What follows a name and is no part of it: degrees and orders.
const DEGREES: &[&str] = &[
    "phd", "md", "mba", "cpa", "obe", "mbe", "cbe", "esq", "msc", "bsc", "llm", "jd", "pmp", "cfa",
    "dds", "rn",
];

/// Marks of generation: evidence against a match, so they stay with the family name.
const GENERATIONS: &[&str] = &[
    "jr", "sr", "ii", "iii", "iv", "jun", "sen", "junior", "júnior", "filho", "neto",
];

/// Words that begin a family name, and are written small in it.
const PARTICLES: &[&str] = &[
    "af", "al", "av", "aw", "ben", "bin", "bint", "da", "das", "de", "del", "della", "den", "der",
    "di", "do", "dos", "du", "el", "ibn", "la", "las", "le", "los", "ten", "ter", "van", "vom",
    "von", "zu", "zum", "zur",
];

/// Salesforce's own values of Salutation, best first: a title says more than a form of address.
const SALUTATIONS: &[&str] = &["Prof.", "Dr.", "Mx.", "Ms.", "Mrs.", "Mr."];

/// Lower case, letters only.
pub(super) fn folded(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The salutation that `word` stands for: blank where Salesforce has none. `None` if it is no
/// honorific.
pub(super) fn honorific(word: &str) -> Option<&'static str> {
    let key = folded(word);
    HONORIFICS
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, salutation)| *salutation)
}

/// The same for a word before a name, where some honorifics may be names themselves.
fn honorific_before_name(word: &str) -> Option<&'static str> {
    let salutation = honorific(word)?;
    (word.ends_with('.') || !ALSO_NAMES.contains(&folded(word).as_str())).then_some(salutation)
}

/// The better one of two salutations.
pub(super) fn better_salutation<'a>(one: &'a str, other: &'a str) -> &'a str {
    let rank = |salutation: &str| {
        SALUTATIONS
            .iter()
            .position(|known| *known == salutation)
            .unwrap_or(usize::MAX)
    };
    if rank(other) < rank(one) { other } else { one }
}

/// Takes honorifics off the front and the end of a name. Returns the rest and the salutation they
/// stand for: `Some("")` where Salesforce has none. A name that is nothing but an honorific stays.
pub(super) fn strip_honorifics(name: &str) -> (&str, Option<&'static str>) {
    let mut rest = name;
    let mut salutation: Option<&'static str> = None;
    while let Some((word, after)) = rest.split_once(' ') {
        let Some(found) = honorific_before_name(word) else {
            break;
        };
        salutation = Some(salutation.map_or(found, |earlier| better_salutation(earlier, found)));
        rest = after;
    }
    while let Some((before, _)) = SUFFIX_HONORIFICS
        .iter()
        .find_map(|suffix| Some((rest.strip_suffix(suffix)?, suffix)))
        && before.chars().filter(|c| c.is_alphabetic()).count() >= 2
    {
        rest = before.trim_end();
        salutation = Some(salutation.unwrap_or(""));
    }
    (rest, salutation)
}

/// Takes degrees off the end of a name, with the commas before them.
pub(super) fn strip_degrees(name: &str) -> &str {
    let mut rest = name;
    while let Some((before, word)) = rest.rsplit_once([' ', ','])
        && is_degree(word)
    {
        let before = before.trim_end_matches([' ', ',']);
        // In capitals or after a comma a degree is one; `Md Karim Md` would lose his name.
        let marked = rest[..rest.len() - word.len()].trim_end().ends_with(',')
            || word.chars().any(|c| c == '.')
            || word.chars().filter(|c| c.is_uppercase()).count() >= 2;
        if !marked || before.is_empty() {
            break;
        }
        rest = before;
    }
    rest
}

fn is_degree(word: &str) -> bool {
    DEGREES.contains(&folded(word).as_str())
}

pub(super) fn is_generation(word: &str) -> bool {
    GENERATIONS.contains(&folded(word).as_str())
}

pub(super) fn is_particle(word: &str) -> bool {
    PARTICLES.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honorifics_become_salutations() {
        for (name, rest, salutation) in [
            ("Dr. Anna Miller", "Anna Miller", Some("Dr.")),
            ("Herr Prof. Dr. Müller", "Müller", Some("Prof.")),
            ("Mme Dupont", "Dupont", Some("Mrs.")),
            ("Sr. García", "García", Some("Mr.")),
            ("Dipl.-Ing. Huber", "Huber", Some("")),
            ("山田太郎様", "山田太郎", Some("")),
            ("김민준님", "김민준", Some("")),
            ("Herr", "Herr", None),
            ("Fr Miller", "Fr Miller", None),
            ("Fr. Miller", "Miller", Some("Ms.")),
            ("Anna Miller", "Anna Miller", None),
        ] {
            assert_eq!(strip_honorifics(name), (rest, salutation), "{name}");
        }
    }

    #[test]
    fn degrees_are_no_part_of_a_name() {
        for (name, expect) in [
            ("Anna Miller, PhD", "Anna Miller"),
            ("Anna Miller MBA CPA", "Anna Miller"),
            ("Anna Miller Ph.D.", "Anna Miller"),
            ("Karim Md", "Karim Md"),
            ("MBA", "MBA"),
        ] {
            assert_eq!(strip_degrees(name), expect, "{name}");
        }
    }
}
