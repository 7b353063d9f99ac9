//! A whole name in one field, split into given and family name, or left whole where no rule is
//! sure: the whole string as family name beats a wrong split.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::super::fold;
use super::Hints;
use super::words;

/// Given and family name, as written. The given name may be blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Split {
    pub first: String,
    pub last: String,
}

impl Split {
    fn new(first: &str, last: &str) -> Self {
        Self {
            first: first.trim().to_owned(),
            last: last.trim().to_owned(),
        }
    }

    fn whole(name: &str) -> Self {
        Self::new("", name)
    }
}

/// Chinese surnames of two characters; all others have one.
const COMPOUND_HAN: &[&str] = &[
    "欧阳", "歐陽", "司马", "司馬", "诸葛", "諸葛", "上官", "夏侯", "东方", "東方", "皇甫", "尉迟",
    "公孙", "公孫", "令狐", "宇文", "长孙", "慕容", "司徒", "端木", "百里",
];

/// Korean surnames of two syllables.
const COMPOUND_HANGUL: &[&str] = &["남궁", "황보", "제갈", "선우", "독고", "사공", "서문"];

/// Vietnamese surnames: before the given name unless the name was turned round for foreigners.
const VIETNAMESE: &[&str] = &[
    "Nguyễn", "Trần", "Lê", "Phạm", "Huỳnh", "Hoàng", "Phan", "Vũ", "Võ", "Đặng", "Bùi", "Đỗ",
    "Hồ", "Ngô", "Dương", "Lý",
];

/// Frequent Korean and Chinese surnames in Latin letters, folded by [`fold::letters`].
const EAST_ASIAN: &[&str] = &[
    "park", "kim", "lee", "choi", "jung", "jeong", "kang", "cho", "yoon", "yun", "jang", "lim",
    "han", "shin", "seo", "kwon", "hwang", "ahn", "song", "yoo", "hong", "moon", "bae", "baek",
    "noh",
];

static HUNGARIAN_GIVEN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    include_str!("hungarian_given_names.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(fold::letters)
        .collect()
});

/// Languages and countries whose people have two surnames.
const TWO_SURNAMES: &[&str] = &[
    "ES", "MX", "AR", "CO", "CL", "PE", "VE", "EC", "GT", "CU", "BO", "DO", "HN", "PY", "SV", "NI",
    "CR", "PA", "UY", "PR",
];

/// Splits `name`, from which honorifics and degrees have been taken.
pub(super) fn split(name: &str, hints: &Hints) -> Split {
    if let Some((last, first)) = name.split_once(',') {
        return by_comma(last.trim(), first.trim(), hints);
    }
    if name.chars().any(is_east_asian) {
        return east_asian(name, hints);
    }
    let words: Vec<&str> = name.split(' ').collect();
    if words.len() < 2 {
        return Split::whole(name);
    }
    by_capitals(&words)
        .or_else(|| family_first(&words, hints))
        .or_else(|| arabic(&words))
        .unwrap_or_else(|| by_order(&words, hints))
}

/// `SURNAME, Given`; or a mark of generation after the comma.
fn by_comma(before: &str, after: &str, hints: &Hints) -> Split {
    if after.contains(',') || after.is_empty() || before.is_empty() {
        return Split::whole(format!("{before}, {after}").trim_matches([',', ' ']));
    }
    if words::is_generation(after) {
        let mut parts = split(before, hints);
        parts.last = format!("{}, {after}", parts.last);
        return parts;
    }
    Split::new(after, before)
}

fn is_east_asian(c: char) -> bool {
    is_han(c) || is_kana(c) || matches!(c, '\u{AC00}'..='\u{D7A3}')
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '\u{20000}'..='\u{3134F}' | '々')
}

fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30FA}' | 'ー' | 'ｦ'..='ﾟ')
}

fn east_asian(name: &str, hints: &Hints) -> Split {
    // `ジョン・スミス`: a foreign name, so in its own order.
    if let Some((first, last)) = name.rsplit_once(['・', '·'])
        && !name.contains(' ')
    {
        return Split::new(first, last);
    }
    let words: Vec<&str> = name.split(' ').collect();
    match words.as_slice() {
        [family, given] if name.chars().all(|c| is_east_asian(c) || c == ' ') => {
            Split::new(given, family)
        }
        [unspaced] => unspaced_east_asian(unspaced, hints),
        _ => Split::whole(name),
    }
}

