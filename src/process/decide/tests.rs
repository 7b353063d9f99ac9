//! What becomes of submissions that make no lead, over a store of SQLite.

use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;

use super::*;
use crate::config;
use crate::model::{EventId, EventMeta, Extracted, NewEvent};
use crate::process::run::load;
use crate::store::{Access, NewFetch, Store, TimelineLine};

const NOW: Millis = Millis(1_772_359_200_000);

struct Bench {
    store: Arc<Store>,
    rules: Rules,
    events: AtomicI64,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("leadstream.toml");
        let url = format!("sqlite:{}/leads.db", folder.path().display());
        let text = format!(
            "[store]\nurl = \"{url}\"\n[salesforce]\nlogin_url = \"http://127.0.0.1:1\"\n\
             client_id = \"id\"\nclient_secret = {{ env = \"SECRET\" }}\n\
             [sources.demo]\nconnector = \"web-form\"\ncampaign = \"Spring\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = config::load(&file, &|_| Some("secret".to_owned()));
        let config = config.config.unwrap();
        let store = Store::open(&config.store, Access::Daemon).await.unwrap();
        let mapping = Arc::new(Mapping::new(&config.salesforce));
        Self {
            rules: Rules::of(&config, mapping, store.key_secret()),
            store,
            events: AtomicI64::new(1),
            _folder: folder,
        }
    }

    /// Processes an event in which `found` was found.
    async fn process(&self, found: Vec<Extracted>) -> Changes {
        self.process_again(found, false).await
    }

    async fn process_again(&self, found: Vec<Extracted>, replayed: bool) -> Changes {
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let event = Event {
            id: EventId(number),
            received: NewEvent {
                source: SourceName::new("demo"),
                received_at: Millis(NOW.0 + number),
                content_type: String::new(),
                meta: EventMeta::default(),
                body: Bytes::new(),
            },
        };
        let context = &self.rules.sources["demo"].context;
        let people = found
            .into_iter()
            .map(|found| Person::new(&event, found, context, &self.rules))
            .collect();
        let prepared = [Prepared::new(event, replayed, Ok(people))];
        let mut write = self.store.write().await.unwrap();
        let mut known = load(&mut write, &prepared).await.unwrap();
        let mut changes = Changes::default();
        let mut next_id = || self.store.take_ids(NOW, 1).first();
        decide(
            &prepared[0],
            &mut known,
            &self.rules,
            NOW,
            &mut next_id,
            &mut changes,
        );
        changes.leads = known.into_changed_leads();
        let ids = self.store.take_ids(NOW, changes.ids_needed());
        write.apply(&changes, ids, NOW).await.unwrap();
        write.commit().await.unwrap();
        changes
    }

    /// The lead of Anna, whom the vendor knows as `7`.
    async fn anna(&self) -> LeadId {
        let fields = [
            ("email", "anna@acme.example"),
            ("last_name", "Berg"),
            ("title", "Head"),
        ];
        let changes = self.process(vec![found("7", &fields)]).await;
        changes.submissions[0].lead.unwrap()
    }

    async fn timeline(&self, lead: LeadId) -> Vec<TimelineLine> {
        self.store.timeline(lead).await.unwrap()
    }

    async fn is_known(&self, vendor_id: &str) -> Option<i64> {
        let demo = SourceName::new("demo");
        let id = self.store.record_hash(&demo, vendor_id);
        let known = self.store.known_records(&demo, &[id]).await.unwrap();
        known.get(&id).copied()
    }
}

fn found(vendor_id: &str, fields: &[(&str, &str)]) -> Extracted {
    Extracted {
        vendor_id: Some(vendor_id.to_owned()).filter(|id| !id.is_empty()),
        fields: fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Extracted::default()
    }
}

fn opt_out(vendor_id: &str, fields: &[(&str, &str)]) -> Extracted {
    let mut fields = fields.to_vec();
    fields.push(("email_opt_out", "true"));
    Extracted {
        verdict: Verdict::OptOut("unsubscribed".to_owned()),
        ..found(vendor_id, &fields)
    }
}

