#![allow(warnings, clippy::all)]
// throw-away prototype: group commit against limits
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use axum::{Router, routing::post, extract::State, body::Bytes, http::{HeaderMap, StatusCode}, response::IntoResponse};
use leadstream::{ingest, store, edge, telemetry, model::*};

const BODY: &str = "first_name=Chlo%C3%A9&last_name=de+la+Cruz&email=chloe.NNNNNNNN%40wayne.example&company=Wayne+%26+Sons&phone=%2B49+30+12345678&topics=crm&topics=ads&message=Bonjour+%F0%9F%91%8B+je+voudrais+une+demo&website2=&utm_source=google&utm_medium=cpc&utm_campaign=spring&gclid=Cj0KCQtest&consent=on&page_url=https%3A%2F%2Fwww.example.com%2Fdemo";

fn parse(body: &[u8]) -> Vec<(String,String)> { form_urlencoded::parse(body).into_owned().collect() }

struct LimitMsg { body: Bytes, done: tokio::sync::oneshot::Sender<i64> }

fn limit_writer(path: &str, rx: std::sync::mpsc::Receiver<LimitMsg>) {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS event(id INTEGER PRIMARY KEY, body BLOB NOT NULL)").unwrap();
    let mut id = 0i64; let mut commits=0u64; let t0=Instant::now(); let mut busy=Duration::ZERO;
    let mut batch = vec![];
    while let Ok(m) = rx.recv() {
        batch.push(m);
        let spins: usize = std::env::var("SPIN").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
        loop { let n=batch.len(); while batch.len() < 1024 { match rx.try_recv() { Ok(m)=>batch.push(m), Err(_)=>break } } 
            if batch.len()==n { break } ; for _ in 0..spins { std::thread::yield_now(); } }
        commits+=1; if commits%2000==0 { eprintln!("limit avg batch {:.1} busy {:.2} us/commit {:.0}", id as f64/commits as f64, busy.as_secs_f64()/t0.elapsed().as_secs_f64(), busy.as_micros() as f64/commits as f64); } let tb=Instant::now();
 conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        { let mut s = conn.prepare_cached("INSERT INTO event(id, body) VALUES(?,?)").unwrap();
        for m in &batch { id += 1; s.execute((id, &m.body[..])).unwrap(); } }
        conn.execute_batch("COMMIT").unwrap(); busy+=tb.elapsed();
        let mut i = id - batch.len() as i64;
        for m in batch.drain(..) { i+=1; let _ = m.done.send(i); }
    }
}

async fn serve(kind: String, listener: tokio::net::TcpListener, dir: std::path::PathBuf) {
    let app = match kind.as_str() {
        "bare" => Router::new().route("/hooks/{s}", post(|body: Bytes| async move { (StatusCode::OK, "{\"id\":\"0000000000000\"}") })),
        "parse" => Router::new().route("/hooks/{s}", post(|body: Bytes| async move { let p = parse(&body); assert!(p.len()>3); (StatusCode::OK, "{\"id\":\"0000000000000\"}") })),
        "limit" => {
            let (tx, rx) = std::sync::mpsc::channel();
            let p = dir.join("limit.db").to_string_lossy().into_owned();
            std::thread::spawn(move || limit_writer(&p, rx));
            Router::new().route("/hooks/{s}", post(move |body: Bytes| { let tx = tx.clone(); async move {
                let p = parse(&body); assert!(p.len()>3);
                let (done, rx) = tokio::sync::oneshot::channel();
                tx.send(LimitMsg{body, done}).unwrap();
                let id = rx.await.unwrap();
                (StatusCode::OK, format!("{{\"id\":\"{id:013}\"}}"))
            }}))
        }
        "ours" => {
            let clock: edge::clock::SharedClock = Arc::new(edge::clock::SystemClock);
            let store = store::Store::open("sqlite:ours.db", &dir, store::Access::Daemon).await.unwrap();
            let (inbox, commit) = ingest::group_commit(store, 10000, clock.clone(), telemetry::Metrics::new()).await.unwrap();
            std::thread::spawn(move || commit.run());
            let src = SourceName::new("demo");
            Router::new().route("/hooks/{s}", post(move |headers: HeaderMap, body: Bytes| { let inbox = inbox.clone(); let src=src.clone(); let clock=clock.clone(); async move {
                let p = parse(&body); assert!(p.len()>3);
                let e = NewEvent { source: src, received_at: clock.now(), content_type: headers.get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default(), meta: EventMeta { request_id: "0000000000000".into(), ..Default::default() }, body };
                let id = inbox.append(e).await.unwrap();
                (StatusCode::OK, format!("{{\"id\":\"{id}\"}}"))
            }}))
        }
        _ => panic!(),
    };
    axum::serve(listener, app).await.unwrap();
}

