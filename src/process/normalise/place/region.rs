use std::collections::HashMap;
use std::sync::LazyLock;

use super::super::fold;
use super::Country;

/// A state or province of a country whose people write its code in place of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The country's alpha-2 code.
    pub country: &'static str,
    /// ISO 3166-2 without the country.
    pub code: &'static str,
    /// The name to write, as Salesforce takes it by default.
    pub name: &'static str,
}

struct Entry {
    region: Region,
    /// The text was the code, which means something else elsewhere.
    is_code: bool,
}

/// All regions that a folded text can mean.
static TABLE: LazyLock<HashMap<String, Vec<Entry>>> = LazyLock::new(|| {
    let mut table: HashMap<String, Vec<Entry>> = HashMap::new();
    for line in include_str!("regions.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let mut columns = line.split('|');
        let (Some(country), Some(code), Some(name)) =
            (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let region = Region {
            country,
            code,
            name,
        };
        for text in [code, name].into_iter().chain(columns) {
            let entries = table.entry(fold::letters(text)).or_default();
            if entries.iter().all(|entry| entry.region != region) {
                entries.push(Entry {
                    region,
                    is_code: text == code,
                });
            }
        }
    }
    table
});

impl Region {
    /// The region that the text names in `country`.
    pub fn read(text: &str, country: Country) -> Option<Self> {
        TABLE
            .get(&fold::letters(text))?
            .iter()
            .map(|entry| entry.region)
            .find(|region| region.country == country.code())
    }

    /// The region that the text names whatever the country: a full name that no other region and
    /// no country has. `CA`, `IN` and `Georgia` are none; nor are codes.
    pub fn read_anywhere(text: &str) -> Option<Self> {
        match TABLE.get(&fold::letters(text))?.as_slice() {
            [entry] if !entry.is_code && Country::read(text).is_none() => Some(entry.region),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_read_by_country() {
        for (text, country, expect) in [
            ("CA", "US", Some("California")),
            ("Calif.", "US", Some("California")),
            ("california", "US", Some("California")),
            ("Georgia", "US", Some("Georgia")),
            ("DE", "US", Some("Delaware")),
            ("QC", "CA", Some("Quebec")),
            ("Québec", "CA", Some("Quebec")),
            ("WA", "US", Some("Washington")),
            ("WA", "AU", Some("Western Australia")),
            ("CA", "DE", None),
            ("Bayern", "DE", None),
        ] {
            let country = Country::from_code(country).unwrap();
            assert_eq!(
                Region::read(text, country).map(|region| region.name),
                expect,
                "{text}"
            );
        }
    }

    #[test]
    fn without_a_country_only_unmistakable_names_are_read() {
        for (text, expect) in [
            ("Texas", Some("TX")),
            ("Ontario", Some("ON")),
            ("CA", None),
            ("Georgia", None),
            ("TX", None),
            ("Bayern", None),
        ] {
            assert_eq!(
                Region::read_anywhere(text).map(|region| region.code),
                expect,
                "{text}"
            );
        }
    }
}