/// The only submission's end, and why.
fn end(changes: &Changes) -> (Option<End>, &str) {
    let [row] = &*changes.submissions else {
        panic!("{changes:?}");
    };
    (row.outcome, row.reason.as_deref().unwrap_or_default())
}

#[tokio::test]
async fn an_opt_out_changes_only_consent_of_who_is_known_and_is_sent() {
    for by in [
        opt_out("7", &[]),
        opt_out("", &[("email", "Anna@acme.example")]),
        // The vendor knows a newer address than we do.
        opt_out("7", &[("email", "anna@new.example")]),
    ] {
        let bench = Bench::new().await;
        let lead = bench.anna().await;
        let mut by = by;
        for (name, value) in [("title", "CEO"), ("first_name", "Bob"), ("consent", "no")] {
            by.fields.insert(name.to_owned(), value.to_owned());
        }
        by.attribution
            .insert("utm_source".to_owned(), "x".to_owned());
        let changes = bench.process(vec![by]).await;
        assert_eq!(changes.submissions[0].lead, Some(lead));
        assert_eq!(end(&changes), (None, ""), "it is on its way");
        let record = &changes.leads[0].lead.record;
        let value = |name: &str| record.get(name).map(|held| &*held.value);
        assert_eq!(value("email_opt_out"), Some("true"));
        assert_eq!(value("consent"), Some("false"));
        assert_eq!(value("email"), Some("anna@acme.example"));
        assert_eq!(value("title"), Some("Head"));
        assert_eq!(value("last_name"), Some("Berg"));
        assert_eq!(value("first_name"), None);
        assert_eq!(value("known_emails"), None);
        assert_eq!(value("utm_source"), None);
        let [delivery] = &*changes.deliveries else {
            panic!("{changes:?}");
        };
        assert_eq!(delivery.fields["HasOptedOutOfEmail"], true);
        assert!(changes.touches.is_empty() && changes.keys.is_empty());
        let lines = bench.timeline(lead).await;
        let kinds: Vec<&str> = lines.iter().map(|(_, _, kind, _)| &**kind).collect();
        assert_eq!(kinds, ["created", "opted_out"]);
        assert!(
            lines[1]
                .3
                .contains(r#""changed":["consent","email_opt_out"]"#)
        );

        let again = bench.process(vec![opt_out("7", &[])]).await;
        assert_eq!(end(&again), (Some(End::Merged), "nothing to change"));
        assert!(again.touches.is_empty() && again.deliveries.is_empty());
    }
}

#[tokio::test]
async fn an_opt_out_of_somebody_unknown_sends_nothing_and_counts_when_they_come() {
    let bench = Bench::new().await;
    bench.anna().await;
    let email = [("email", "ben@acme.example"), ("last_name", "Berg")];
    let changes = bench.process(vec![opt_out("8", &email)]).await;
    let nobody = "opted out, and no lead of theirs is known";
    assert_eq!(end(&changes), (Some(End::Filtered), nobody));
    assert!(changes.deliveries.is_empty() && changes.touches.is_empty());
    let kept = changes.submissions[0].lead.unwrap();
    // Nor does a replay, or another one.
    for replayed in [true, false] {
        let again = vec![opt_out("8", &email)];
        let changes = bench.process_again(again, replayed).await;
        assert_eq!(end(&changes), (Some(End::Filtered), nobody));
        assert!(changes.deliveries.is_empty() && changes.touches.is_empty());
        assert_eq!(changes.submissions[0].lead, Some(kept));
    }
    // Without an address nothing can be kept.
    let changes = bench.process(vec![opt_out("9", &[])]).await;
    assert_eq!(end(&changes), (Some(End::Filtered), nobody));
    assert!(changes.leads.is_empty());
    // Who comes by another way later is a lead, and opted out from the first.
    let changes = bench.process(vec![found("8", &email)]).await;
    assert_eq!(changes.submissions[0].lead, Some(kept));
    assert_eq!(changes.touches.len(), 1);
    let sent = &changes.deliveries[0].fields;
    assert_eq!(sent["HasOptedOutOfEmail"], true);
    assert_eq!(sent["Email"], "ben@acme.example");
    assert_eq!(sent["LastName"], "Berg");
}

#[tokio::test]
async fn who_comes_back_after_an_opt_out_is_a_touch() {
    let bench = Bench::new().await;
    let email = [("email", "anna@acme.example"), ("last_name", "Berg")];
    let lead = bench.process(vec![found("", &email)]).await.leads[0]
        .lead
        .id;
    bench.process(vec![opt_out("9", &email)]).await;
    let changes = bench.process(vec![found("9", &email)]).await;
    assert_eq!(changes.submissions[0].lead, Some(lead));
    assert_eq!(changes.timeline[0].kind, "merged");
    assert_eq!(changes.touches.len(), 1);
}

#[tokio::test]
async fn what_was_withdrawn_is_told_on_the_timeline_of_its_lead() {
    let bench = Bench::new().await;
    let lead = bench.anna().await;
    let withdrawn = |vendor_id: &str| Extracted {
        verdict: Verdict::Withdrawn("deleted at the vendor".to_owned()),
        ..found(vendor_id, &[])
    };
    let changes = bench.process(vec![withdrawn("7")]).await;
    let expected = (Some(End::Filtered), "withdrawn: deleted at the vendor");
    assert_eq!(end(&changes), expected);
    assert!(changes.leads.is_empty() && changes.deliveries.is_empty());
    let lines = bench.timeline(lead).await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].2, "withdrawn");
    assert!(lines[1].3.contains("deleted at the vendor"), "{lines:?}");

    let changes = bench.process(vec![withdrawn("8")]).await;
    assert_eq!(end(&changes), expected);
    assert!(changes.timeline.is_empty());
}

