//! Every connector that polls, against a stand-in of its vendor made of its own manifest and samples:
//! a thousand people, pages, ties, faults, tokens that end, and a process that is killed in the
//! middle of pages. Nobody is lost, and nobody is two leads.

mod dice;
mod faults;
mod http;
mod json;
mod lists;
mod people;
mod reconciled;
mod site;
mod stand_in;

use std::collections::BTreeSet;

use leadstream::connector::Catalog;
use serde_json::Value;

use dice::Dice;
use site::{Crash, FIRST_CAME, Site};
use stand_in::PEOPLE;

/// The most pages between two crashes.
const APART: u64 = 6;

/// The most steps of a crash after a page was given: it is read, compared, stored meanwhile.
const DEEP: u64 = 16;

const MOST_CRASHES: u32 = 100;

async fn walks(connector: &str) {
    let site = Site::of(connector).await;
    let without = site.vendor.settle(site.source(), FIRST_CAME);
    let seed = connector.bytes().fold(5, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    site.vendor.state.lock().dice = Some(Dice(seed));
    let mut dice = Dice(seed.wrapping_add(1));
    let people = site.vendor.people();
    assert_eq!(
        people.len(),
        PEOPLE,
        "{connector}: {without:?} have no lead in their samples"
    );
    let emails: BTreeSet<String> = people.iter().map(|person| person.email.clone()).collect();

    let mut crashes = 0;
    loop {
        let node = site.start().await;
        // Or what was read before the crash still waits.
        if crashes % 2 == 0 {
            node.process().await;
        }
        let crash = Crash {
            pages: site.vendor.state.lock().pages
                + 1
                + dice.roll(APART + 2 * u64::from(crashes)) * u64::from(crashes > 0),
            steps: if crashes == 0 {
                2
            } else {
                dice.roll(DEEP) as u32
            },
        };
        let is_done = node.round(&site, Some(crash)).await.is_some();
        node.die().await;
        if is_done {
            break;
        }
        crashes += 1;
        assert!(crashes < MOST_CRASHES, "{connector} makes no headway");
    }
    assert!(crashes > 0, "{connector}: there were moments to crash at");

    let node = site.start().await;
    node.process().await;
    // The next round finds nothing that is not known.
    let tally = node.round(&site, None).await.unwrap();
    assert_eq!(tally.new, 0, "{connector}: {tally:?}");
    node.process().await;
    node.balanced().await;
    let came = node
        .came_in(|body| email_in(body).unwrap_or_default())
        .await;
    node.die().await;

    let found: BTreeSet<String> = came.keys().cloned().collect();
    let lost: Vec<&String> = emails.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "{connector}: {} are lost: {lost:?}",
        lost.len()
    );
    let leads = leads(&site);
    assert_eq!(leads.len(), PEOPLE, "{connector}: leads");
    let known: BTreeSet<String> = leads.into_iter().collect();
    assert_eq!(known, emails, "{connector}: leads");
    let repeats = came.values().sum::<usize>() - came.len();
    assert_eq!(
        site.count("SELECT COUNT(*) FROM submission WHERE outcome IS NULL"),
        PEOPLE,
        "{connector}: to be sent"
    );
    assert_eq!(
        site.count("SELECT COUNT(*) FROM submission WHERE outcome = 'merged'"),
        repeats,
        "{connector}: repeats"
    );
    assert_eq!(
        site.count("SELECT COUNT(*) FROM vendor_record"),
        PEOPLE,
        "{connector}: records"
    );
    let state = site.vendor.state.lock();
    assert_eq!(
        state.strange,
        Vec::<String>::new(),
        "{connector}: asked for what the samples do not answer"
    );
    if let Some(tokens) = &state.tokens {
        assert_eq!(
            tokens.refused, 0,
            "{connector}: a refresh token was used twice"
        );
    }
    let met: Vec<&str> = state.faults.keys().copied().collect();
    for fault in faults::Fault::each(state.tokens.is_some()) {
        assert!(met.contains(&fault.name()), "{connector}: {met:?}");
    }
    if faults::knows_expiry(Catalog::embedded().get(connector).unwrap()) {
        assert!(met.contains(&faults::EXPIRED), "{connector}: {met:?}");
    }
}

/// The address of one of ours in a record.
fn email_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.ends_with("@walk.example").then(|| text.clone()),
        Value::Array(items) => items.iter().find_map(email_in),
        Value::Object(members) => members.values().find_map(email_in),
        _ => None,
    }
}

/// The addresses of all leads.
fn leads(site: &Site) -> Vec<String> {
    let database = site.database();
    let mut records = database.prepare("SELECT record FROM lead").unwrap();
    let records = records
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let address = |record: String| {
        let record: Value = serde_json::from_str(&record).unwrap();
        email_in(&record).unwrap_or_else(|| panic!("{record}"))
    };
    records.map(|record| address(record.unwrap())).collect()
}

impl Site {
    fn count(&self, query: &str) -> usize {
        let count: i64 = self
            .database()
            .query_row(query, [], |row| row.get(0))
            .unwrap();
        count as usize
    }
}

#[test]
fn no_connector_that_polls_is_left_out() {
    let polling: Vec<String> = Catalog::embedded()
        .all()
        .filter(|manifest| !manifest.poll.is_empty())
        // Its addresses are known by the titles of questions alone: no mould is cut of that.
        .filter(|manifest| manifest.name != "tally")
        .map(|manifest| manifest.name.clone())
        .collect();
    assert_eq!(polling, WALKED);
}

macro_rules! walked {
    ($($test:ident: $connector:literal,)*) => {
        const WALKED: &[&str] = &[$($connector),*];
        $(
            #[tokio::test]
            async fn $test() {
                walks($connector).await;
            }
        )*
    };
}

walked! {
    activecampaign_loses_and_doubles_nobody: "activecampaign",
    calendly_loses_and_doubles_nobody: "calendly",
    eventbrite_loses_and_doubles_nobody: "eventbrite",
    google_ads_loses_and_doubles_nobody: "google-ads",
    google_forms_loses_and_doubles_nobody: "google-forms",
    google_sheets_loses_and_doubles_nobody: "google-sheets",
    hubspot_loses_and_doubles_nobody: "hubspot",
    linkedin_loses_and_doubles_nobody: "linkedin",
    mailchimp_loses_and_doubles_nobody: "mailchimp",
    meta_loses_and_doubles_nobody: "meta",
    typeform_loses_and_doubles_nobody: "typeform",
    webflow_loses_and_doubles_nobody: "webflow",
    zoom_loses_and_doubles_nobody: "zoom",
}
