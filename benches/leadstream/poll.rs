//! A paged read of Mailchimp members into the inbox, against a reader that only downloads the same
//! pages and parses them into typed structs. The vendor is a server on loopback, in this process.

use std::collections::HashMap;
use std::io::{Error, Result};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use leadstream::config;
use leadstream::edge::clock::{SharedClock, SystemClock};
use leadstream::edge::shutdown;
use leadstream::ingest::{self, poll};
use leadstream::store::{Access, Store};
use leadstream::telemetry::Metrics;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::say;

/// Members that share a second: more than none, as after an import.
const A_SECOND: usize = 7;

/// A page of the vendor's largest size.
const PAGE: usize = 1000;

/// Runs `rounds` of both, and says the medians and their ratio.
pub fn run(members: usize, rounds: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let vendor = Vendor::start(members).await?;
        let bytes: usize = vendor.members.lines.iter().map(String::len).sum();
        say(&format!(
            "\n## poll: {members} members of Mailchimp, {:.1} MB, {rounds} rounds",
            bytes as f64 / 1e6
        ));
        // Once for all pages to be made.
        vendor.parse(members).await?;
        let (mut parsed, mut polled) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let started = Instant::now();
            vendor.parse(members).await?;
            parsed.push(started.elapsed().as_secs_f64());
            polled.push(vendor.poll(members).await?);
        }
        let (parsed, polled) = (median(parsed), median(polled));
        say(&format!(
            "typed structs {parsed:.3} s, into the inbox {polled:.3} s: {:.2} times; {:.0} members/s",
            polled / parsed,
            members as f64 / polled
        ));
        Ok(())
    })
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

struct Members {
    lines: Vec<String>,
    pages: Mutex<HashMap<(i64, usize), Bytes>>,
}

struct Vendor {
    members: Arc<Members>,
    address: std::net::SocketAddr,
}

#[derive(Deserialize)]
struct Asked {
    since_last_changed: Option<String>,
    #[serde(default)]
    offset: usize,
    count: usize,
}

/// What a page is, as far as a client that types it all needs it.
#[derive(Deserialize)]
struct TypedPage {
    members: Vec<Member>,
    total_items: u64,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "a client's own types")]
struct Member {
    id: String,
    email_address: String,
    unique_email_id: String,
    contact_id: String,
    full_name: String,
    web_id: u64,
    email_type: String,
    status: String,
    merge_fields: MergeFields,
    interests: HashMap<String, bool>,
    stats: HashMap<String, f64>,
    ip_signup: String,
    timestamp_signup: String,
    ip_opt: String,
    timestamp_opt: String,
    #[serde(rename = "member_rating")]
    rating: u32,
    last_changed: String,
    language: String,
    vip: bool,
    email_client: String,
    location: Location,
    source: String,
    tags_count: u32,
    tags: Vec<Tag>,
    list_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "a client's own types")]
struct MergeFields {
    fname: String,
    lname: String,
    phone: String,
    company: String,
    address: HashMap<String, String>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "a client's own types")]
struct Location {
    latitude: f64,
    longitude: f64,
    country_code: String,
    timezone: String,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "a client's own types")]
struct Tag {
    id: u64,
    name: String,
}

/// The second in which a member last changed, since 2026-01-01.
fn second(index: usize) -> i64 {
    (index / A_SECOND) as i64
}

