use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::{SecretRef, SourceConfig};
use crate::connector::custom::web_form::{Captcha, CaptchaProvider};
use crate::connector::{ConnectorOptions, Payload, connector_of};
use crate::model::{EventId, NewEvent, SourceName};

fn source(options: WebFormOptions, fields: &[(&str, FieldMapping)]) -> SourceConfig {
    SourceConfig {
        priority: crate::config::Priority::Normal,
        connector: "web-form".to_owned(),
        default_country: None,
        lead_source: None,
        campaign: None,
        base_url: None,
        fields: fields
            .iter()
            .map(|(name, mapping)| ((*name).to_owned(), mapping.clone()))
            .collect(),
        options: ConnectorOptions::WebForm(Box::new(options)),
    }
}

fn from(from: &str, values: &[(&str, &str)]) -> FieldMapping {
    FieldMapping {
        from: vec![from.to_owned()],
        value: None,
        values: values
            .iter()
            .map(|(sent, kept)| ((*sent).to_owned(), (*kept).to_owned()))
            .collect(),
    }
}

fn event(content_type: &str, body: impl Into<Bytes>, meta: EventMeta) -> Event {
    Event {
        id: EventId(1),
        received: NewEvent {
            source: SourceName::new("demo"),
            received_at: Millis(1_772_359_200_000),
            content_type: content_type.to_owned(),
            meta,
            body: body.into(),
        },
    }
}

