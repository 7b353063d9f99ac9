use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::connector::ConnectorOptions;
use crate::connector::records::Page;
use crate::model::{EventId, EventMeta, Millis, NewEvent, SourceName};

/// What every manifest must say, and tests do not ask for.
const HEAD: &str = "name = \"vendor\"\ntitle = \"Vendor\"\nhelp = \"For tests\"\n";

struct Case {
    reader: Reader,
}

fn manifest(rest: &str) -> Manifest {
    Manifest::parse(&format!("{HEAD}{rest}")).unwrap()
}

fn reader_of(rest: &str, options: Value, fields: &Value) -> Result<Reader, Vec<ReadProblem>> {
    let manifest = manifest(rest);
    let options = Options::of(&manifest, options.as_object().unwrap());
    Reader::new(&manifest, &options, &source(fields))
}

fn source(fields: &Value) -> SourceConfig {
    SourceConfig {
        priority: crate::config::Priority::Normal,
        connector: "vendor".to_owned(),
        default_country: None,
        lead_source: None,
        campaign: None,
        base_url: None,
        fields: serde_json::from_value(fields.clone()).unwrap(),
        options: ConnectorOptions::default(),
    }
}

impl Case {
    fn new(rest: &str) -> Self {
        Self::with(rest, json!({}), json!({}))
    }

    fn with(rest: &str, options: Value, fields: Value) -> Self {
        Self {
            reader: reader_of(rest, options, &fields).unwrap(),
        }
    }

    fn all(&self, meta: EventMeta, body: &str) -> Vec<Extracted> {
        self.reader.extract(&event(meta, body.to_owned())).unwrap()
    }

    fn one(&self, meta: EventMeta, body: &str) -> Extracted {
        let mut all = self.all(meta, body);
        assert_eq!(all.len(), 1);
        all.remove(0)
    }

    fn webhook(&self, body: &str) -> Extracted {
        self.one(EventMeta::default(), body)
    }

    fn poll(&self, context: Value, body: &str) -> Extracted {
        self.one(polled(context), body)
    }
}

fn polled(context: Value) -> EventMeta {
    EventMeta {
        door: Door::Poll,
        stream: Some("poll".to_owned()),
        context: Some(context),
        ..EventMeta::default()
    }
}

fn event(meta: EventMeta, body: impl Into<Bytes>) -> Event {
    Event {
        id: EventId(1),
        received: NewEvent {
            source: SourceName::new("demo"),
            received_at: Millis(1_772_359_200_000),
            content_type: "application/json".to_owned(),
            meta,
            body: body.into(),
        },
    }
}

#[track_caller]
fn check(fields: &BTreeMap<String, String>, expect: Value) {
    assert_eq!(json!(fields), expect);
}

const TYPEFORM: &str = r#"
[webhook]
records = "form_response"
[poll]
path = "/forms/x/responses"
records = "items[*]"
cursor = { from = "submitted_at" }
[record]
id = ["form_id", "token"]
version = "submitted_at"
at = { from = "submitted_at" }
skip_when = [{ from = "event_type", of = "body", equals = "form_response_partial", reason = "it is not finished yet" }]
[record.pivot.answer]
list = "answers"
key = "field.ref"
value = ["email", "phone_number", "text", "choice.label", "choices['labels','other']", "boolean"]
[fields]
email = "answers[?@.type == 'email'].email"
consent = "answer.consent"
campaign = ["hidden.utm_campaign", "definition.title"]
[attribution]
objects = ["hidden"]
urls = ["metadata.referer"]
"#;

const TYPEFORM_BODY: &str = r#"{"event_id":"01J9","event_type":"form_response","form_response":{
 "form_id":"aB3dE5","token":"k7m2","submitted_at":"2026-03-02T09:14:07Z",
 "hidden":{"utm_source":"newsletter","utm_campaign":"spring-2026","gclid":"xxxxx"},
 "definition":{"id":"aB3dE5","title":"Book a demo"},
 "metadata":{"referer":"https://www.example.com/p?utm_source=other&msclkid=M1"},
 "answers":[
   {"type":"text","text":"Łukasz Nowak 🎉","field":{"ref":"full_name"}},
   {"type":"email","email":"lukasz@vandelay.example","field":{"ref":"work_email"}},
   {"type":"choices","choices":{"ids":["c1"],"labels":["CRM"],"other":"reporting"},"field":{"ref":"use_case"}},
   {"type":"boolean","boolean":true,"field":{"ref":"consent"}}]}}"#;

#[test]
fn answers_become_fields_by_path_by_key_and_by_usual_names() {
    let found = Case::new(TYPEFORM).webhook(TYPEFORM_BODY);
    check(
        &found.fields,
        json!({
            "email": "lukasz@vandelay.example", "full_name": "Łukasz Nowak 🎉",
            "consent": "true", "campaign": "spring-2026", "use_case": "CRM;reporting"
        }),
    );
    check(
        &found.attribution,
        json!({
            "utm_source": "newsletter", "utm_campaign": "spring-2026", "msclkid": "M1",
            "landing_page": "https://www.example.com/p?utm_source=other&msclkid=M1"
        }),
    );
    assert_eq!(found.vendor_id.as_deref(), Some("aB3dE5:k7m2"));
    assert_eq!(found.version.as_deref(), Some("2026-03-02T09:14:07Z"));
    assert_eq!(found.at, Some(Millis(1_772_442_847_000)));
    assert_eq!(found.verdict, Verdict::Genuine);
}

