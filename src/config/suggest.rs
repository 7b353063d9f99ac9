/// The name among `names` that `wrong` was most likely meant to be, if any is near enough.
///
/// Near enough: one letter in four may differ, swapped letters count as one; or it is a whole part
/// of one name only, as `origins` is of `allowed_origins`.
pub(crate) fn closest<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Longer texts are no misspelt names, and comparing costs the product of the lengths.
    const LONGEST: usize = 80;
    let folded = fold(wrong);
    let letters = folded.chars().count();
    if !(4..=LONGEST).contains(&letters) {
        return names.into_iter().find(|name| fold(name) == folded);
    }
    let names: Vec<&str> = names.into_iter().collect();
    let most = (letters / 4).max(1);
    let near = names
        .iter()
        .map(|name| (strsim::osa_distance(&folded, &fold(name)), *name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, name)| (*distance, name.len()));
    if let Some((_, name)) = near {
        return Some(name);
    }
    let beginning = format!("{folded}_");
    let part = format!("_{folded}_");
    let begins = |name: &&&str| fold(name).starts_with(&beginning);
    let holds = |name: &&&str| format!("_{}_", fold(name)).contains(&part);
    only(names.iter().filter(begins)).or_else(|| only(names.iter().filter(holds)))
}

/// The one that there is; none if there are several.
fn only<'a, 'b: 'a>(mut names: impl Iterator<Item = &'a &'b str>) -> Option<&'b str> {
    match (names.next(), names.next()) {
        (Some(name), None) => Some(name),
        _ => None,
    }
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
        let names = [
            "connector",
            "campaign",
            "base_url",
            "email",
            "auth",
            "utm_id",
            "redirect_url",
            "allowed_redirect_hosts",
            "allowed_origins",
        ];
        for (wrong, expect) in [
            ("conector", Some("connector")),
            ("Campaign", Some("campaign")),
            ("base-url", Some("base_url")),
            ("emial", Some("email")),
            ("plan", None),
            ("base", Some("base_url")),
            ("redirect", Some("redirect_url")),
            ("origins", Some("allowed_origins")),
            ("crm_id", None),
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
