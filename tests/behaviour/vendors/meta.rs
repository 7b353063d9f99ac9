//! Meta: notices that name leads, and a page's forms and leads in the Graph API.

use leadstream::model::End;
use serde_json::{Value, json};

use super::stand_in_b::{
    Answer, Person, Request, START, Source, Stage, Vendor, answer, hex, hmac_sha256, time,
};

const SECRET: &str = "an-app-secret";
const TOKEN: &str = "a-page-token";
const PAGE: &str = "104250000000017";
const FORMS: [&str; 2] = ["998877665544331", "998877665544332"];

struct Meta {
    /// Seconds, the number of the form, and the lead.
    leads: Vec<(i64, usize, Value)>,
    late: Option<(i64, usize, Value)>,
    hidden_for: u32,
    token: &'static str,
}

fn error(code: u32, subcode: u32) -> Answer {
    let body = json!({
        "message": "(#…) localisé", "type": "OAuthException", "code": code,
        "error_subcode": subcode, "is_transient": code == 2, "fbtrace_id": "A1",
    });
    answer(400, json!({ "error": body }))
}

fn pick(lead: &Value, fields: Option<&String>) -> Value {
    let fields = fields.map_or("created_time,id,field_data", String::as_str);
    let mut names: Vec<_> = fields.split(',').collect();
    names.push("id");
    let members = lead.as_object().unwrap().iter();
    members
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The time after which leads are given. What is not written as it should be is ignored.
fn after_time(filtering: Option<&String>) -> (i64, bool) {
    let parsed: Option<Value> = filtering.and_then(|text| serde_json::from_str(text).ok());
    let filter = parsed.map(|list| list[0].clone()).unwrap_or_default();
    let inclusive = filter["operator"] == "GREATER_THAN_OR_EQUAL";
    if filter["field"] == "time_created" && (inclusive || filter["operator"] == "GREATER_THAN") {
        let value = &filter["value"];
        let number = value
            .as_i64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        return (number.unwrap_or(0), inclusive);
    }
    (0, false)
}

impl Meta {
    fn form_leads(&mut self, form: usize, request: &Request) -> Answer {
        let query = request.query();
        let limit = query
            .get("limit")
            .map_or(25, |limit| limit.parse().unwrap());
        if limit > 60 && form == 1 {
            return answer(
                400,
                json!({ "error": {
                "message": "Please reduce the amount of data you're asking for, then retry your request",
                "type": "OAuthException", "code": 1, "fbtrace_id": "A2" } }),
            );
        }
        let cursor = query.get("after").cloned().unwrap_or_default();
        if !cursor.is_empty() {
            self.leads.extend(self.late.take());
        }
        let (from, inclusive) = after_time(query.get("filtering"));
        let mut found: Vec<_> = self
            .leads
            .iter()
            .filter(|(at, of, _)| *of == form && (*at > from || inclusive && *at == from))
            .filter(|(at, _, _)| *at > request.now - 90 * 86400)
            .collect();
        found.sort_by_key(|(at, _, _)| std::cmp::Reverse(*at));
        // One page of the first form is empty, and not the last.
        if form == 0 && !cursor.is_empty() && !cursor.starts_with("again-") {
            return page(&[], Some(format!("again-{cursor}")));
        }
        let known = cursor.trim_start_matches("again-");
        let begin = match found.iter().position(|(_, _, lead)| lead["id"] == known) {
            Some(position) => position + 1,
            None if known.is_empty() => 0,
            None => return error(100, 0),
        };
        let rows: Vec<_> = found.iter().skip(begin).take(limit).collect();
        let data: Vec<_> = rows
            .iter()
            .map(|(_, _, lead)| pick(lead, query.get("fields")))
            .collect();
        let last = rows
            .last()
            .map(|(_, _, lead)| lead["id"].as_str().unwrap().to_owned());
        let more = begin + rows.len() < found.len();
        page(&data, last.filter(|_| more))
    }
}

fn page(data: &[Value], next: Option<String>) -> Answer {
    let mut body = json!({ "data": data });
    if let Some(after) = next {
        body["paging"] = json!({
            "cursors": { "before": "b", "after": after },
            "next": format!("https://graph.facebook.com/v26.0/…?access_token={TOKEN}&after={after}"),
        });
    } else if !data.is_empty() {
        body["paging"] = json!({ "cursors": { "before": "b", "after": "the-last" } });
    }
    answer(200, body)
        .with(
            "x-app-usage",
            r#"{"call_count":28,"total_cputime":15,"total_time":20}"#,
        )
        .with("facebook-api-version", "v26.0")
}

impl Vendor for Meta {
    fn answer(&mut self, request: &Request) -> Answer {
        let query = request.query();
        let Some(path) = request.path.strip_prefix("/v26.0/") else {
            return error(2635, 0);
        };
        let token = query
            .get("access_token")
            .map_or(request.bearer(), String::as_str);
        if token != self.token {
            return error(190, 463);
        }
        let proof = hex(&hmac_sha256(SECRET, token.as_bytes()));
        if query.get("appsecret_proof") != Some(&proof) || request.method != "GET" {
            return error(100, 0);
        }
        match path.split('/').collect::<Vec<_>>()[..] {
            [PAGE, "leadgen_forms"] => {
                let asked = query.get("fields").cloned().unwrap_or_default();
                let count = |n: usize| self.leads.iter().filter(|(_, form, _)| *form == n).count();
                let form = |n: usize, status: &str| {
                    let mut form = json!({ "id": FORMS[n] });
                    for (name, value) in [
                        ("name", json!(format!("Herbst {n}"))),
                        ("status", status.into()),
                        ("leads_count", count(n).into()),
                        ("expired_leads_count", 0.into()),
                        (
                            "questions",
                            json!([
                            { "id": "1", "key": "full_name", "label": "Nom", "type": "FULL_NAME" },
                            { "id": "2", "key": "interesse", "label": "Intéressé ?", "type": "CUSTOM",
                              "options": [{ "key": "k1", "value": "Größer" }] } ]),
                        ),
                        (
                            "tracking_parameters",
                            json!([{ "key": "utm_campaign", "value": "spring" }]),
                        ),
                    ] {
                        if asked.contains(name) {
                            form[name] = value;
                        }
                    }
                    form
                };
                match query.get("after").map(String::as_str) {
                    None => page(&[form(0, "ACTIVE")], Some("f0".to_owned())),
                    _ => page(&[form(1, "ARCHIVED")], None),
                }
            }
            [form, "leads"] if FORMS.contains(&form) => {
                self.form_leads(usize::from(form == FORMS[1]), request)
            }
            [id] => {
                let lead = self.leads.iter().find(|(_, _, lead)| lead["id"] == id);
                match lead {
                    Some((_, _, lead)) if self.hidden_for == 0 => {
                        answer(200, pick(lead, query.get("fields")))
                    }
                    _ => {
                        self.hidden_for = self.hidden_for.saturating_sub(1);
                        error(100, 33)
                    }
                }
            }
            _ => error(100, 0),
        }
    }
}

fn id(i: usize) -> u64 {
    12_345_678_901_234_567 + i as u64
}

fn lead(i: usize, at: i64) -> (i64, usize, Value) {
    let person = Person::nth(i);
    let form = i % 2;
    let fields = json!([
        { "name": "full_name", "values": [person.full()] },
        { "name": "work_email", "values": [person.email] },
        { "name": "phone_number", "values": [person.phone] },
        { "name": "company_name", "values": [person.company] },
        { "name": "job_title", "values": ["CMO"] },
        { "name": "interesse", "values": ["k1"] },
        { "name": "city", "values": [] },
    ]);
    let lead = json!({
        "id": id(i).to_string(), "created_time": time(at, "%Y-%m-%dT%H:%M:%S+0000"),
        "form_id": FORMS[form], "is_organic": false, "platform": "ig",
        "ad_id": "120210000000001", "ad_name": "Reel 3 🎬", "adset_id": "120210000000002",
        "adset_name": "Lookalike", "campaign_id": "120210000000003", "campaign_name": "Herbst & Winter",
        "field_data": fields,
        "custom_disclaimer_responses": [{ "checkbox_key": "newsletter", "is_checked": if i.is_multiple_of(3) { "1" } else { "" } }],
    });
    (at, form, lead)
}

fn vendor(leads: Vec<(i64, usize, Value)>) -> Meta {
    Meta {
        leads,
        late: None,
        hidden_for: 0,
        token: TOKEN,
    }
}

fn leads(count: usize) -> Vec<(i64, usize, Value)> {
    (0..count)
        .map(|i| lead(i, START - 80 * 86400 + (i / 50) as i64 * 60))
        .collect()
}

async fn stage(vendor: Meta) -> Stage<Meta> {
    let source = Source {
        connector: "meta",
        secrets: &[
            ("access_token", TOKEN),
            ("app_secret", SECRET),
            ("verify_token", "ours & only ours"),
        ],
        lines: r#"
            page_id = "104250000000017"
            [sources.v.fields]
            consent = "disclaimer.newsletter"
        "#,
        fields: &[
            ("Campaign", "utm_campaign"),
            ("Interest", "interesse"),
            ("MetaId", "meta_lead_id"),
            ("Consent", "consent"),
        ],
        ..Source::default()
    };
    Stage::with(vendor, source).await
}

#[tokio::test]
async fn all_forms_and_pages_are_read_and_each_lead_once() {
    let mut meta = vendor(leads(300));
    meta.late = Some(lead(300, START - 79 * 86400));
    let mut test_lead = lead(902, START - 79 * 86400);
    test_lead.2["field_data"] = json!([
        { "name": "full_name", "values": ["<test lead: dummy data for full_name>"] },
        { "name": "email", "values": ["test@meta.com"] } ]);
    meta.leads.push(test_lead);
    let stage = stage(meta).await;
    stage
        .test
        .until("most leads", async || stage.test.leads().len() >= 300)
        .await;
    stage.poll().await;
    stage.leads(301).await;
    stage.assert_people(0..301);
    let lead_7 = stage.lead("p7@firm7.example");
    assert_eq!(lead_7["Title"], "CMO");
    assert_eq!(lead_7["Campaign__c"], "Herbst & Winter");
    // The option's key, as Meta sends it.
    assert_eq!(lead_7["Interest__c"], "k1");
    assert_eq!(lead_7["MetaId__c"], id(7).to_string());
    // A box that was not ticked says nothing, least of all yes.
    let consent = |i: usize| {
        let lead = stage.lead(&Person::nth(i).email);
        lead.get("Consent__c").cloned().unwrap_or_default()
    };
    assert_eq!((consent(6), consent(7)), (json!("true"), Value::Null));
    let now = stage.now();
    stage
        .vendor
        .lock()
        .leads
        .extend([lead(301, now), lead(303, now), lead(302, now - 1200)]);
    stage.poll().await;
    stage.leads(304).await;
    let accepted = stage.accepted().await;
    stage.poll().await;
    assert_eq!(stage.accepted().await, accepted);
    assert!(stage.test.ends(End::Filtered).await > 0);
}

#[tokio::test]
async fn throttling_is_waited_for_and_a_dead_token_is_left_alone() {
    let stage = stage(vendor(leads(10))).await;
    stage.leads(10).await;
    let usage = r#"{"1":[{"type":"leadgen","call_count":100,"total_cputime":15,"total_time":20,"estimated_time_to_regain_access":7}]}"#;
    stage.trouble.lock().extend([
        error(2, 0),
        error(80005, 0).with("x-business-use-case-usage", usage),
    ]);
    let now = stage.now();
    stage.vendor.lock().leads.push(lead(10, now));
    stage.poll().await;
    stage.leads(11).await;
    let times: Vec<_> = stage.log.lock().iter().map(|request| request.now).collect();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    // The wait that the header names is not read: five minutes at once, and again if need be.
    assert!(longest >= Some(5 * 60), "{times:?}");

    stage.vendor.lock().token = "another";
    stage.poll().await;
    let before = stage.log.lock().len();
    for _ in 0..30 {
        stage.test.clock.advance(std::time::Duration::from_secs(60));
        stage.test.decided().await;
    }
    stage.quiet().await;
    let asked = stage.log.lock().len() - before;
    assert!(asked < 10, "{asked}");
}

/// As on the wire: escaped unicode and slashes.
fn notice(leads: &[(usize, &str)]) -> String {
    let changes: Vec<_> = leads
        .iter()
        .map(|(i, page)| {
            format!(
                r#"{{"field":"leadgen","value":{{"leadgen_id":{},"page_id":"{page}","form_id":{},"created_time":{START},"note":"\u00e9\/"}}}}"#,
                id(*i), FORMS[i % 2]
            )
        })
        .collect();
    format!(
        r#"{{"object":"page","entry":[{{"id":"{PAGE}","time":{START},"changes":[{{"field":"feed","value":{{"item":"like"}}}}]}},{{"id":"{PAGE}","time":{START},"changes":[{}]}}]}}"#,
        changes.join(",")
    )
}

fn signed(body: &str) -> String {
    format!("sha256={}", hex(&hmac_sha256(SECRET, body.as_bytes())))
}

#[tokio::test]
async fn a_signed_notice_is_fetched_and_the_poll_adds_nothing() {
    assert_eq!(
        signed(r#"{"object":"page","entry":[{"id":"1","time":1,"changes":[]}]}"#),
        "sha256=448234b0d216986ebf4488df5daef97f75e7c133e33d4a77fdd567f7023a1c5e"
    );
    let mut meta = vendor(Vec::new());
    meta.hidden_for = 2;
    let stage = stage(meta).await;
    stage.quiet().await;
    let body = notice(&[(1, PAGE), (2, PAGE), (900, "999")]);
    for signature in [
        None,
        Some(signed("{}")),
        Some(signed(&body).replace("sha256=", "sha1=")),
    ] {
        let headers: Vec<_> = signature
            .iter()
            .map(|s| ("x-hub-signature-256", s.as_str()))
            .collect();
        let (status, text) = stage.hook("", &headers, body.clone()).await;
        assert!([401, 403].contains(&status), "{status} {text}");
    }
    assert_eq!(stage.accepted().await, 0);

    // A lead of another page is known by its name only.
    stage
        .vendor
        .lock()
        .leads
        .extend([lead(1, START), lead(2, START)]);
    for _ in 0..2 {
        let signature = signed(&body);
        let headers = [
            ("x-hub-signature-256", signature.as_str()),
            ("x-hub-signature", "sha1=00"),
        ];
        let (status, _) = stage.hook("", &headers, body.clone()).await;
        assert_eq!(status, 200);
    }
    stage.leads(2).await;
    stage.assert_people(1..3);
    assert_eq!(stage.asked(&id(900).to_string()), 0);
    stage.poll().await;
    stage.leads(2).await;
    assert!(stage.test.dead_letters().await.is_empty());

    // One that cannot be read: looked for some minutes, and then a person is told. It may be deleted,
    // or of a page that the token may not read.
    let body = notice(&[(5, PAGE)]);
    stage
        .hook("", &[("x-hub-signature-256", &signed(&body))], body)
        .await;
    stage.quiet().await;
    stage
        .test
        .clock
        .advance(std::time::Duration::from_secs(660));
    stage
        .test
        .until("it is given up", async || {
            stage.test.dead_letters().await.len() == 1
        })
        .await;
    stage.leads(2).await;
}

#[tokio::test]
async fn the_handshake_is_answered_with_the_bare_challenge() {
    let stage = stage(vendor(Vec::new())).await;
    let ask = "/hooks/v?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=";
    let (status, body) = stage
        .test
        .get(&format!("{ask}ours%20%26%20only%20ours"))
        .await;
    assert_eq!((status.as_u16(), body.as_str()), (200, "1158201444"));
    let (status, body) = stage.test.get(&format!("{ask}another")).await;
    assert_eq!(status, 403, "{body}");
    assert!(!body.contains("1158201444"));
}