#[test]
fn a_path_of_the_record_hides_no_answer_of_its_name() {
    let manifest = TYPEFORM
        .replace(r#""definition.title"]"#, r#""name"]"#)
        .replace("hidden.utm_campaign", "hidden.none");
    let body = TYPEFORM_BODY
        .replace(r#""form_id":"#, r#""name":"Book a demo","form_id":"#)
        .replace(r#""ref":"full_name""#, r#""ref":"name""#);
    for guess in ["", "guess = true\n"] {
        let found = Case::new(&manifest.replace("[record]\n", &format!("[record]\n{guess}")));
        let fields = found.webhook(&body).fields;
        assert_eq!(fields["campaign"], "Book a demo");
        assert_eq!(fields["full_name"], "Łukasz Nowak 🎉");
    }
}

#[test]
fn a_record_is_the_same_by_webhook_and_by_poll_and_its_marks_say_so() {
    let case = Case::new(TYPEFORM);
    let body: Value = serde_json::from_str(TYPEFORM_BODY).unwrap();
    let record = body["form_response"].to_string();
    let by_poll = case.poll(json!({}), &record);
    assert_eq!(by_poll, case.webhook(TYPEFORM_BODY));
    let page = format!(r#"{{"page_count":1,"items":[{record}]}}"#);
    let page = Page::new(page.as_bytes());
    let reader = case.reader.page("poll").unwrap();
    let records = reader.records(&page).unwrap();
    let marks = reader.marks(&records[0], None);
    assert_eq!(marks.submissions[0].id, by_poll.vendor_id);
    assert_eq!(marks.submissions[0].version, by_poll.version);
    assert_eq!(marks.cursor.as_deref(), Some("2026-03-02T09:14:07Z"));
}

#[test]
fn what_the_user_maps_wins_over_the_manifest() {
    let fields = json!({
        "plan": "answer.use_case",
        "email": { "from": ["answer.none", "answer.Full name"] },
        "utm_medium": { "value": "form" },
        "lead_source": { "from": "hidden.source", "value": "Typeform" },
        "consent": { "from": "hidden.none" },
        "title": { "from": "answer.password" }
    });
    let case = Case::with(TYPEFORM, json!({}), fields);
    let traced = case
        .reader
        .trace(&event(EventMeta::default(), TYPEFORM_BODY))
        .unwrap();
    let found = &traced[0];
    check(
        &found.extracted.fields,
        json!({
            "plan": "CRM;reporting", "email": "Łukasz Nowak 🎉", "lead_source": "Typeform",
            "consent": "true", "campaign": "spring-2026", "work_email": "lukasz@vandelay.example"
        }),
    );
    assert_eq!(found.extracted.attribution["utm_medium"], "form");
    check(
        &found.from,
        json!({
            "plan": "answer.use_case", "email": "answer.Full name", "consent": "answer.consent",
            "campaign": "hidden.utm_campaign", "work_email": "work_email"
        }),
    );
}

#[test]
fn conditions_decide_in_order_and_an_opt_out_says_so() {
    let case = Case::new(
        r#"
[webhook]
[record]
id = "id"
withdrawn_when = [{ from = "gone", equals = true, reason = "it was deleted" }]
opt_out_when = [{ from = "type", one_of = ["unsubscribe", "cleaned"], reason = "they unsubscribed" }]
skip_when = [{ from = "type", equals = "campaign", reason = "nobody is in it" }]
test_when = [{ from = "test", equals = true, reason = "the vendor says so" }]
[fields]
email = "email"
"#,
    );
    for (body, expect) in [
        (
            json!({ "gone": true, "type": "cleaned", "test": true }),
            Verdict::Withdrawn("it was deleted".to_owned()),
        ),
        (
            json!({ "type": "cleaned", "test": true }),
            Verdict::OptOut("they unsubscribed".to_owned()),
        ),
        (
            json!({ "type": "campaign", "test": true }),
            Verdict::Skipped("nobody is in it".to_owned()),
        ),
        (
            json!({ "type": "x", "test": true }),
            Verdict::Test("the vendor says so".to_owned()),
        ),
        (json!({ "type": "x" }), Verdict::Genuine),
    ] {
        let found = case.webhook(&body.to_string());
        let opted_out = found.fields.get("email_opt_out").map(String::as_str);
        assert_eq!(
            opted_out,
            matches!(expect, Verdict::OptOut(_)).then_some("true")
        );
        assert_eq!(found.verdict, expect, "{body}");
    }
}

#[test]
fn google_ads_says_the_same_by_webhook_and_by_poll() {
    let case = Case::new(
        r#"
[webhook]
[webhook.record]
id = "lead_id"
at = { from = "lead_submit_time" }
test_when = [{ from = "is_test", equals = true, reason = "Google sent it to try" }]
pivot.answer = { list = "user_column_data", key = "column_id", value = "string_value", fold = true }
[[poll]]
path = "/search"
records = "results[*]"
[poll.record]
id = "leadFormSubmissionData.id"
at = { from = "leadFormSubmissionData.submissionDateTime" }
[poll.record.pivot.answer]
list = ["leadFormSubmissionData.leadFormSubmissionFields", "leadFormSubmissionData.customLeadFormSubmissionFields"]
key = ["fieldType", "questionText"]
value = "fieldValue"
fold = true
[fields]
email = ["answer.work_email", "answer.email"]
form = ["form_id", "leadFormSubmissionData.asset"]
[attribution.fields]
gclid = ["gcl_id", "leadFormSubmissionData.gclid"]
utm_campaign = ["campaign.name", "campaign_id"]
"#,
    );
    let found = case.webhook(
        r#"{"lead_id":"Tf-0","form_id":9007199254740995,"campaign_id":20512340001,"gcl_id":"Cj0","is_test":false,
        "lead_submit_time":"2026-11-23T08:10:00Z","user_column_data":[{"column_id":"FULL_NAME","string_value":"Zoë Nguyễn"},
        {"column_id":"WORK_EMAIL","string_value":"zoe@example.com"},{"column_id":"PHONE_NUMBER","string_value":"+12015550142"},
        {"column_id":"which_product_🚀","string_value":"größer"}]}"#,
    );
    let expect = json!({
        "full_name": "Zoë Nguyễn", "email": "zoe@example.com", "phone": "+12015550142",
        "which_product": "größer", "form": "9007199254740995"
    });
    check(&found.fields, expect);
    check(
        &found.attribution,
        json!({ "gclid": "Cj0", "utm_campaign": "20512340001" }),
    );
    assert_eq!(found.verdict, Verdict::Genuine);
    let polled = case.poll(
        json!({}),
        r#"{"leadFormSubmissionData":{"id":"550001","asset":"customers/4/assets/61","gclid":"Cj0","submissionDateTime":"2026-11-23 03:10:00-05:00",
        "leadFormSubmissionFields":[{"fieldType":"EMAIL","fieldValue":"zoe@example.com"}],
        "customLeadFormSubmissionFields":[{"questionText":"Which product? 🚀","fieldValue":"größer"}]},"campaign":{"name":"Brand"}}"#,
    );
    check(
        &polled.fields,
        json!({ "email": "zoe@example.com", "which_product": "größer", "form": "customers/4/assets/61" }),
    );
    assert_eq!(polled.at, found.at);
    assert_eq!(polled.vendor_id.as_deref(), Some("550001"));
    assert_eq!(polled.attribution["utm_campaign"], "Brand");
}

const META: &str = r#"
[webhook]
records = "entry[*].changes[*]"
[webhook.record]
id = "value.leadgen_id"
at = { from = "value.created_time" }
skip_when = [{ from = "field", not = "leadgen", reason = "it is about something else" }]
[[fetch]]
as = { lead_id = "value.leadgen_id", page_id = "value.page_id" }
path = "/{lead_id}"
[record]
id = "id"
at = { from = "created_time" }
test_when = [{ from = "answer.full_name", starts_with = "<test lead", reason = "Meta's testing tool sent it" }]
pivot.answer = { list = "field_data", key = "name", value = "values" }
[fields]
campaign = "campaign_name"
page = { from = "page_id", of = "context" }
"#;

#[test]
fn a_webhook_that_names_records_asks_for_each_of_them() {
    let case = Case::new(META);
    let all = case.all(
        EventMeta::default(),
        r#"{"object":"page","entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":9007199254740993,"page_id":"77","created_time":1767967533}},
        {"field":"feed","value":{}}]},{"changes":[{"field":"leadgen","value":{"leadgen_id":"2","page_id":77}},{"field":"leadgen","value":{}}]}]}"#,
    );
    let asked = |lead: &str| {
        Verdict::Fetch(BTreeMap::from(
            [("fetch", "fetch"), ("lead_id", lead), ("page_id", "77")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ))
    };
    let verdicts: Vec<Verdict> = all.iter().map(|found| found.verdict.clone()).collect();
    assert_eq!(
        verdicts,
        [
            asked("9007199254740993"),
            Verdict::Skipped("it is about something else".to_owned()),
            asked("2"),
            Verdict::Skipped("it names no record that could be fetched".to_owned()),
        ]
    );
    assert_eq!(all[0].vendor_id.as_deref(), Some("9007199254740993"));
    let ordinals: Vec<u32> = all.iter().map(|found| found.ordinal).collect();
    assert_eq!(ordinals, [0, 1, 2, 3]);
    let empty = case.webhook(r#"{"object":"page","entry":[]}"#);
    assert_eq!(
        empty.verdict,
        Verdict::Skipped("there is no record at `entry[*].changes[*]`".to_owned())
    );
}

#[test]
fn what_was_fetched_is_read_with_what_is_known_around_it() {
    let case = Case::new(META);
    let meta = EventMeta {
        door: Door::Fetch,
        stream: Some("fetch".to_owned()),
        context: Some(json!({ "fetch": "fetch", "lead_id": "1", "page_id": "77" })),
        ..EventMeta::default()
    };
    let body = |name: &str| {
        format!(
            r#"{{"id":"1","created_time":"2026-01-09T14:05:33+0000","campaign_name":"Demo","field_data":[
            {{"name":"full_name","values":["{name}"]}},{{"name":"work_email","values":["a@b.example"]}},
            {{"name":"¿tamaño_de_empresa?","values":["10","20"]}},{{"name":"phone_number","values":[]}}]}}"#
        )
    };
    let found = case.one(meta.clone(), &body("Ann Lee"));
    check(
        &found.fields,
        json!({
            "full_name": "Ann Lee", "email": "a@b.example", "tamaño_de_empresa": "10;20",
            "campaign": "Demo", "page": "77"
        }),
    );
    assert_eq!(found.at, Some(Millis(1_767_967_533_000)));
    let test = case.one(meta, &body("<test lead: dummy data for full_name>"));
    assert_eq!(
        test.verdict,
        Verdict::Test("Meta's testing tool sent it".to_owned())
    );
}

