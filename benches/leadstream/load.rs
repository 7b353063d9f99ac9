//! The client of the benches: connections that each send the next request when the last is
//! answered (closed), or at fixed times (open). One thread; it parses no more than it must.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a run gave.
#[derive(Debug, Default)]
pub struct Run {
    /// Requests answered 200.
    pub answered: u64,
    /// In how many seconds.
    pub seconds: f64,
    /// Microseconds of each, sorted.
    pub latencies: Vec<u32>,
}

impl Run {
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds
    }

    pub fn percentile(&self, percent: usize) -> u32 {
        self.latencies
            .get((self.latencies.len() * percent / 100).min(self.latencies.len() - 1))
            .copied()
            .unwrap_or(0)
    }
}

/// A lead form's body, of a person of its own: 350 bytes, as browsers send it.
pub fn body(person: u64) -> String {
    format!(
        "first_name=Chlo%C3%A9&last_name=de+la+Cruz+{person}&email=chloe.{person}%40wayne.example\
         &company=Wayne+%26+Sons&phone=%2B4930{:08}&topics=crm&topics=ads&message=Bonjour+%F0%9F%91%8B\
         +je+voudrais+une+demo&website2=&utm_source=google&utm_medium=cpc&utm_campaign=spring\
         &gclid=Cj0KCQtest&consent=on&page_url=https%3A%2F%2Fwww.example.com%2Fdemo",
        20_000_000 + person % 70_000_000
    )
}

async fn post(stream: &mut TcpStream, buffer: &mut [u8], person: u64) -> std::io::Result<()> {
    let body = body(person);
    let request = format!(
        "POST /hooks/bench HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        filled += read;
        let answer = &buffer[..filled];
        // All servers here answer with a JSON object, which ends in a brace.
        if read == 0
            || (answer.ends_with(b"}") && answer.windows(4).any(|bytes| bytes == b"\r\n\r\n"))
        {
            break;
        }
    }
    if buffer[..filled].starts_with(b"HTTP/1.1 200") {
        Ok(())
    } else {
        let answer = String::from_utf8_lossy(&buffer[..filled]).into_owned();
        Err(std::io::Error::other(format!("not accepted: {answer}")))
    }
}

/// `connections` for `duration`, each as fast as it is answered. Persons are taken from `next`.
pub async fn closed(
    port: u16,
    connections: usize,
    duration: Duration,
    next: Arc<AtomicU64>,
) -> std::io::Result<Run> {
    let end = Instant::now() + duration;
    drive(port, connections, move || {
        let now = Instant::now();
        (now < end).then(|| (next.fetch_add(1, Ordering::Relaxed), now))
    })
    .await
}

/// `rate` requests a second over `connections` for `duration`, at fixed times. A request that is
/// sent late counts from when it was due, so that a stall is not hidden.
pub async fn open(
    port: u16,
    connections: usize,
    rate: f64,
    duration: Duration,
    next: Arc<AtomicU64>,
) -> std::io::Result<Run> {
    let start = Instant::now();
    let total = (rate * duration.as_secs_f64()) as u64;
    let taken = AtomicU64::new(0);
    drive(port, connections, move || {
        let turn = taken.fetch_add(1, Ordering::Relaxed);
        let due = start + Duration::from_secs_f64(turn as f64 / rate);
        (turn < total).then(|| (next.fetch_add(1, Ordering::Relaxed), due))
    })
    .await
}

/// `count` requests over `connections`, as fast as they are answered.
pub async fn count(
    port: u16,
    connections: usize,
    count: u64,
    next: Arc<AtomicU64>,
) -> std::io::Result<Run> {
    let last = next.load(Ordering::Relaxed) + count;
    drive(port, connections, move || {
        let person = next.fetch_add(1, Ordering::Relaxed);
        (person < last).then(|| (person, Instant::now()))
    })
    .await
}

/// Posts what `turns` gives, a person and when it is due, over `connections` until it gives none.
async fn drive(
    port: u16,
    connections: usize,
    turns: impl Fn() -> Option<(u64, Instant)> + Send + Sync + 'static,
) -> std::io::Result<Run> {
    let start = Instant::now();
    let turns = Arc::new(turns);
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                let mut buffer = vec![0; 4096];
                let mut latencies = Vec::new();
                while let Some((person, due)) = turns() {
                    if due > Instant::now() {
                        tokio::time::sleep_until(due.into()).await;
                    }
                    post(&mut stream, &mut buffer, person).await?;
                    latencies.push(due.elapsed().as_micros() as u32);
                }
                std::io::Result::Ok(latencies)
            })
        })
        .collect();
    gather(tasks, start).await
}

async fn gather(
    tasks: Vec<tokio::task::JoinHandle<std::io::Result<Vec<u32>>>>,
    start: Instant,
) -> std::io::Result<Run> {
    let mut run = Run::default();
    for task in tasks {
        run.latencies
            .extend(task.await.map_err(std::io::Error::other)??);
    }
    run.seconds = start.elapsed().as_secs_f64();
    run.answered = run.latencies.len() as u64;
    run.latencies.sort_unstable();
    Ok(run)
}