#[tokio::test]
async fn a_record_that_was_only_named_is_fetched_first_and_not_known_before() {
    let bench = Bench::new().await;
    let notice = |ordinal| Extracted {
        ordinal,
        verdict: Verdict::Fetch([("id".to_owned(), format!("no {ordinal}"))].into()),
        ..found("7", &[])
    };
    let changes = bench.process(vec![notice(0), notice(1)]).await;
    let rows = changes.submissions.iter();
    assert!(
        rows.into_iter()
            .all(|row| row.outcome.is_none() && row.delivery.is_none())
    );
    let fetch = |ordinal: u32| NewFetch {
        event: EventId(1),
        ordinal,
        source: SourceName::new("demo"),
        bindings: [("id".to_owned(), format!("no {ordinal}"))].into(),
    };
    assert_eq!(changes.fetches, [fetch(0), fetch(1)]);
    assert_eq!(bench.is_known("7").await, None);
    let due = bench
        .store
        .due_fetches(&SourceName::new("demo"), NOW, 9)
        .await;
    assert_eq!(due.unwrap().len(), 2);
}

#[tokio::test]
async fn each_record_is_known_whatever_became_of_it() {
    let bench = Bench::new().await;
    let why = || "why".to_owned();
    for (vendor_id, verdict) in [
        ("1", Verdict::Genuine),
        ("2", Verdict::Test(why())),
        ("3", Verdict::Spam(why())),
        ("4", Verdict::Review(why())),
        ("5", Verdict::Skipped(why())),
        ("6", Verdict::OptOut(why())),
        ("7", Verdict::Withdrawn(why())),
    ] {
        let one = Extracted {
            verdict,
            version: Some("v1".to_owned()),
            ..found(vendor_id, &[])
        };
        let changes = bench.process(vec![one]).await;
        if vendor_id == "5" {
            assert_eq!(end(&changes), (Some(End::Filtered), "skipped: why"));
        }
        let version = bench.store.version_hash(Some("v1"));
        assert_eq!(
            bench.is_known(vendor_id).await,
            Some(version),
            "{vendor_id}"
        );
    }
    assert_eq!(bench.is_known("8").await, None);
}
