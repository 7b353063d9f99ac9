//! What an e-mail address says about the mailbox behind it: a role's, free, thrown away, misspelt,
//! or nobody's.

use std::collections::HashSet;
use std::sync::LazyLock;

/// What an address says about the mailbox behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// A function, not a person: `info@`, `sales@`.
    pub role: bool,
    /// A free mailbox: its domain says nothing about a company.
    pub free_mail: bool,
    /// A throw-away mailbox.
    pub disposable: bool,
    /// The domain that was probably meant. Never applied: it would send a stranger someone's data.
    pub suggestion: Option<String>,
}

const ROLES: &[&str] = &[
    "abuse",
    "accounts",
    "admin",
    "billing",
    "buchhaltung",
    "compras",
    "contact",
    "contacto",
    "einkauf",
    "enquiries",
    "hello",
    "help",
    "hr",
    "info",
    "invoice",
    "it",
    "jobs",
    "kontakt",
    "legal",
    "mail",
    "marketing",
    "newsletter",
    "noreply",
    "office",
    "orders",
    "postmaster",
    "press",
    "privacy",
    "reception",
    "sales",
    "sekretariat",
    "service",
    "shop",
    "support",
    "team",
    "ventas",
    "vertrieb",
    "webmaster",
];

/// Local parts of addresses that nobody has, where the domain's first label says the same or is
/// about mail.
const NOBODY: &[&str] = &[
    "a", "aa", "aaa", "abc", "asdf", "email", "fake", "mail", "me", "na", "name", "no", "nobody",
    "none", "nope", "null", "qwerty", "test", "user", "x", "xx", "xxx", "xyz",
];

/// Local parts of addresses that nobody has, whatever the domain.
const NOBODY_ANYWHERE: &[&str] = &[
    "donotemail",
    "keineemail",
    "no-email",
    "noemail",
    "nomail",
    "noone",
    "notprovided",
];

static DOMAINS: LazyLock<Domains> = LazyLock::new(|| {
    let mut domains = Domains {
        free: HashSet::new(),
        disposable: HashSet::new(),
    };
    for line in include_str!("mail_domains.txt").lines() {
        match line.split_once(' ') {
            Some(("free", domain)) => domains.free.insert(domain),
            Some(("disposable", domain)) => domains.disposable.insert(domain),
            _ => false, // the comment at the top
        };
    }
    domains
});

struct Domains {
    free: HashSet<&'static str>,
    disposable: HashSet<&'static str>,
}

/// Domains that are misspelt often enough to ask. Long ones: at one letter's distance from a short
/// one there is always another real one.
const FREQUENT: &[&str] = &[
    "gmail.com",
    "googlemail.com",
    "hotmail.com",
    "outlook.com",
    "yahoo.com",
    "icloud.com",
    "t-online.de",
    "freenet.de",
    "orange.fr",
    "wanadoo.fr",
    "libero.it",
    "protonmail.com",
];

/// Misspellings of `com` that are no top-level domain.
const MISSPELT_COM: &[&str] = &[
    "cmo", "con", "ocm", "comm", "cim", "vom", "xom", "coom", "clm",
];

/// What the normalised `address` says about the mailbox behind it.
pub fn flags(address: &str) -> Flags {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let free_mail = DOMAINS.free.contains(domain);
    Flags {
        role: is_role(local),
        free_mail,
        disposable: DOMAINS.disposable.contains(domain),
        suggestion: if free_mail { None } else { suggest(domain) },
    }
}

/// Whether the normalised `address` is a function's rather than a person's.
pub fn is_role_address(address: &str) -> bool {
    is_role(address.rsplit_once('@').map_or(address, |(local, _)| local))
}

/// Whether the local part names a function rather than a person.
fn is_role(local: &str) -> bool {
    let base = local.split('+').next().unwrap_or(local);
    let mut word = base.to_owned();
    word.retain(|c| !matches!(c, '-' | '_' | '.'));
    ROLES.contains(&word.as_str())
}

/// Whether the address was made up to fill a field: `test@test.com`, `no@email.com`, `a@a.com`.
pub(super) fn is_placeholder(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let site = domain.split('.').next().unwrap_or(domain);
    NOBODY_ANYWHERE.contains(&local)
        || (NOBODY.contains(&local)
            && (site == local
                || NOBODY.contains(&site)
                || matches!(site, "email" | "mail" | "noemail")))
}

fn suggest(domain: &str) -> Option<String> {
    let (rest, suffix) = domain.rsplit_once('.')?;
    if MISSPELT_COM.contains(&suffix) {
        return Some(format!("{rest}.com"));
    }
    FREQUENT
        .iter()
        .find(|frequent| is_one_slip(frequent, domain))
        .map(|frequent| (*frequent).to_owned())
}

/// Whether one letter was left out, added or mistaken, or two that stand together were swapped:
/// an optimal string alignment distance of 1, without the table that larger ones need.
fn is_one_slip(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    if one.len().abs_diff(other.len()) > 1 {
        return false;
    }
    while let ([first, one_rest @ ..], [same, other_rest @ ..]) = (one, other)
        && first == same
    {
        (one, other) = (one_rest, other_rest);
    }
    while let ([one_rest @ .., last], [other_rest @ .., same]) = (one, other)
        && last == same
    {
        (one, other) = (one_rest, other_rest);
    }
    match (one, other) {
        ([_], [] | [_]) | ([], [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mailboxes_are_told_apart() {
        let flags_of = |address: &str| flags(address);
        assert!(flags_of("info@acme.example").role);
        assert!(flags_of("no-reply@acme.example").role);
        assert!(!flags_of("info7@acme.example").role);
        assert!(!flags_of("anna@acme.example").role);
        assert!(flags_of("anna@gmail.com").free_mail);
        assert!(flags_of("anna@web.de").free_mail);
        assert!(!flags_of("anna@acme.example").free_mail);
        assert!(flags_of("anna@mailinator.com").disposable);
    }

    #[test]
    fn misspelt_domains_are_suggested_and_real_ones_left() {
        for (domain, expect) in [
            ("gmial.com", Some("gmail.com")),
            ("gmal.com", Some("gmail.com")),
            ("gnail.com", Some("gmail.com")),
            ("hotmial.com", Some("hotmail.com")),
            ("yaho.com", Some("yahoo.com")),
            ("outlok.com", Some("outlook.com")),
            ("iclod.com", Some("icloud.com")),
            ("acme.con", Some("acme.com")),
            ("gmail.com", None),
            ("gmx.com", None),
            ("mail.com", None),
            ("ymail.com", None),
            ("acme.example", None),
        ] {
            assert_eq!(
                flags(&format!("a@{domain}")).suggestion.as_deref(),
                expect,
                "{domain}"
            );
        }
    }

    #[test]
    fn made_up_addresses_are_placeholders() {
        for address in [
            "test@test.com",
            "no@email.com",
            "noemail@acme.example",
            "a@a.com",
            "none@none.com",
            "asdf@asdf.com",
            "test@test.de",
        ] {
            assert!(is_placeholder(address), "{address}");
        }
        for address in [
            "test@acme.example",
            "anna@test.com",
            "no@acme.example",
            "a@b.co",
        ] {
            assert!(!is_placeholder(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn one_slip_is_a_distance_of_one(one in "[abc.]{0,6}", other in "[abc.]{0,6}") {
            let distance = strsim::osa_distance(&one, &other);
            prop_assert_eq!(is_one_slip(&one, &other), distance == 1);
        }
    }
}
