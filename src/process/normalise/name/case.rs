use super::super::text::compose;
use super::words;

/// Whether dotted and dotless i are different letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Turkish and Azerbaijani: ı/I, i/İ.
    Turkic,
    Other,
}

/// Title case for a name that came in one case; `None` if it has both cases already, or too few
/// letters to tell.
///
/// Mixed case is how a person writes their own name: `deVries`, `ffrench`, `van der Berg`.
pub(super) fn repair(first: &str, last: &str, alphabet: Alphabet) -> Option<(String, String)> {
    let mut letters = 0;
    let (mut upper, mut lower) = (false, false);
    for c in first.chars().chain(last.chars()) {
        upper |= c.is_uppercase();
        lower |= c.is_lowercase();
        letters += usize::from(c.is_alphabetic());
    }
    if upper == lower || letters < 2 {
        return None;
    }
    let repaired = (
        title_case(first, Part::Given, upper, alphabet),
        title_case(last, Part::Family, upper, alphabet),
    );
    (repaired.0 != first || repaired.1 != last).then_some(repaired)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Given,
    Family,
}

fn title_case(name: &str, part: Part, from_upper: bool, alphabet: Alphabet) -> String {
    let count = name.split(' ').count();
    let words: Vec<String> = name
        .split(' ')
        .enumerate()
        .map(|(index, word)| {
            let followed = index + 1 < count;
            let small = followed && words::is_particle(word) && (part == Part::Family || index > 0);
            if is_numeral(word) && index > 0 {
                word.to_uppercase()
            } else if from_upper && part == Part::Given && is_initials(word) {
                word.to_owned()
            } else if small {
                lower(word, alphabet)
            } else {
                capitalise(&lower(word, alphabet), alphabet)
            }
        })
        .collect();
    compose(words.join(" "))
}

/// `II`, `III`, `IV`.
fn is_numeral(word: &str) -> bool {
    ["ii", "iii", "iv"]
        .iter()
        .any(|numeral| word.eq_ignore_ascii_case(numeral))
}

/// `JD`, `J.D.`: two capitals without a vowel between them may be initials.
fn is_initials(word: &str) -> bool {
    let letters: Vec<char> = word.chars().filter(|c| c.is_alphabetic()).collect();
    letters.len() <= 2 && (word.contains('.') || !letters.iter().any(|c| "AEIOUYÄÖÜ".contains(*c)))
}

fn lower(word: &str, alphabet: Alphabet) -> String {
    match alphabet {
        Alphabet::Turkic => word.replace('I', "ı").replace('İ', "i").to_lowercase(),
        // Without this, lower case of İ is i with a second dot.
        Alphabet::Other => word.replace('İ', "i").to_lowercase(),
    }
}

/// A capital at the start, after hyphens and apostrophes, and after `Mc`.
fn capitalise(word: &str, alphabet: Alphabet) -> String {
    let mut capitalised = String::with_capacity(word.len());
    let mut at_start = true;
    for (index, c) in word.char_indices() {
        if at_start && c.is_alphabetic() {
            // `d's` of `Bird's` is no new word: after an apostrophe there must be two letters.
            let alone = index > 0
                && !word[..index].ends_with(['-', '‐', '‑'])
                && word[index..]
                    .chars()
                    .nth(1)
                    .is_none_or(|next| !next.is_alphabetic());
            match (c, alphabet) {
                (c, _) if alone => capitalised.push(c),
                ('i', Alphabet::Turkic) => capitalised.push('İ'),
                (c, _) => capitalised.extend(c.to_uppercase()),
            }
            at_start = false;
        } else {
            capitalised.push(c);
            at_start = matches!(c, '-' | '‐' | '‑' | '\'' | '’' | '.');
        }
    }
    match capitalised.strip_prefix("Mc") {
        Some(rest) if rest.chars().count() >= 2 => format!("Mc{}", capitalise(rest, alphabet)),
        _ => capitalised,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_in(alphabet: Alphabet, first: &str, last: &str, expect: Option<(&str, &str)>) {
        let expect = expect.map(|(first, last)| (first.to_owned(), last.to_owned()));
        assert_eq!(repair(first, last, alphabet), expect, "{first} {last}");
    }

    #[test]
    fn names_in_one_case_are_repaired() {
        for (first, last, expect) in [
            ("anna", "miller", ("Anna", "Miller")),
            ("ANNA", "MILLER", ("Anna", "Miller")),
            ("jean-pierre", "o'brien", ("Jean-Pierre", "O'Brien")),
            ("SEAN", "MCDONALD", ("Sean", "McDonald")),
            ("ian", "macdonald", ("Ian", "Macdonald")),
            ("URSULA", "VON DER LEYEN", ("Ursula", "von der Leyen")),
            ("juan", "de la cruz", ("Juan", "de la Cruz")),
            ("JOHN", "MILLER III", ("John", "Miller III")),
            ("JD", "SALINGER", ("JD", "Salinger")),
            ("al", "capone", ("Al", "Capone")),
            ("", "LE", ("", "Le")),
            ("иван", "петров", ("Иван", "Петров")),
            ("ΓΙΩΡΓΟΣ", "ΠΑΠΑΔΟΠΟΥΛΟΣ", ("Γιωργος", "Παπαδοπουλος")),
            ("JÜRGEN", "MÜLLER", ("Jürgen", "Müller")),
        ] {
            check_in(Alphabet::Other, first, last, Some(expect));
        }
    }

    #[test]
    fn dotless_i_is_a_letter_of_its_own_in_turkish() {
        check_in(Alphabet::Turkic, "IŞIL", "YILDIZ", Some(("Işıl", "Yıldız")));
        check_in(
            Alphabet::Turkic,
            "ibrahim",
            "çelik",
            Some(("İbrahim", "Çelik")),
        );
        check_in(
            Alphabet::Other,
            "İBRAHİM",
            "ÇELİK",
            Some(("Ibrahim", "Çelik")),
        );
    }

    #[test]
    fn names_with_both_cases_or_none_stay() {
        for (first, last) in [
            ("Anna", "deVries"),
            ("Charles", "ffrench"),
            ("Jean", "DUPONT"),
            ("太郎", "山田"),
            ("", "X"),
            ("محمد", "سلمان"),
        ] {
            check_in(Alphabet::Other, first, last, None);
        }
    }
}