#[test]
fn mailchimp_by_webhook_and_by_poll_is_one_person() {
    let case = Case::new(
        r#"
[webhook]
records = "data"
[webhook.record]
id = "id"
at = { from = "fired_at", of = "body" }
opt_out_when = [{ from = "type", of = "body", one_of = ["unsubscribe", "cleaned"], reason = "they left the list" }]
pivot.merge = { list = "merges" }
[[poll]]
path = "/lists/x/members"
records = "members[*]"
[record]
id = "unique_email_id"
version = "last_changed"
opt_out_when = [{ from = "status", one_of = ["unsubscribed", "cleaned"], reason = "they left the list" }]
skip_when = [{ from = "status", not = "subscribed", reason = "they have not confirmed" }]
pivot.merge = { list = "merge_fields", value = "" }
[fields]
email = ["email", "email_address"]
city = ["merge.ADDRESS.city", "merges.ADDRESS.city", "merge_fields.ADDRESS.city"]
consent = { from = "status", values = { subscribed = "true" } }
"#
        .replace("list = \"merges\" }", "list = \"merges\", value = \"\" }")
        .as_str(),
    );
    let webhook = case.webhook(
        r#"{"type":"subscribe","fired_at":"2026-01-09 14:05:33","data":{"id":"77b087028d","email":"zoe@hooli.example",
        "merges":{"EMAIL":"zoe@hooli.example","FNAME":"Zoë 🚀","COMPANY":"株式会社テスト","ADDRESS":{"city":"Warszawa"},"MMERGE7":"x"}}}"#,
    );
    let expect = json!({
        "email": "zoe@hooli.example", "first_name": "Zoë 🚀", "company": "株式会社テスト",
        "city": "Warszawa", "mmerge7": "x"
    });
    check(&webhook.fields, expect.clone());
    assert_eq!(webhook.at, Some(Millis(1_767_967_533_000)));
    let member = |status: &str| {
        format!(
            r#"{{"id":"md5","unique_email_id":"77b087028d","email_address":"zoe@hooli.example","status":"{status}","last_changed":"2026-01-09T14:05:33+00:00",
            "merge_fields":{{"FNAME":"Zoë 🚀","COMPANY":"株式会社テスト","ADDRESS":{{"city":"Warszawa"}},"MMERGE7":"x","PHONE":""}}}}"#
        )
    };
    let polled = case.poll(json!({}), &member("subscribed"));
    let mut with_consent = expect;
    with_consent["consent"] = json!("true");
    check(&polled.fields, with_consent);
    assert_eq!(polled.vendor_id, webhook.vendor_id);
    assert_eq!(
        case.poll(json!({}), &member("pending")).verdict,
        Verdict::Skipped("they have not confirmed".to_owned())
    );
    let gone = case.poll(json!({}), &member("cleaned"));
    assert_eq!(
        gone.verdict,
        Verdict::OptOut("they left the list".to_owned())
    );
    assert_eq!(gone.fields["email_opt_out"], "true");
}

