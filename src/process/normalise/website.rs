//! Websites: with a scheme, the host lower case, the path as typed.

use url::Url;

use super::draft::Draft;

/// Normalises `website`. What is no address on the web is kept as typed, save scripts and the like,
/// which nobody should click.
pub(super) fn normalise(draft: &mut Draft) {
    let Some(typed) = draft.take("website") else {
        return;
    };
    if let Some(address) = parse(&typed) {
        draft.set("website", &address);
    } else if has_other_scheme(&typed) {
        draft.note(
            "website.scheme",
            "website",
            "website is no http or https address; left out",
        );
    } else {
        draft.set("website", &typed);
        draft.note(
            "website.invalid",
            "website",
            "website cannot be an address on the web; kept as typed",
        );
    }
}

fn parse(typed: &str) -> Option<String> {
    let typed = typed.trim_end_matches(['.', ',', ';']);
    if typed.contains(char::is_whitespace) {
        return None;
    }
    let with_scheme;
    let text = match typed.split_once("://") {
        Some((scheme, _))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            typed
        }
        Some(_) => return None,
        None => {
            with_scheme = format!("https://{}", typed.trim_start_matches('/'));
            &with_scheme
        }
    };
    let url = Url::parse(text).ok()?;
    let host = url.domain()?;
    let (_, last) = host.rsplit_once('.')?;
    // A user name before the host is an e-mail address or a trick, not a website.
    if last.len() < 2 || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let text = url.as_str();
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    Some(if is_bare {
        text.trim_end_matches('/').to_owned()
    } else {
        text.to_owned()
    })
}

fn has_other_scheme(typed: &str) -> bool {
    typed.split_once(':').is_some_and(|(scheme, rest)| {
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-'))
            && !rest.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expect: Option<&str>) {
        let mut draft = Draft::default();
        draft.set("website", typed);
        normalise(&mut draft);
        assert_eq!(draft.get("website"), expect, "{typed}");
        let once = draft.get("website").map(str::to_owned);
        normalise(&mut draft);
        assert_eq!(draft.get("website"), once.as_deref(), "{typed}, again");
    }

    #[test]
    fn websites_get_a_scheme_and_a_lower_case_host() {
        for (typed, expect) in [
            ("Acme.Example", "https://acme.example"),
            ("www.acme.example/", "https://www.acme.example"),
            (
                "HTTP://ACME.example/Team?a=B",
                "http://acme.example/Team?a=B",
            ),
            ("bücher.example", "https://xn--bcher-kva.example"),
            ("acme.example:8080/x", "https://acme.example:8080/x"),
            ("see our shop", "see our shop"),
            ("acme", "acme"),
            ("anna@acme.example", "anna@acme.example"),
            (
                "https://user:pw@acme.example",
                "https://user:pw@acme.example",
            ),
        ] {
            if typed.starts_with("https://user") {
                check(typed, None);
            } else {
                check(typed, Some(expect));
            }
        }
    }

    #[test]
    fn scripts_are_left_out() {
        check("javascript:alert(1)", None);
        check("ftp://acme.example", None);
    }
}