/// One word of Han or Hangul: the surname is its first character, or one of the few with two.
/// Japanese surnames have one to three, and nothing tells how many.
fn unspaced_east_asian(name: &str, hints: &Hints) -> Split {
    let length = name.chars().count();
    let hangul = name.chars().all(|c| matches!(c, '\u{AC00}'..='\u{D7A3}'));
    let han = name.chars().all(is_han);
    if !(hangul || han) || hints.is("JP", "ja") {
        return Split::whole(name);
    }
    let compounds = if hangul {
        COMPOUND_HANGUL
    } else {
        COMPOUND_HAN
    };
    let compound = compounds.iter().find(|surname| name.starts_with(*surname));
    let surname_length = match (compound, length) {
        (Some(_), 3..=4) => 2,
        (None, 2..=3) => 1,
        _ => return Split::whole(name),
    };
    let end = name
        .char_indices()
        .nth(surname_length)
        .map_or(name.len(), |(end, _)| end);
    Split::new(&name[end..], &name[..end])
}

/// `DUPONT Jean` and `Jean DUPONT`: the capitals are the surname.
///
/// Three letters at least and a vowel, so that `JD Miller` and `Anna BSC` are not taken for it.
fn by_capitals(words: &[&str]) -> Option<Split> {
    let loud: Vec<bool> = words.iter().map(|word| is_loud_surname(word)).collect();
    let leading = loud.iter().take_while(|loud| **loud).count();
    let trailing = loud.iter().rev().take_while(|loud| **loud).count();
    let count = words.len();
    if leading > 0 && leading < count && !loud[leading..].contains(&true) {
        let (family, given) = words.split_at(leading);
        return Some(Split::new(&given.join(" "), &family.join(" ")));
    }
    if trailing > 0 && trailing < count && !loud[..count - trailing].contains(&true) {
        let mut start = count - trailing;
        while start > 1 && words::is_particle(words[start - 1]) {
            start -= 1;
        }
        let (given, family) = words.split_at(start);
        return Some(Split::new(&given.join(" "), &family.join(" ")));
    }
    None
}

fn is_loud_surname(word: &str) -> bool {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    letters >= 3
        && !word.chars().any(char::is_lowercase)
        && word.chars().all(|c| c.is_uppercase() || !c.is_alphabetic())
        && fold::letters(word).contains(['a', 'e', 'i', 'o', 'u', 'y'])
        && !words::is_generation(word)
}

/// Latin and Cyrillic names whose words show that the family name is the first.
fn family_first(words: &[&str], hints: &Hints) -> Option<Split> {
    let (first, rest) = words.split_first()?;
    let last = *rest.last()?;
    let vietnamese = |word: &str| VIETNAMESE.contains(&word);
    let korean = words.len() == 2
        && EAST_ASIAN.contains(&fold::letters(first).as_str())
        && last
            .split_once('-')
            .is_some_and(|(_, second)| second.starts_with(char::is_lowercase));
    let hungarian = hints.is("HU", "hu")
        && HUNGARIAN_GIVEN.contains(&fold::letters(last))
        && !HUNGARIAN_GIVEN.contains(&fold::letters(first));
    let russian = words.len() == 3 && is_patronymic(last);
    let is_family_first =
        (vietnamese(first) && !vietnamese(last)) || korean || hungarian || russian;
    is_family_first.then(|| Split::new(&rest.join(" "), first))
}

/// `Иванович`, `Ивановна`: after the given name, so nothing but a surname can be before that.
fn is_patronymic(word: &str) -> bool {
    const ENDINGS: &[&str] = &["ович", "евич", "овна", "евна", "ична", "инична"];
    let word = word.to_lowercase();
    word.chars().count() >= 6 && ENDINGS.iter().any(|ending| word.ends_with(ending))
}

/// Names in Arabic letters have no capitals, and given names of two words: only two words that
/// are not one such name are sure.
fn arabic(words: &[&str]) -> Option<Split> {
    /// Servant of, father of, mother of: the start of a compound name.
    const COMPOUND_STARTS: &[&str] = &["عبد", "أبو", "ابو", "أم", "ام", "بن", "ابن", "آل"];
    if !words
        .iter()
        .all(|word| word.chars().any(|c| matches!(c, '\u{600}'..='\u{6FF}')))
    {
        return None;
    }
    Some(match words {
        [first, last] if !COMPOUND_STARTS.contains(first) => Split::new(first, last),
        [first, particle, last] if matches!(*particle, "بن" | "آل" | "ابن") => {
            Split::new(first, &format!("{particle} {last}"))
        }
        _ => Split::whole(&words.join(" ")),
    })
}