#[test]
fn side_loaded_values_get_their_titles_and_are_taken_apart() {
    let case = Case::new(
        r#"
[[poll]]
path = "/api/3/contacts"
records = "contacts[*]"
join = [{ list = "fieldValues", key = "contact", equals = "id", as = "fieldValues" }]
[lookup.fields]
path = "/api/3/fields"
list = "fields"
key = "id"
value = "title"
[record]
id = "id"
version = "udate"
pivot.field = { list = "fieldValues", key = "field", value = "value", titles = "fields", separator = "||" }
[fields]
email = "email"
plan = "field.Plan"
"#,
    );
    let page = Page::new(
        br#"{"contacts":[{"id":"108","email":"m@t.example","udate":"2026-01-09T08:00:07-06:00","fieldValues":["1","2","3"]}],
        "fieldValues":[{"contact":"108","field":"5","value":"Tyrell Ltd"},{"contact":"108","field":"6","value":"||Product||Events||"},
        {"contact":"108","field":"7","value":"||||"},{"contact":"108","field":"8","value":"Pro"}]}"#,
    );
    let reader = case.reader.page("poll").unwrap();
    let records = reader.records(&page).unwrap();
    let context =
        json!({ "fields": { "5": "Company", "6": "Interests", "7": "Topics", "8": "Plan" } });
    let found = case.poll(context, &records[0]);
    check(
        &found.fields,
        json!({ "email": "m@t.example", "company": "Tyrell Ltd", "interests": "Product;Events", "plan": "Pro" }),
    );
}

