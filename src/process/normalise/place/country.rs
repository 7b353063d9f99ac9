use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use super::super::fold;

/// A country of ISO 3166-1. Cheap to copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country(&'static Row);

#[derive(PartialEq, Eq)]
struct Row {
    alpha2: &'static str,
    name: &'static str,
}

struct Table {
    by_code: HashMap<&'static str, Country>,
    /// By [`fold::letters`] of each name and code.
    by_name: HashMap<String, Country>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table {
        by_code: HashMap::new(),
        by_name: HashMap::new(),
    };
    for line in include_str!("countries.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let mut columns = line.split('|');
        let (Some(alpha2), Some(alpha3), Some(name)) =
            (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        // Lives as long as the table, which is never dropped.
        let country = Country(Box::leak(Box::new(Row { alpha2, name })));
        table.by_code.insert(alpha2, country);
        for text in [alpha2, alpha3, name].into_iter().chain(columns) {
            table.by_name.insert(fold::letters(text), country);
        }
    }
    table
});

impl Country {
    /// The country with this ISO 3166-1 alpha-2 code, in any case.
    pub fn from_code(code: &str) -> Option<Self> {
        let mut upper = [0; 2];
        if code.len() != upper.len() {
            return None;
        }
        upper.copy_from_slice(code.as_bytes());
        upper.make_ascii_uppercase();
        TABLE
            .by_code
            .get(std::str::from_utf8(&upper).ok()?)
            .copied()
    }

    /// The country that the text names: a code, or a name in one of the languages of
    /// `countries.txt`. Case, accents, spaces and punctuation do not matter.
    pub fn read(text: &str) -> Option<Self> {
        TABLE.by_name.get(&fold::letters(text)).copied()
    }

    /// ISO 3166-1 alpha-2, upper case.
    pub fn code(self) -> &'static str {
        self.0.alpha2
    }

    /// The English short name, as Salesforce takes it by default.
    pub fn name(self) -> &'static str {
        self.0.name
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.alpha2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(Country::read(text).map(Country::code), expect, "{text}");
    }

    #[test]
    fn countries_are_read_in_the_languages_of_forms() {
        for (text, expect) in [
            ("DE", Some("DE")),
            ("deu", Some("DE")),
            ("Germany", Some("DE")),
            ("Deutschland", Some("DE")),
            ("ALLEMAGNE", Some("DE")),
            ("Alemania", Some("DE")),
            ("Germania", Some("DE")),
            ("Duitsland", Some("DE")),
            ("Alemanha", Some("DE")),
            ("Niemcy", Some("DE")),
            ("Österreich", Some("AT")),
            ("Oesterreich", Some("AT")),
            ("U.S.A.", Some("US")),
            ("United States of America", Some("US")),
            ("états-unis", Some("US")),
            ("EE. UU.", Some("US")),
            ("UK", Some("GB")),
            ("England", Some("GB")),
            ("Holland", Some("NL")),
            ("South Korea", Some("KR")),
            ("Korea", Some("KR")),
            ("대한민국", Some("KR")),
            ("日本", Some("JP")),
            ("中国", Some("CN")),
            ("Россия", Some("RU")),
            ("Україна", Some("UA")),
            ("UAE", Some("AE")),
            ("Czech Republic", Some("CZ")),
            ("Georgia", Some("GE")),
            ("Türkiye", Some("TR")),
            ("Côte d’Ivoire", Some("CI")),
            ("Atlantis", None),
            ("", None),
            ("-", None),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn names_to_write_are_salesforces() {
        for (code, name) in [
            ("us", "United States"),
            ("GB", "United Kingdom"),
            ("KR", "Korea, Republic of"),
            ("VN", "Viet Nam"),
        ] {
            assert_eq!(Country::from_code(code).map(Country::name), Some(name));
        }
        assert_eq!(Country::from_code("ä"), None);
        assert_eq!(Country::from_code("XX"), None);
    }

    #[test]
    fn the_table_is_all_of_iso_3166_and_no_name_means_two_countries() {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for line in include_str!("countries.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
        {
            let columns: Vec<&str> = line.split('|').collect();
            let iso = rust_iso3166::from_alpha2(columns[0]).expect(line);
            assert_eq!(iso.alpha3, columns[1]);
            for text in &columns {
                let other = seen.insert(fold::letters(text), columns[0]);
                assert!(other.is_none_or(|code| code == columns[0]), "{text}");
            }
            assert_eq!(
                Country::read(columns[2]).map(Country::code),
                Some(columns[0])
            );
        }
        assert_eq!(TABLE.by_code.len(), rust_iso3166::ALL.len());
    }
}
