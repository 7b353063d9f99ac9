//! Where the person came from: UTM parameters and click ids. Values keep their case: a click id in
//! another case is another click.

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use super::alias::fold;
use super::form::Form;
use super::name::Said;
use crate::model::EventMeta;
use crate::model::field::ATTRIBUTION;

/// The most characters of a value that are kept.
const MAX_CHARS: usize = 500;

/// Folded names of hidden fields that hold the address of the page with the form.
const PAGE_URLS: &[&str] = &[
    "pageurl",
    "sourceurl",
    "pageuri",
    "pagelocation",
    "currenturl",
    "formurl",
    "submissionurl",
    "page",
];

/// Folded names of hidden fields that hold the address of the first page of the visit.
const LANDING_PAGES: &[&str] = &[
    "landingpage",
    "landingpageurl",
    "landingurl",
    "firstpage",
    "entrypage",
];

/// Folded names of hidden fields that hold the address of the page before the visit.
const REFERRERS: &[&str] = &[
    "referrer",
    "referer",
    "httpreferer",
    "httpreferrer",
    "documentreferrer",
];

/// What is known of one submission's origin.
#[derive(Debug, Default)]
pub struct Attribution {
    /// By the names of `model::field::ATTRIBUTION`; also `_kx` (Klaviyo) and `hsa_…` (HubSpot Ads).
    pub values: BTreeMap<String, String>,
    /// The form's fields that were used up, by their index.
    pub used: Vec<usize>,
}

/// Reads hidden fields; what they lack, from the query of the form's address, the page's address if
/// the page sends it, and last the `Referer`, of which browsers send only the origin across sites.
///
/// UTM parameters describe one visit together: they are taken from the first place that has any,
/// never mixed. Each click id stands for itself.
///
/// `said` is what the names of the form's fields say.
pub fn attribution(form: &Form, said: &[Arc<Said>], meta: &EventMeta) -> Attribution {
    let mut found = Attribution::default();
    let mut page: Option<Page<'_>> = None;
    let mut landing = None;
    for (index, (field, said)) in form.fields.iter().zip(said).enumerate() {
        let Some(value) = field.first() else {
            continue;
        };
        let folded = said.last_folded.as_str();
        if let Some(name) = &said.parameter {
            found.add(name.clone(), value);
        } else if REFERRERS.contains(&folded) {
            found.add("referrer".to_owned(), value);
        } else if LANDING_PAGES.contains(&folded) && landing.is_none() {
            landing = Some(value);
        } else {
            if let Some(rank) = page_rank(folded, value, meta)
                && page.as_ref().is_none_or(|known| rank < known.rank)
            {
                page = Some(Page {
                    rank,
                    index,
                    address: value,
                });
            }
            continue;
        }
        found.used.push(index);
    }
    // Beside a landing page, the page with the form stays a field of its own.
    if let (Some(page), None) = (&page, landing) {
        found.used.push(page.index);
    }
    let page = page.map(|page| page.address);
    let referer = meta.referer.as_deref();
    if let Some(query) = &meta.query {
        found.add_from_query(query);
    }
    for address in [page, landing, referer].into_iter().flatten() {
        if let Some(query) = Url::parse(address).ok().as_ref().and_then(Url::query) {
            found.add_from_query(query);
        }
    }
    let referer = referer.filter(|address| is_more_than_origin(address));
    if let Some(address) = landing.or(page).or(referer) {
        found.add("landing_page".to_owned(), address);
    }
    found
}

/// A field that holds the address of the page with the form.
struct Page<'f> {
    rank: usize,
    index: usize,
    address: &'f str,
}

impl Attribution {
    /// Adds a value that is not blank, unless there is one of that name.
    pub fn add(&mut self, name: String, value: &str) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let value = if is_plain && value.len() <= MAX_CHARS {
            value.to_owned()
        } else {
            let kept = value.chars().filter(|c| !c.is_control());
            kept.take(MAX_CHARS).collect()
        };
        self.values.entry(name).or_insert(value);
    }

    /// Adds what an address's query holds. Its UTM parameters only if there are none yet.
    pub fn add_from_query(&mut self, query: &str) {
        let has_utm = self.values.keys().any(|name| name.starts_with("utm_"));
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(name) = parameter(&name)
                && !(has_utm && name.starts_with("utm_"))
            {
                self.add(name, &value);
            }
        }
    }
}

/// The usual name of an attribution parameter, for the name that a form or an address has for it.
pub fn parameter(name: &str) -> Option<String> {
    if name == "_kx" {
        return Some(name.to_owned());
    }
    if name.len() > 4 && name.is_char_boundary(4) && name[..4].eq_ignore_ascii_case("hsa_") {
        return Some(name.to_ascii_lowercase());
    }
    let folded = fold(name);
    ATTRIBUTION
        .iter()
        // These two have names of their own, below, and are no parameters.
        .filter(|known| !matches!(**known, "referrer" | "landing_page"))
        .find(|known| is_folded(known, &folded))
        .map(|known| (*known).to_owned())
}

/// Whether `folded` is what folding `known` gives.
fn is_folded(known: &str, folded: &str) -> bool {
    known
        .bytes()
        .filter(|byte| *byte != b'_')
        .map(|byte| byte.to_ascii_lowercase())
        .eq(folded.bytes())
}