const LINKEDIN: &str = r#"
[webhook]
[webhook.record]
id = { from = "leadGenFormResponse", part = "after_last_colon" }
withdrawn_when = [{ from = "leadAction", equals = "DELETED", reason = "the person took it back" }]
[[fetch]]
when = { from = "type", equals = "LEAD_ACTION" }
as = { id = { from = "leadGenFormResponse", part = "after_last_colon" } }
path = "/leadFormResponses/{id}"
[record]
id = "id"
at = { from = "submittedAt" }
test_when = [{ from = "testLead", equals = true, reason = "LinkedIn says so" }]
pivot.hidden = { list = "form.hiddenFields", key = "name", value = "value" }
[record.pivot.answer]
list = "formResponse.answers"
key = "questionId"
value = ["answerDetails.textQuestionAnswer.answer", "answerDetails.multipleChoiceAnswer.options"]
[record.pivot.answer.titles_in]
list = "form.content.questions"
key = "questionId"
value = ["predefinedField", "name"]
choices = { list = "questionDetails.multipleChoiceQuestionDetails.options", key = "id", value = "text.localized.*" }
[fields]
email = ["answer.WORK_EMAIL", "answer.EMAIL"]
consent = "formResponse.consentResponses[*].accepted"
"#;

#[test]
fn answers_that_hold_ids_are_read_by_the_questions_beside_them() {
    let case = Case::new(LINKEDIN);
    let notice = r#"{"type":"LEAD_ACTION","leadGenFormResponse":"urn:li:leadGenFormResponse:7c2d-3","leadAction":"CREATED","occurredAt":1767967533288}"#;
    let named = case.webhook(notice);
    let Verdict::Fetch(bindings) = &named.verdict else {
        panic!("{named:?}");
    };
    assert_eq!(bindings["id"], "7c2d-3");
    let gone = case.webhook(&notice.replace("CREATED", "DELETED"));
    assert_eq!(
        gone.verdict,
        Verdict::Withdrawn("the person took it back".to_owned())
    );
    assert_eq!(gone.vendor_id.as_deref(), Some("7c2d-3"));
    let meta = EventMeta {
        door: Door::Fetch,
        stream: Some("fetch".to_owned()),
        ..EventMeta::default()
    };
    let found = case.one(
        meta,
        r#"{"id":"7c2d-3","submittedAt":1767967532900,"testLead":false,"formResponse":{"answers":[
        {"questionId":42,"answerDetails":{"textQuestionAnswer":{"answer":"Søren"}}},
        {"questionId":43,"answerDetails":{"multipleChoiceAnswer":{"options":[2,9]}}},
        {"questionId":44,"answerDetails":{"textQuestionAnswer":{"answer":"private@me.example"}}},
        {"questionId":45,"answerDetails":{"textQuestionAnswer":{"answer":"s@work.example"}}},
        {"questionId":46,"answerDetails":{"textQuestionAnswer":{"answer":"Øst A/S"}}}],
        "consentResponses":[{"consentId":0,"accepted":true}]},
        "form":{"hiddenFields":[{"name":"utm_campaign","value":"q1"}],"content":{"questions":[
        {"questionId":42,"predefinedField":"FIRST_NAME","name":"a"},
        {"questionId":43,"name":"Budget","questionDetails":{"multipleChoiceQuestionDetails":{"options":[
          {"id":1,"text":{"localized":{"da_DK":"lille"}}},{"id":2,"text":{"localized":{"da_DK":"stor"}}}]}}},
        {"questionId":44,"predefinedField":"EMAIL"},{"questionId":45,"predefinedField":"WORK_EMAIL"},
        {"questionId":46,"predefinedField":"COMPANY_NAME"}]}}}"#,
    );
    check(
        &found.fields,
        json!({
            "first_name": "Søren", "email": "s@work.example", "answer_email": "private@me.example",
            "company": "Øst A/S", "budget": "stor;9", "consent": "true"
        }),
    );
    check(&found.attribution, json!({ "utm_campaign": "q1" }));
}

