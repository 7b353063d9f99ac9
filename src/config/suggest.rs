/// The name among `names` that `wrong` was most likely meant to be, if any is near enough.
///
/// Near enough: about one letter in three may differ; swapped letters count as one.
pub(super) fn closest<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Longer texts are no misspelt names, and comparing costs the product of the lengths.
    const LONGEST: usize = 80;
    let folded = fold(wrong);
    let letters = folded.chars().count();
    if letters < 2 || letters > LONGEST {
        return None;
    }
    let most = (letters / 3).max(1);
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(&folded, &fold(name)), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, name)| (*distance, name.len()))
        .map(|(_, name)| name)
}

/// Case and the kind of separator do not count: `Base-URL` is near `base_url`.
fn fold(name: &str) -> String {
    name.to_lowercase().replace(['-', ' ', '.'], "_")
}

/// `` `a`, `b` or `c` ``
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let names = ["connector", "campaign", "base_url", "email", "auth"];
        for (wrong, expect) in [
            ("conector", Some("connector")),
            ("Campaign", Some("campaign")),
            ("base-url", Some("base_url")),
            ("emial", Some("email")),
            ("plan", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(closest(wrong, names), expect, "{wrong}");
        }
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        assert_eq!(list([]), "");
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