fn extracted(body: &str, meta: EventMeta, source: &SourceConfig) -> Extracted {
    let content_type = if body.starts_with('{') {
        "application/json"
    } else {
        "application/x-www-form-urlencoded"
    };
    let event = event(content_type, body.to_owned(), meta);
    let connector = connector_of(source);
    let mut all = connector.extract(&event).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn check_fields(body: &str, source: &SourceConfig, expect: &[(&str, &str)]) {
    let expect: BTreeMap<String, String> = expect
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let found = extracted(body, EventMeta::default(), source).fields;
    assert_eq!(found, expect, "{body}");
}

fn check_plain(body: &str, expect: &[(&str, &str)]) {
    check_fields(body, &source(WebFormOptions::default(), &[]), expect);
}

#[test]
fn known_names_become_lead_fields_and_unknown_ones_stay() {
    check_plain(
        "E-Mail=+a%40b.example+&fname=Ann&topics=crm&topics=ads&topics=crm&plan=&Budget=10",
        &[
            ("email", "a@b.example"),
            ("first_name", "Ann"),
            ("topics", "crm;ads"),
            ("Budget", "10"),
        ],
    );
    check_plain(
        r#"{"lead":{"email":"a@b.example","address":{"city":"Ulm"}},"company":{"name":"Acme"},"x":{"y":1}}"#,
        &[
            ("email", "a@b.example"),
            ("city", "Ulm"),
            ("company", "Acme"),
            ("x.y", "1"),
        ],
    );
    check_plain("message=a%0D%0Ab%00c%09d", &[("message", "a\nbc\td")]);
}

#[test]
fn the_surest_of_several_names_wins_and_the_others_are_kept_if_they_differ() {
    check_plain("tel=1&phone=2&telephone=2", &[("phone", "2"), ("tel", "1")]);
    check_plain("Phone=1&phone=2", &[("phone", "1;2")]);
    check_plain(
        "email=&email=hidden&email=a%40b.example&email=c%40d.example",
        &[("email", "a@b.example")],
    );
    check_plain(
        "email=none&work_email=a%40b.example",
        &[("email", "a@b.example")],
    );
    check_plain("email=not+one", &[("email", "not one")]);
}

#[test]
fn of_a_yes_or_no_field_the_first_yes_counts() {
    check_plain("consent=0&consent=1", &[("consent", "1")]);
    check_plain("consent=&gdpr=I+agree", &[("consent", "I agree")]);
    check_plain(
        "emailOptOut=false&emailOptOut=on",
        &[("email_opt_out", "on")],
    );
    check_plain("consent=0", &[("consent", "0")]);
}

#[test]
fn names_are_read_together() {
    check_plain(
        "Vorname=Ann&Name=Lee",
        &[("first_name", "Ann"), ("last_name", "Lee")],
    );
    check_plain(
        "Vorname=Ann&Name=Ann+Lee",
        &[("first_name", "Ann"), ("full_name", "Ann Lee")],
    );
    check_plain("nombre=Ana+Gil", &[("full_name", "Ana Gil")]);
    check_plain(
        "nombre=Ana&apellidos=Gil",
        &[("first_name", "Ana"), ("last_name", "Gil")],
    );
    check_plain(
        "nom=Gil&pr%C3%A9nom=Ana",
        &[("first_name", "Ana"), ("last_name", "Gil")],
    );
    check_plain("nom=Ana+Gil", &[("full_name", "Ana Gil")]);
    check_plain("name=Ana+Gil", &[("full_name", "Ana Gil")]);
}

#[test]
fn the_configuration_goes_before_names() {
    let source = source(
        WebFormOptions::default(),
        &[
            (
                "plan",
                from("answers.plan", &[("a", "Starter"), ("b", "Pro")]),
            ),
            ("email", from("user.mail", &[])),
            ("utm_source", from("src", &[])),
            ("secret", from("password", &[])),
            ("missing", from("nowhere", &[])),
        ],
    );
    check_fields(
        r#"{"answers":{"plan":["a","b","c"]},"email":"x@y.example","password":"p"}"#,
        &source,
        &[("plan", "a;b;c"), ("email", "x@y.example")],
    );
    let body = "user%5Bmail%5D=a%40b.example&email=x%40y.example&Answers-Plan=b&src=News";
    let found = extracted(body, EventMeta::default(), &source);
    assert_eq!(found.fields["email"], "a@b.example");
    assert_eq!(found.fields["plan"], "b");
    assert_eq!(found.fields.len(), 2);
    assert_eq!(found.attribution["utm_source"], "News");
}

#[test]
fn what_steers_the_form_and_what_nobody_may_keep_is_dropped() {
    check_plain(
        "_charset_=utf-8&_next=https%3A%2F%2Fx.example&redirect=x&retURL=x&submit=Go&utf8=1&\
         authenticity_token=x&g-recaptcha-response=x&cf-turnstile-response=x&_gotcha=&website2=&\
         password=p&card_number=4111&cvc=1&user%5Bpassword%5D=p&email=a%40b.example&oid=order-7",
        &[("email", "a@b.example"), ("oid", "order-7")],
    );
}

#[test]
fn web_to_lead_names_and_ids_are_known() {
    let source = source(
        WebFormOptions {
            custom_fields: BTreeMap::from([("00N5g000004XyZaEAK".to_owned(), "plan".to_owned())]),
            ..WebFormOptions::default()
        },
        &[],
    );
    check_fields(
        "oid=00D5g00000EXAMP&retURL=https%3A%2F%2Fwww.example.com&debug=1&debugEmail=x%40y.example&\
         captcha_settings=%7B%7D&orgId=x&encoding=UTF-8&lead_source=Web&email=noah%40acme.example&\
         URL=https%3A%2F%2Facme.example&description=Hi&zip=1&state_code=BY&country_code=DE&\
         mobile=2&fax=3&revenue=4&employees=5&emailOptOut=1&faxOptOut=1&doNotCall=1&\
         recordType=0125g000000AAAA&currency=EUR&Campaign_ID=7015g000000ABCD&\
         member_status=Responded&00N5g000004XyZa=Enterprise&00N5g000004XyZb=A&\
         00N5g000004XyZb=B&My_Field__c=7",
        &source,
        &[
            ("lead_source", "Web"),
            ("email", "noah@acme.example"),
            ("website", "https://acme.example"),
            ("message", "Hi"),
            ("postal_code", "1"),
            ("state", "BY"),
            ("country", "DE"),
            ("mobile", "2"),
            ("fax", "3"),
            ("revenue", "4"),
            ("employees", "5"),
            ("email_opt_out", "1"),
            ("fax_opt_out", "1"),
            ("do_not_call", "1"),
            ("recordType", "0125g000000AAAA"),
            ("currency", "EUR"),
            ("campaign", "7015g000000ABCD"),
            ("member_status", "Responded"),
            ("plan", "Enterprise"),
            ("00N5g000004XyZb", "A;B"),
            ("My_Field__c", "7"),
        ],
    );
}

fn check_verdict(body: &str, captcha: Option<CaptchaVerdict>, expect: Verdict) {
    check_verdict_of(OnCaptchaUnavailable::Review, body, captcha, expect);
}

fn check_verdict_of(
    on_unavailable: OnCaptchaUnavailable,
    body: &str,
    captcha: Option<CaptchaVerdict>,
    expect: Verdict,
) {
    let options = WebFormOptions {
        honeypot: Some("Fax_2".to_owned()),
        captcha: Some(Captcha {
            provider: CaptchaProvider::Turnstile,
            secret: SecretRef {
                env: None,
                file: None,
            },
            min_score: None,
            hostname: None,
            action: None,
            on_unavailable,
        }),
        ..WebFormOptions::default()
    };
    let meta = EventMeta {
        captcha,
        ..EventMeta::default()
    };
    let found = extracted(body, meta, &source(options, &[]));
    assert_eq!(found.verdict, expect, "{body}");
}

#[test]
fn machines_tests_and_doubts_are_told_apart() {
    let spam = |name| Verdict::Spam(format!("`{name}`, which people do not see, is filled in"));
    check_verdict("a=1", None, Verdict::Genuine);
    check_verdict("a=1&_gotcha=+&website2=&fax_2=", None, Verdict::Genuine);
    for name in ["_gotcha", "bot-field", "website2", "fax_2"] {
        check_verdict(&format!("a=1&test=1&{name}=x"), None, spam(name));
    }
    for name in ["test", "is_test", "test_lead", "isTest"] {
        check_verdict(
            &format!("a=1&{name}=true"),
            None,
            Verdict::Test(format!("the form sends `{name}`")),
        );
        check_verdict(&format!("a=1&{name}=0"), None, Verdict::Genuine);
    }
    check_verdict("test=A/B", None, Verdict::Genuine);
    check_verdict("a=1", Some(CaptchaVerdict::Passed), Verdict::Genuine);
    check_verdict(
        "a=1",
        Some(CaptchaVerdict::Failed(vec![
            "timeout-or-duplicate".to_owned(),
        ])),
        Verdict::Spam("the captcha was not passed: timeout-or-duplicate".to_owned()),
    );
    check_verdict(
        "a=1",
        Some(CaptchaVerdict::Unknown("no answer".to_owned())),
        Verdict::Review("the captcha could not be checked: no answer".to_owned()),
    );
}

#[test]
fn a_captcha_that_cannot_be_checked_is_no_matter_where_the_source_says_so() {
    check_verdict_of(
        OnCaptchaUnavailable::Accept,
        "a=1",
        Some(CaptchaVerdict::Unknown("no answer".to_owned())),
        Verdict::Genuine,
    );
}

#[test]
fn the_senders_id_is_the_forms_or_the_headers() {
    let plain = source(WebFormOptions::default(), &[]);
    let meta = EventMeta {
        idempotency_key: Some("key-1".to_owned()),
        ..EventMeta::default()
    };
    let id = |body: &str, meta: &EventMeta| extracted(body, meta.clone(), &plain).vendor_id;
    assert_eq!(id("a=1", &EventMeta::default()), None);
    assert_eq!(id("a=1", &meta).as_deref(), Some("key-1"));
    assert_eq!(id("a=1&submission_id=s1", &meta).as_deref(), Some("s1"));
    assert_eq!(
        id(&format!("submission_id={}", "x".repeat(256)), &meta),
        None
    );
}

#[test]
fn language_and_fill_time_are_noted() {
    let plain = source(WebFormOptions::default(), &[]);
    let meta = EventMeta {
        accept_language: Some("de-CH, de;q=0.9, en;q=0.8".to_owned()),
        ..EventMeta::default()
    };
    let found = extracted("a=1&_t=1772359198750", meta.clone(), &plain).fields;
    assert_eq!(found["language"], "de-CH");
    assert_eq!(found[FILL_TIME], "1.2");
    let found = extracted("lang=fr&_t=1772359170", meta, &plain).fields;
    assert_eq!(found["language"], "fr");
    assert_eq!(found[FILL_TIME], "30.0");
    for nonsense in [
        "x",
        "1772359300000",
        "0",
        "-9223372036854775808",
        "9223372036854775807",
    ] {
        let found = extracted(&format!("a=1&_t={nonsense}"), EventMeta::default(), &plain);
        assert!(!found.fields.contains_key(FILL_TIME), "{nonsense}");
    }
}

fn any_content_type() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("application/x-www-form-urlencoded".to_owned()),
        Just("multipart/form-data; boundary=XX".to_owned()),
        Just("application/json".to_owned()),
        Just("text/plain".to_owned()),
        "(application/x-www-form-urlencoded|multipart/form-data|text/plain|.{0,10});?.{0,20}",
    ]
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "([a-z_\\[\\]-]{0,8}[=&%+]{1,2}[^&]{0,10}){0,10}".prop_map(String::into_bytes),
        "(--XX(\r\n|--)|Content-Disposition: form-data; name=\"?.{0,5}\"?;? ?|filename=\"?x?\"?|\r\n|.{0,4}){0,20}"
            .prop_map(String::into_bytes),
        "\\{?(\"[a-z.]{0,4}\":(\\{|\\[|\"x\"|1e9|null)?[,}\\]]{0,2}){0,10}\\}?"
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_can_be_extracted(
        content_type in any_content_type(),
        body in any_body(),
        query in proptest::option::of(".{0,30}"),
    ) {
        let source = source(WebFormOptions::default(), &[("x", from("y", &[]))]);
        let meta = EventMeta { query, ..EventMeta::default() };
        let event = event(&content_type, body, meta);
        let connector = connector_of(&source);
        let received = connector.receive(Payload::from(&event.received));
        let extracted = connector.extract(&event);
        if received.is_ok() {
            let extracted = extracted.unwrap();
            for (name, value) in &extracted[0].fields {
                prop_assert!(!name.is_empty() && !value.is_empty());
                prop_assert!(!value.contains('\0') && !name.contains('\0'));
            }
        }
    }
}