#[test]
fn a_registrant_deep_in_a_webhook_keeps_the_ids_around_it() {
    let case = Case::new(
        r#"
[webhook]
records = "payload.object"
[webhook.record]
split = "registrant"
id = [{ from = "id", of = "parent" }, "id"]
at = { from = "event_ts", of = "body" }
pivot.question = { list = "custom_questions", key = "title", value = "value" }
guess = true
[webhook.fields]
campaign = { from = "topic", of = "parent" }
company = "org"
member_status = { value = "Registered" }
"#,
    );
    let found = case.webhook(
        r#"{"event":"webinar.registration_created","event_ts":1767967533000,"payload":{"object":{"id":95203310002,"topic":"Year in review",
        "registrant":{"id":"5pT0","first_name":"Søren","last_name":"Øst","email":"s@w.example","phone":"+47332211","org":"Wonka A/S","job_title":"Head",
        "password":"secret","no_of_employees":"51-100","comments":"","custom_questions":[{"title":"Budget","value":"10k"}],"status":"approved"}}}}"#,
    );
    assert_eq!(found.vendor_id.as_deref(), Some("95203310002:5pT0"));
    assert_eq!(found.at, Some(Millis(1_767_967_533_000)));
    check(
        &found.fields,
        json!({
            "first_name": "Søren", "last_name": "Øst", "email": "s@w.example", "phone": "+47332211",
            "company": "Wonka A/S", "title": "Head", "employees": "51-100", "budget": "10k", "id": "5pT0",
            "status": "approved", "campaign": "Year in review", "member_status": "Registered"
        }),
    );
}

#[test]
fn an_order_is_as_many_submissions_as_it_has_tickets() {
    let case = Case::new(
        r#"
[webhook]
[webhook.record]
skip_when = [{ from = "config.action", not = "order.placed", reason = "another action" }]
[[fetch]]
name = "order"
as = { order = { from = "api_url", pattern = "/v3/orders/{order_id}/" }, action = "config.action" }
path = "/orders/{order_id}/"
[fetch.record]
split = "attendees"
id = "id"
version = "changed"
skip_when = [{ from = "profile.email", equals = "Info Requested", reason = "not named yet" }]
pivot.answer = { list = "answers", key = "question", value = "answer" }
[fields]
email = "profile.email"
full_name = "profile.name"
[fetch.fields]
buyer = { from = "email", of = "parent" }
action = { from = "action", of = "context" }
"#,
    );
    let named = case.webhook(r#"{"api_url":"https://evil.example/v3/orders/7000000042/","config":{"action":"order.placed"}}"#);
    let Verdict::Fetch(bindings) = named.verdict else {
        panic!("{:?}", named.verdict);
    };
    assert_eq!(
        json!(bindings),
        json!({ "fetch": "order", "order_id": "7000000042", "action": "order.placed" })
    );
    let forged =
        case.webhook(r#"{"api_url":"https://evil.example/x","config":{"action":"order.placed"}}"#);
    assert!(matches!(forged.verdict, Verdict::Skipped(_)));
    let meta = EventMeta {
        door: Door::Fetch,
        stream: Some("order".to_owned()),
        context: Some(json!(bindings)),
        ..EventMeta::default()
    };
    let all = case.all(
        meta.clone(),
        r#"{"id":"7","email":"chloe@stark.example","attendees":[
        {"id":"80","changed":"c1","profile":{"name":"Chloé","email":"chloe@stark.example"},
         "answers":[{"question":"May we send you news by e-mail?","answer":"Yes"},{"question":"Why?"}]},
        {"id":"81","profile":{"name":"Info Requested","email":"Info Requested"}}]}"#,
    );
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].ordinal, all[1].ordinal), (0, 1));
    assert_eq!(all[0].vendor_id.as_deref(), Some("80"));
    check(
        &all[0].fields,
        json!({
            "email": "chloe@stark.example", "full_name": "Chloé", "buyer": "chloe@stark.example",
            "may_we_send_you_news_by_e_mail": "Yes", "action": "order.placed"
        }),
    );
    assert_eq!(all[1].verdict, Verdict::Skipped("not named yet".to_owned()));
    let none = case.one(
        meta,
        r#"{"id":"7","email":"chloe@stark.example","attendees":[]}"#,
    );
    assert_eq!(
        none.verdict,
        Verdict::Skipped("there is nobody in `attendees`".to_owned())
    );
}

#[test]
fn questions_and_tracking_of_a_booking() {
    let case = Case::new(
        r#"
[webhook]
records = "payload"
[webhook.record]
id = "uri"
version = "updated_at"
at = { from = "created_at" }
skip_when = [{ from = "event", of = "body", equals = "invitee.canceled", reason = "the meeting was cancelled" }]
pivot.answer = { list = "questions_and_answers", key = "question", value = "answer" }
[fields]
email = ["email", "answer.Work e-mail"]
first_name = "first_name"
full_name = "name"
phone = "text_reminder_number"
campaign = "scheduled_event.name"
[attribution]
objects = ["tracking"]
"#,
    );
    let found = case.webhook(
        r#"{"event":"invitee.created","payload":{"uri":"https://api.calendly.com/scheduled_events/EVT42/invitees/INV77","email":"priya@a.example",
        "name":"Priya Patel","first_name":null,"text_reminder_number":"+91 80","questions_and_answers":[{"question":"Company","answer":"Aperture \"Labs\" 🚀"}],
        "tracking":{"utm_campaign":"spring-2026","utm_source":"linkedin","utm_content":null},"scheduled_event":{"name":"Demo call"},
        "created_at":"2026-01-09T14:05:32.123456Z","updated_at":"2026-01-09T14:05:32.123456Z"}}"#,
    );
    check(
        &found.fields,
        json!({
            "email": "priya@a.example", "full_name": "Priya Patel", "phone": "+91 80",
            "company": "Aperture \"Labs\" 🚀", "campaign": "Demo call"
        }),
    );
    check(
        &found.attribution,
        json!({ "utm_campaign": "spring-2026", "utm_source": "linkedin" }),
    );
    assert_eq!(found.at, Some(Millis(1_767_967_532_123)));
    let form = case.webhook(
        r#"{"event":"routing_form_submission.created","payload":{"uri":"u","questions_and_answers":[
        {"question":"Work e-mail","answer":"rahul@g.example"},{"question":"Team size","answer":"1-10"}]}}"#,
    );
    check(
        &form.fields,
        json!({ "email": "rahul@g.example", "team_size": "1-10" }),
    );
}