/// How surely a field holds the address of the page with the form, 0 being the surest; `None` if it
/// does not. `url` is a company's website in some forms and the page in others: it is the page if it
/// is on the page's own host.
fn page_rank(folded: &str, value: &str, meta: &EventMeta) -> Option<usize> {
    let rank = PAGE_URLS.iter().position(|known| *known == folded);
    if rank.is_none() && !matches!(folded, "url" | "location") {
        return None;
    }
    let address = Url::parse(value).ok()?;
    if !matches!(address.scheme(), "http" | "https") {
        return None;
    }
    let on_own_host = || {
        [&meta.origin, &meta.referer]
            .into_iter()
            .flatten()
            .filter_map(|page| Url::parse(page).ok())
            .any(|page| page.host_str() == address.host_str())
    };
    rank.or_else(|| on_own_host().then_some(PAGE_URLS.len()))
}

/// Whether an address tells the page. Across sites browsers send only `https://www.example.com/`.
fn is_more_than_origin(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.path() != "/" || url.query().is_some())
}

#[cfg(test)]
mod tests {
    use super::super::name::said_by_names;
    use super::*;

    fn check(fields: &[(&str, &str)], meta: &EventMeta, expect: &[(&str, &str)]) {
        let mut form = Form::default();
        for (name, value) in fields {
            form.add((*name).to_owned(), (*value).to_owned());
        }
        let expect: BTreeMap<String, String> = expect
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let found = attribution(&form, &said_by_names(&form), meta);
        assert_eq!(found.values, expect, "{fields:?}");
    }

    #[test]
    fn hidden_fields_keep_their_case_and_get_their_usual_names() {
        check(
            &[
                ("UTM_Source", "Google"),
                ("gclid", "Cj0KCQ-aBc"),
                ("sccid", "AbC"),
                ("_fbc", "fb.1.1700000000000.AbC"),
                ("_fbp", "fb.1.1700000000000.123"),
                ("first_utm_source", "bing"),
                ("hsa_cam", "77"),
                ("_kx", "Kx"),
                ("referrer", "https://news.example/a?B=c"),
                ("utm_medium", " "),
            ],
            &EventMeta::default(),
            &[
                ("utm_source", "Google"),
                ("gclid", "Cj0KCQ-aBc"),
                ("ScCid", "AbC"),
                ("fbc", "fb.1.1700000000000.AbC"),
                ("fbp", "fb.1.1700000000000.123"),
                ("first_utm_source", "bing"),
                ("hsa_cam", "77"),
                ("_kx", "Kx"),
                ("referrer", "https://news.example/a?B=c"),
            ],
        );
    }

    #[test]
    fn what_fields_lack_comes_from_the_page_address_but_utm_is_never_mixed() {
        let page = "https://www.example.com/p?utm_source=ads&utm_term=crm&gclid=G1&msclkid=M1";
        check(
            &[("page_url", page), ("gclid", "G0")],
            &EventMeta::default(),
            &[
                ("utm_source", "ads"),
                ("utm_term", "crm"),
                ("gclid", "G0"),
                ("msclkid", "M1"),
                ("landing_page", page),
            ],
        );
        check(
            &[
                ("page_url", page),
                ("utm_source", "mail"),
                ("landing_page", "https://www.example.com/"),
            ],
            &EventMeta::default(),
            &[
                ("utm_source", "mail"),
                ("gclid", "G1"),
                ("msclkid", "M1"),
                ("landing_page", "https://www.example.com/"),
            ],
        );
    }

    #[test]
    fn the_referer_is_asked_last_and_the_forms_own_address_before_it() {
        let meta = EventMeta {
            referer: Some("https://www.example.com/p?utm_source=a%20b&li_fat_id=L1".to_owned()),
            query: Some("utm_campaign=Spring".to_owned()),
            ..EventMeta::default()
        };
        check(
            &[],
            &meta,
            &[
                ("utm_campaign", "Spring"),
                ("li_fat_id", "L1"),
                (
                    "landing_page",
                    "https://www.example.com/p?utm_source=a%20b&li_fat_id=L1",
                ),
            ],
        );
    }

    #[test]
    fn url_is_the_page_only_on_the_pages_own_host() {
        let meta = EventMeta {
            origin: Some("https://www.example.com".to_owned()),
            ..EventMeta::default()
        };
        check(&[("url", "https://acme.example/")], &meta, &[]);
        check(
            &[("url", "https://www.example.com/p")],
            &meta,
            &[("landing_page", "https://www.example.com/p")],
        );
        check(&[("page_url", "javascript:alert(1)")], &meta, &[]);
    }

    #[test]
    fn a_json_form_may_nest_them_and_a_bare_origin_is_no_page() {
        let meta = EventMeta {
            referer: Some("https://www.example.com/".to_owned()),
            ..EventMeta::default()
        };
        check(&[("a", "1")], &meta, &[]);
        check(
            &[
                ("tracking.gclid", "G1"),
                ("tracking.page", "https://www.example.com/other"),
                ("tracking.page_url", "https://www.example.com/p"),
            ],
            &meta,
            &[
                ("gclid", "G1"),
                ("landing_page", "https://www.example.com/p"),
            ],
        );
    }

    #[test]
    fn long_values_are_cut() {
        let mut form = Form::default();
        form.add("utm_content".to_owned(), "ä".repeat(600));
        let said = said_by_names(&form);
        let values = attribution(&form, &said, &EventMeta::default()).values;
        assert_eq!(values["utm_content"].chars().count(), MAX_CHARS);
    }
}
