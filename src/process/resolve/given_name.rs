//! Whether two given names can be one person's.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::process::normalise::fold;

/// Name groups by folded name. A name may be in several: Alex is Alexander and Alexandra.
static NICKNAMES: LazyLock<HashMap<String, Vec<u16>>> = LazyLock::new(|| {
    let mut groups: HashMap<String, Vec<u16>> = HashMap::new();
    let lines = include_str!("nicknames.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    for (group, line) in (0..).zip(lines) {
        for name in line.split_whitespace().flat_map(fold::name_words) {
            groups.entry(name).or_default().push(group);
        }
    }
    groups
});

/// Whether the two given names cannot be one person's: both are known, and no word of one equals,
/// abbreviates or is a nickname of a word of the other.
///
/// One letter apart is not a misspelling here: Anna and Hanna, Jan and Jana are two people.
pub(super) fn contradict(one: &str, other: &str) -> bool {
    let one_words: Vec<String> = fold::name_words(one).collect();
    let other_words: Vec<String> = fold::name_words(other).collect();
    if one_words.is_empty() || other_words.is_empty() || has_han(one) != has_han(other) {
        // Blank, or in scripts that cannot be compared: 太郎 and Taro.
        return false;
    }
    !one_words
        .iter()
        .any(|word| other_words.iter().any(|other| agree(word, other)))
        && one_words.concat() != other_words.concat()
}

/// Whether the given name is initials only: `A.`, `J. R.`
pub(super) fn is_initials(name: &str) -> bool {
    let mut words = fold::name_words(name).peekable();
    words.peek().is_some() && !has_han(name) && words.all(|word| word.chars().count() == 1)
}

fn agree(one: &str, other: &str) -> bool {
    let initial = |short: &str, long: &str| short.chars().count() == 1 && long.starts_with(short);
    one == other || initial(one, other) || initial(other, one) || are_nicknames(one, other)
}

fn are_nicknames(one: &str, other: &str) -> bool {
    match (NICKNAMES.get(one), NICKNAMES.get(other)) {
        (Some(one), Some(other)) => one.iter().any(|group| other.contains(group)),
        _ => false,
    }
}

fn has_han(name: &str) -> bool {
    name.chars()
        .any(|c| matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3134F}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str, expect: bool) {
        assert_eq!(contradict(one, other), expect, "{one} and {other}");
        assert_eq!(contradict(other, one), expect, "{other} and {one}");
    }

    #[test]
    fn names_that_can_be_one_persons_do_not_contradict() {
        for (one, other) in [
            ("Anna", "anna"),
            ("Anna", "A."),
            ("Anna", "A"),
            ("Anna", ""),
            ("Robert", "Bob"),
            ("William", "Bill"),
            ("Elizabeth", "Liz"),
            ("Johannes", "Hans"),
            ("Francisco", "Paco"),
            ("Alexandra", "Alex"),
            ("Alexander", "Alex"),
            ("Hans-Peter", "Peter"),
            ("Hans-Peter", "Hanspeter"),
            ("Anna Maria", "Maria"),
            ("Jürgen", "Juergen"),
            ("José", "Jose"),
            ("Иван", "Ivan"),
            ("太郎", "Taro"),
        ] {
            check(one, other, false);
        }
    }

    #[test]
    fn names_of_two_people_contradict() {
        for (one, other) in [
            ("Anna", "Hanna"),
            ("Jan", "Jana"),
            ("John", "Mary"),
            ("Thomas", "Peter"),
            ("Alexander", "Alexandra"),
            ("A.", "Bernd"),
            ("太郎", "花子"),
        ] {
            check(one, other, true);
        }
    }

    #[test]
    fn initials_are_told_from_names() {
        for (name, expect) in [
            ("A.", true),
            ("J. R. R.", true),
            ("J.R.", true),
            ("Al", false),
            ("Anna M.", false),
            ("山", false),
            ("", false),
        ] {
            assert_eq!(is_initials(name), expect, "{name}");
        }
    }

    #[test]
    fn every_line_of_the_table_joins_names() {
        let lines = include_str!("nicknames.txt")
            .lines()
            .filter(|line| !line.starts_with('#'));
        for line in lines {
            let names: Vec<&str> = line.split_whitespace().collect();
            assert!(names.len() >= 2, "{line}");
            check(names[0], names[names.len() - 1], false);
        }
    }
}