#[test]
fn answers_known_by_id_get_the_titles_of_a_lookup() {
    let case = Case::with(
        r#"
[[poll]]
path = "/v1/forms/x/responses"
records = "responses[*]"
[record]
id = "responseId"
version = "lastSubmittedTime"
at = { from = "lastSubmittedTime" }
[record.pivot.answer]
list = "answers"
value = ["textAnswers.answers[*].value", "fileUploadAnswers.answers[*].fileName"]
titles = "questions"
[lookup.questions]
path = "/v1/forms/x"
list = "items"
key = "questionItem.question.questionId"
value = "title"
[fields]
email = "respondentEmail"
"#,
        json!({}),
        json!({ "plan": "answer.Which plan? (2026)", "size": "answer.9c0d1e2f" }),
    );
    let context = json!({ "questions": { "1a2b3c4d": "Your name", "5e6f7a8b": "Interests", "77777777": "Which plan? (2026)" } });
    let found = case.poll(
        context,
        r#"{"responseId":"ACY1","lastSubmittedTime":"2026-03-02T09:14:07.120431Z","respondentEmail":"zoe@h.example","answers":{
        "1a2b3c4d":{"textAnswers":{"answers":[{"value":"Zoë Dubois 🚀"}]}},
        "5e6f7a8b":{"textAnswers":{"answers":[{"value":"CRM"},{"value":"Data"}]}},
        "77777777":{"textAnswers":{"answers":[{"value":"Pro"}]}},
        "9c0d1e2f":{"fileUploadAnswers":{"answers":[{"fileId":"1A","fileName":"brief.pdf"}]}}}}"#,
    );
    check(
        &found.fields,
        json!({
            "email": "zoe@h.example", "full_name": "Zoë Dubois 🚀", "interests": "CRM;Data",
            "plan": "Pro", "size": "brief.pdf"
        }),
    );
    let skipped = case.poll(
        json!({}),
        r#"{"responseId":"ACY2","lastSubmittedTime":"2026-03-02T09:14:44Z"}"#,
    );
    assert!(skipped.fields.is_empty());
    assert_eq!(skipped.vendor_id.as_deref(), Some("ACY2"));
}

const SHEET: &str = r#"
[options]
header_row = { type = "integer", help = "the header's row", default = 1 }
id_column = { type = "text", help = "the column that tells rows apart" }
time_zone = { type = "text", help = "the sheet's time zone", default = "Europe/Berlin" }
[[poll]]
path = "/v4/spreadsheets/x/values/y"
records = "values"
rows = { header_row = "header_row", id_column = "id_column" }
[record]
at = { from = ["Timestamp", "Zeitstempel"], format = "serial", zone = "time_zone" }
guess = true
"#;

const SHEET_PAGE: &[u8] = br#"{"values":[["Timestamp","Full name","Email","Phone","Email","I agree","utm_source","Budget (EUR)"],
 [46083.38480324,"S\u00f8ren","s@a.example",81335551234,"","TRUE","linkedin","10"],[],[46083.4,"","n@h.example"]]}"#;

#[test]
fn rows_of_a_sheet_are_leads_by_their_header() {
    for (options, id) in [
        (json!({}), None),
        (json!({ "id_column": "email" }), Some("s@a.example")),
    ] {
        let case = Case::with(
            SHEET,
            options,
            json!({ "consent": "I agree", "budget": "Budget (EUR)" }),
        );
        let page = Page::new(SHEET_PAGE);
        let reader = case.reader.page("poll").unwrap();
        let records = reader.records(&page).unwrap();
        assert_eq!(records.len(), 2);
        let found = case.poll(json!({}), &records[0]);
        check(
            &found.fields,
            json!({
                "full_name": "Søren", "email": "s@a.example", "phone": "81335551234", "consent": "TRUE",
                "budget": "10", "Timestamp": "46083.38480324"
            }),
        );
        check(&found.attribution, json!({ "utm_source": "linkedin" }));
        assert_eq!(found.at, Some(Millis(1_772_439_247_000)));
        let mark = &reader.marks(&records[0], None).submissions[0];
        assert_eq!(mark.id, found.vendor_id);
        assert_eq!(mark.version, found.version);
        match id {
            Some(id) => assert_eq!(found.vendor_id.as_deref(), Some(id)),
            None => assert!(found.vendor_id.unwrap().starts_with("row-")),
        }
    }
}