fn moment(second: i64) -> String {
    let at = jiff::Timestamp::from_second(1_767_225_600 + second).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

fn member(index: usize) -> String {
    let changed = moment(second(index));
    let interests: Vec<String> = (0..8)
        .map(|interest| {
            format!(
                "\"{interest:03}abcdef{index:04}\":{}",
                index.is_multiple_of(interest + 2)
            )
        })
        .collect();
    format!(
        r#"{{"id":"{index:032x}","email_address":"person.{index}@company{}.example","unique_email_id":"{index:010x}","contact_id":"{:032x}","full_name":"Zoë Person{index}","web_id":{},"email_type":"html","status":"subscribed","consents_to_one_to_one_messaging":true,"merge_fields":{{"FNAME":"Zoë","LNAME":"Person{index}","PHONE":"+4930123{index:05}","COMPANY":"Company {} GmbH","ADDRESS":{{"addr1":"Street {index}","addr2":"","city":"Berlin","state":"","zip":"10115","country":"DE"}}}},"interests":{{{}}},"stats":{{"avg_open_rate":0.25,"avg_click_rate":0.125}},"ip_signup":"203.0.113.9","timestamp_signup":"{changed}","ip_opt":"203.0.113.9","timestamp_opt":"{changed}","member_rating":2,"last_changed":"{changed}","language":"de","vip":false,"email_client":"Apple Mail","location":{{"latitude":52.5,"longitude":13.4,"gmtoff":1,"dstoff":2,"country_code":"DE","timezone":"Europe/Berlin","region":"BE"}},"source":"Embed Form","tags_count":2,"tags":[{{"id":1001,"name":"newsletter"}},{{"id":1002,"name":"webinar {index}"}}],"list_id":"a1b2c3d4e5"}}"#,
        index % 5000,
        index * 7919,
        500_000 + index,
        index % 5000,
        interests.join(",")
    )
}

async fn page(State(all): State<Arc<Members>>, Query(asked): Query<Asked>) -> Response {
    let since = asked
        .since_last_changed
        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .map_or(-1, |at| at.as_second() - 1_767_225_600);
    let body = all
        .pages
        .lock()
        .entry((since, asked.offset))
        .or_insert_with(|| {
            // "Since" means after.
            let first = usize::try_from((since + 1) * A_SECOND as i64).unwrap_or(0);
            let first = (first + asked.offset).min(all.lines.len());
            let last = (first + asked.count.min(PAGE)).min(all.lines.len());
            let members = all.lines[first..last].join(",");
            Bytes::from(format!(
                "{{\"members\":[{members}],\"list_id\":\"a1b2c3d4e5\",\"total_items\":{}}}",
                all.lines.len() - first + asked.offset
            ))
        })
        .clone();
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

impl Vendor {
    async fn start(members: usize) -> Result<Self> {
        let members = Arc::new(Members {
            lines: (0..members).map(member).collect(),
            pages: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = axum::Router::new()
            .route("/3.0/lists/a1b2c3d4e5/members", axum::routing::get(page))
            .with_state(Arc::clone(&members));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { members, address })
    }

    /// Downloads and parses all pages; as our poller, by the last row's time.
    async fn parse(&self, members: usize) -> Result<()> {
        // An error means that the poller's own client has installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .gzip(true)
            .tls_certs_only([])
            .build()
            .map_err(Error::other)?;
        let url = format!("http://{}/3.0/lists/a1b2c3d4e5/members", self.address);
        let mut since: Option<String> = None;
        let mut seen = std::collections::HashSet::new();
        loop {
            let mut query = vec![("count".to_owned(), PAGE.to_string())];
            query.extend(since.map(|since| ("since_last_changed".to_owned(), since)));
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(query)
                .finish();
            let answer = client.get(format!("{url}?{query}")).send().await;
            let body = answer
                .map_err(Error::other)?
                .bytes()
                .await
                .map_err(Error::other)?;
            let page: TypedPage = serde_json::from_slice(&body).map_err(Error::other)?;
            let last = page
                .members
                .last()
                .map(|member| member.last_changed.clone());
            let full = page.members.len() == PAGE && page.total_items > PAGE as u64;
            seen.extend(page.members.into_iter().map(|member| member.id));
            let Some(at) = last.and_then(|last| last.parse::<jiff::Timestamp>().ok()) else {
                break;
            };
            if !full {
                break;
            }
            since = Some(moment(at.as_second() - 1 - 1_767_225_600));
        }
        if seen.len() == members {
            Ok(())
        } else {
            Err(Error::other(format!(
                "{} of {members} were read",
                seen.len()
            )))
        }
    }

    /// The poller's own work, from the first request to the last page on disk. Returns its seconds.
    async fn poll(&self, members: usize) -> Result<f64> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let file = folder.path().join("leadstream.toml");
        std::fs::write(folder.path().join("key"), "0123456789abcdef-us1")?;
        std::fs::write(
            &file,
            format!(
                "[store]\nurl = \"sqlite:leadstream.db\"\n[salesforce]\nlogin_url = \"http://127.0.0.1:1\"\n\
                 client_id = \"x\"\nclient_secret = {{ file = \"key\" }}\n[sources.newsletter]\n\
                 connector = \"mailchimp\"\nlist_id = \"a1b2c3d4e5\"\napi_key = {{ file = \"key\" }}\n\
                 base_url = \"http://{}\"\n",
                self.address
            ),
        )?;
        let config = config::load(&file, &|_| None)
            .config
            .ok_or_else(|| Error::other("the configuration is refused"))?;
        let clock: SharedClock = Arc::new(SystemClock);
        let store = Store::open(&config.store, Access::Daemon)
            .await
            .map_err(Error::other)?;
        let metrics = Metrics::new();
        let (inbox, mut group_commit) = ingest::group_commit(
            Arc::clone(&store),
            1000,
            Arc::clone(&clock),
            Arc::clone(&metrics),
        )
        .map_err(Error::other)?;
        let runtime = tokio::runtime::Handle::current();
        let commits = std::thread::spawn(move || group_commit.run(&runtime));
        let mut sources = poll::PollSource::all(&config, &store, &clock);
        let (_, source) = sources.pop().ok_or_else(|| Error::other("no source"))?;
        let source = source.map_err(Error::other)?;
        let poller = poll::Poller::new(source, Arc::clone(&store), inbox, clock, metrics);
        let (_stop, stopping) = shutdown::channel();
        let mut round = poll::Round::new(poll::Job::Poll);
        let started = Instant::now();
        loop {
            match poller.step(&mut round, &stopping).await {
                Ok(()) => break,
                Err(poll::Stop::Turn) => {}
                Err(stop) => return Err(Error::other(format!("{stop:?}"))),
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        drop(poller);
        drop(commits);
        if round.tally.new == members as u64 {
            Ok(seconds)
        } else {
            Err(Error::other(format!("{:?}", round.tally)))
        }
    }
}