/// Given name first: where the family name begins is said by its particle, or it is the last word.
fn by_order(words: &[&str], hints: &Hints) -> Split {
    let mut end = words.len();
    while end > 1 && words::is_generation(words[end - 1]) {
        end -= 1;
    }
    let names = &words[..end];
    if names.len() < 2 || words::is_particle(names[0]) && names[0].starts_with(char::is_lowercase) {
        return Split::whole(&words.join(" "));
    }
    let surnames = if hints.has_one_of(TWO_SURNAMES, "es") && names.len() >= 3 {
        let particle = names[1..]
            .iter()
            .position(|word| words::is_particle(word))
            .map(|index| names.len() - 1 - index);
        particle.unwrap_or(0).max(2).min(names.len() - 1)
    } else {
        match surname_words(names) {
            Some(count) => count,
            None => return Split::whole(&words.join(" ")),
        }
    };
    let (given, family) = words.split_at(names.len() - surnames);
    Split::new(&given.join(" "), &family.join(" "))
}

/// How many words at the end are the family name, by `human_name`, which knows particles and
/// conjunctions of many languages.
///
/// Only the count is taken: its words come decomposed, in its own case (`von Und zu`) and without
/// what it takes for titles. `None` where the count does not fit our words.
fn surname_words(names: &[&str]) -> Option<usize> {
    let parsed = human_name::Name::parse(&names.join(" "))?;
    let count = parsed.surnames().len();
    let family = names.get(names.len().checked_sub(count)?..)?;
    let same =
        count < names.len() && fold::letters(&family.concat()) == fold::letters(parsed.surname());
    same.then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::normalise::Country;

    fn check_with(country: &str, name: &str, first: &str, last: &str) {
        let hints = Hints {
            country: Country::from_code(country),
            language: None,
        };
        assert_eq!(split(name, &hints), Split::new(first, last), "{name}");
    }

    fn check(name: &str, first: &str, last: &str) {
        check_with("", name, first, last);
    }

    #[test]
    fn names_in_given_first_order() {
        for (name, first, last) in [
            ("Anna Miller", "Anna", "Miller"),
            ("Anna Maria Miller", "Anna Maria", "Miller"),
            ("Ludwig van Beethoven", "Ludwig", "van Beethoven"),
            ("Ursula von der Leyen", "Ursula", "von der Leyen"),
            (
                "Karl-Theodor von und zu Guttenberg",
                "Karl-Theodor",
                "von und zu Guttenberg",
            ),
            ("Juan de la Cruz", "Juan", "de la Cruz"),
            ("J. R. R. Tolkien", "J. R. R.", "Tolkien"),
            ("Jürgen Müller", "Jürgen", "Müller"),
            ("José Ortega y Gasset", "José", "Ortega y Gasset"),
            ("John Miller Jr.", "John", "Miller Jr."),
            ("John Miller, Jr.", "John", "Miller, Jr."),
            ("Иван Петров", "Иван", "Петров"),
            ("Иван Иванович Петров", "Иван Иванович", "Петров"),
            ("Mehmet Yıldız", "Mehmet", "Yıldız"),
            ("anna miller", "anna", "miller"),
            ("ANNA MILLER", "ANNA", "MILLER"),
            ("Thảo Nguyễn", "Thảo", "Nguyễn"),
        ] {
            check(name, first, last);
        }
    }

    #[test]
    fn names_in_family_first_order() {
        for (name, first, last) in [
            ("山田 太郎", "太郎", "山田"),
            ("김 민준", "민준", "김"),
            ("김민준", "민준", "김"),
            ("남궁민수", "민수", "남궁"),
            ("李小龙", "小龙", "李"),
            ("欧阳娜娜", "娜娜", "欧阳"),
            ("Nguyễn Văn An", "Văn An", "Nguyễn"),
            ("Park Geun-hye", "Geun-hye", "Park"),
            ("Петров Иван Иванович", "Иван Иванович", "Петров"),
            ("Miller, Anna", "Anna", "Miller"),
            ("DUPONT Jean", "Jean", "DUPONT"),
            ("Jean DUPONT", "Jean", "DUPONT"),
            ("Charles de GAULLE", "Charles", "de GAULLE"),
            ("ジョン・スミス", "ジョン", "スミス"),
        ] {
            check(name, first, last);
        }
        check_with("HU", "Nagy László", "László", "Nagy");
        check_with("HU", "László Nagy", "László", "Nagy");
        check_with("ES", "Gabriel García Márquez", "Gabriel", "García Márquez");
        check_with(
            "ES",
            "María del Carmen García López",
            "María",
            "del Carmen García López",
        );
        check_with("BR", "João Carlos Silva", "João Carlos", "Silva");
    }

    #[test]
    fn a_name_that_no_rule_is_sure_of_stays_whole() {
        for name in [
            "Madonna",
            "山田太郎",
            "たなか",
            "van der Berg",
            "عبد الله",
            "محمد علي حسن كريم",
            "Acme, Inc, Ltd",
        ] {
            check(name, "", name);
        }
        check_with("JP", "林太郎", "", "林太郎");
        check("محمد سلمان", "محمد", "سلمان");
        check("محمد بن سلمان", "محمد", "بن سلمان");
    }
}