#[test]
fn options_stand_in_paths_and_conditions() {
    let manifest = r#"
[options]
records = { type = "text", help = "where leads are" }
id = { type = "text", help = "where their id is" }
list = { type = "text", help = "the list" }
[webhook]
records = "{records}"
[record]
id = "{id}"
skip_when = [{ from = "list", not = "{list}", reason = "it is of another list" }]
guess = true
"#;
    let options = json!({ "records": "data.leads", "id": "key", "list": "L1" });
    let case = Case::with(manifest, options, json!({}));
    let all = case.all(EventMeta::default(), r#"{"data":{"leads":[{"key":7,"list":"L1","E-Mail":"a@b.example","x":{"y":"1"}},{"key":8}]}}"#);
    assert_eq!(all[0].vendor_id.as_deref(), Some("7"));
    check(
        &all[0].fields,
        json!({ "email": "a@b.example", "key": "7", "list": "L1", "x.y": "1" }),
    );
    assert_eq!(
        all[1].verdict,
        Verdict::Skipped("it is of another list".to_owned())
    );
    let unset = Case::with(manifest, json!({}), json!({}));
    let found = unset.webhook(r#"{"email":"a@b.example","test":"yes","password":"p"}"#);
    check(&found.fields, json!({ "email": "a@b.example" }));
    assert_eq!(
        found.verdict,
        Verdict::Test("the record says `test`".to_owned())
    );
    assert_eq!(found.vendor_id, None);
    let wrong = reader_of(manifest, json!({ "id": "a[" }), &json!({})).unwrap_err();
    assert!(
        wrong.iter().any(|problem| problem.place == "record.id"),
        "{wrong:?}"
    );
}

#[test]
fn an_error_names_source_place_and_replay_but_no_person() {
    let case = Case::new(TYPEFORM);
    for (body, code) in [
        (
            r#"{"form_response":"secret@b.example"}"#,
            "record.not_an_object",
        ),
        (
            r#"{"form_response":["secret@b.example"]}"#,
            "record.not_an_object",
        ),
        (
            r#"{"form_response": secret@b.example}"#,
            "body.malformed_json",
        ),
    ] {
        let error = case
            .reader
            .extract(&event(EventMeta::default(), body))
            .unwrap_err();
        assert_eq!(error.code, code);
        assert!(error.message.contains("`demo`"), "{error}");
        assert!(error.hint.contains("leadstream replay"), "{error:?}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    let none = case.webhook("{}");
    assert_eq!(
        none.verdict,
        Verdict::Skipped("there is no record at `form_response`".to_owned())
    );
}

#[test]
fn a_long_id_is_told_by_its_hash() {
    let case = Case::new("[webhook]\n[record]\nid = \"id\"\n");
    let id = |id: &str| {
        case.webhook(&json!({ "id": id }).to_string())
            .vendor_id
            .unwrap()
    };
    assert_eq!(id("a"), "a");
    assert!(id(&"a".repeat(300)).starts_with("sha256-"));
    assert_ne!(id(&"a".repeat(300)), id(&"a".repeat(301)));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
        Just(json!("a@b.example")),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        let names = "(answers|field|ref|type|email|text|hidden|form_response|items|values|id|token|choices|labels|a|attendees|submitted_at)";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(names, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_event_makes_it_panic(
        value in any_json(),
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        context in any_json(),
    ) {
        for manifest in [TYPEFORM, META, LINKEDIN, SHEET] {
            let case = Case::new(manifest);
            for door in [Door::Webhook, Door::Poll, Door::Fetch, Door::File] {
                let meta = EventMeta { door, ..polled(context.clone()) };
                let bodies = [
                    Bytes::from(bytes.clone()),
                    Bytes::from(value.to_string()),
                    Bytes::from(json!({ "form_response": value, "entry": [{ "changes": [value] }] }).to_string()),
                ];
                for body in bodies {
                    if let Ok(all) = case.reader.extract(&event(meta.clone(), body)) {
                        prop_assert!(!all.is_empty());
                    }
                }
            }
            if let Some(reader) = case.reader.page("poll") {
                let text = value.to_string();
                let page = Page::new(text.as_bytes());
                if let Ok(records) = reader.records(&page) {
                    for record in records {
                        let marks = reader.marks(&record, Some(&context));
                        let found = case.all(polled(context.clone()), &record);
                        prop_assert_eq!(&marks.submissions[0].id, &found[0].vendor_id);
                        prop_assert_eq!(&marks.submissions[0].version, &found[0].version);
                    }
                }
            }
        }
    }
}

#[test]
fn the_connectors_that_are_built_in_can_read_with_their_own_examples() {
    for manifest in crate::connector::Catalog::embedded().all() {
        let examples = manifest.options.iter().filter_map(|(name, spec)| {
            let example = spec.example.as_ref().or(spec.default.as_ref())?;
            Some((name.clone(), serde_json::to_value(example).unwrap()))
        });
        for options in [serde_json::Map::new(), examples.collect()] {
            let options = Options::of(manifest, &options);
            let reader = Reader::new(manifest, &options, &source(&json!({})));
            assert!(reader.is_ok(), "{}: {:?}", manifest.name, reader.err());
        }
    }
}