async fn client(port: u16, conns: usize, dur: Duration) -> (u64, Vec<u32>) {
    let end = Instant::now() + dur;
    let mut tasks = vec![];
    for c in 0..conns {
        tasks.push(tokio::spawn(async move {
            let mut s = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap(); s.set_nodelay(true).unwrap();
            let mut n = 0u64; let mut lat = vec![]; let mut buf = vec![0u8; 4096];
            while Instant::now() < end {
                let body = BODY.replace("NNNNNNNN", &format!("{:08}", c as u64*1000000+n));
                let req = format!("POST /hooks/demo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let t = Instant::now();
                s.write_all(req.as_bytes()).await.unwrap();
                let mut got = 0;
                loop { let r = s.read(&mut buf[got..]).await.unwrap(); assert!(r>0); got += r; if buf[..got].windows(4).any(|w| w==b"\r\n\r\n") && buf[..got].ends_with(b"}") { break } }
                assert!(buf.starts_with(b"HTTP/1.1 200"));
                lat.push(t.elapsed().as_micros() as u32); n += 1;
            }
            (n, lat)
        }));
    }
    let mut total = 0; let mut all = vec![];
    for t in tasks { let (n, l) = t.await.unwrap(); total += n; all.extend(l); }
    all.sort(); (total, all)
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a.get(1).map(|s| s.as_str()) == Some("serve") {
        let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        rt.block_on(async { let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(); println!("{}", l.local_addr().unwrap().port()); serve(a[2].clone(), l, a[3].clone().into()).await; });
        return;
    }
    if a.get(1).map(|s| s.as_str()) == Some("client") { let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(); let (n,_)=rt.block_on(client(a[2].parse().unwrap(), a[3].parse().unwrap(), Duration::from_secs(6))); println!("{n}"); return; }
    let rounds: usize = a.get(1).and_then(|s| s.parse().ok()).unwrap_or(3);
    let kinds: Vec<String> = a.get(2).map(|s| s.split(',').map(String::from).collect()).unwrap_or(vec!["bare".into(),"parse".into(),"limit".into(),"ours".into()]);
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for conns in [64usize, 256] { for round in 0..rounds { let mut line = format!("c={conns} r={round}");
        for kind in &kinds {
            let dir = tempfile::tempdir_in("/work/wt").unwrap();
            let mut child = std::process::Command::new(&a[0]).args(["serve", kind, dir.path().to_str().unwrap()]).stdout(std::process::Stdio::piped()).spawn().unwrap();
            let mut s = String::new(); { use std::io::BufRead; std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut s).unwrap(); }
            let port: u16 = s.trim().parse().unwrap();
            rt.block_on(client(port, conns, Duration::from_millis(300)));
            let d = Duration::from_secs(2);
            let cpu = |pid: u32| -> f64 { let t = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap(); let f: Vec<&str> = t.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap()+f[12].parse::<f64>().unwrap())*10_000.0 };
            let c0 = cpu(child.id());
            let (n, lat) = rt.block_on(client(port, conns, d));
            let per = (cpu(child.id())-c0)/n as f64;
            line += &format!("  {kind}={:.0}/s p50={} p99={}us cpu={per:.1}us", n as f64 / d.as_secs_f64(), lat[lat.len()/2], lat[lat.len()*99/100]);
            child.kill().unwrap(); child.wait().unwrap();
        } println!("{line}"); } }
}
