//! What `/hooks` is measured against, each a server of its own in a process of its own:
//! *bare*, an axum handler that stores nothing; *parse*, the same with the body parsed; *limit*,
//! which parses and puts the body into a SQLite table by group commit; *limit-postgres*, which does
//! so into a table of PostgreSQL, one statement a group.

use std::path::Path;
use std::sync::mpsc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::place::Place;

/// The references, by name.
pub fn names(place: Place) -> [&'static str; 3] {
    match place {
        Place::Sqlite => ["bare", "parse", "limit"],
        Place::Postgres => ["bare", "parse", "limit-postgres"],
    }
}

/// Serves the reference `name` over `store`; prints its port.
pub async fn serve(name: &str, store: &str) -> std::io::Result<()> {
    let router = match name {
        "bare" => Router::new().route("/hooks/{source}", post(|_: Bytes| async { receipt(0) })),
        "parse" => Router::new().route(
            "/hooks/{source}",
            post(|body: Bytes| async move {
                std::hint::black_box(parse(&body));
                receipt(0)
            }),
        ),
        "limit" => {
            let (queue, waiting) = mpsc::channel();
            let connection = database(Path::new(store)).map_err(std::io::Error::other)?;
            std::thread::spawn(move || commit(&connection, &waiting));
            Router::new()
                .route("/hooks/{source}", post(keep))
                .with_state(queue)
        }
        "limit-postgres" => {
            let (queue, waiting) = tokio::sync::mpsc::unbounded_channel();
            let connection = tables(store).await.map_err(std::io::Error::other)?;
            tokio::spawn(insert(connection, waiting));
            Router::new()
                .route("/hooks/{source}", post(keep_in_postgres))
                .with_state(queue)
        }
        _ => return Err(std::io::Error::other("no such reference")),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::say(&listener.local_addr()?.port().to_string());
    axum::serve(listener, router).await
}

fn parse(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}

fn receipt(id: i64) -> String {
    format!("{{\"id\":\"{id:013}\"}}")
}

struct Waiting {
    body: Bytes,
    done: oneshot::Sender<i64>,
}

async fn keep(
    State(queue): State<mpsc::Sender<Waiting>>,
    body: Bytes,
) -> Result<String, axum::http::StatusCode> {
    const FAILED: axum::http::StatusCode = axum::http::StatusCode::SERVICE_UNAVAILABLE;
    std::hint::black_box(parse(&body));
    let (done, committed) = oneshot::channel();
    queue.send(Waiting { body, done }).map_err(|_| FAILED)?;
    committed.await.map(receipt).map_err(|_| FAILED)
}

fn database(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 2000;
         CREATE TABLE event (id INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    )?;
    Ok(connection)
}

/// One thread that owns the connection: takes all that wait, a prepared statement a row, one
/// commit. Tried beside it: many rows a statement (the same within noise, as the statement is
/// prepared), and waiting a little for more (slower).
fn commit(connection: &rusqlite::Connection, queue: &mpsc::Receiver<Waiting>) {
    let mut id = 0;
    let mut batch = Vec::new();
    while let Ok(first) = queue.recv() {
        batch.push(first);
        batch.extend(queue.try_iter().take(1023));
        let first = id + 1;
        let written = (|| {
            let transaction = connection.unchecked_transaction()?;
            let mut insert =
                transaction.prepare_cached("INSERT INTO event (id, body) VALUES (?, ?)")?;
            for waiting in &batch {
                id += 1;
                insert.execute((id, &waiting.body[..]))?;
            }
            drop(insert);
            transaction.commit()
        })();
        if written.is_err() {
            return;
        }
        for (id, waiting) in (first..).zip(batch.drain(..)) {
            let _ = waiting.done.send(id);
        }
    }
}

async fn keep_in_postgres(
    State(queue): State<tokio::sync::mpsc::UnboundedSender<Waiting>>,
    body: Bytes,
) -> Result<String, axum::http::StatusCode> {
    const FAILED: axum::http::StatusCode = axum::http::StatusCode::SERVICE_UNAVAILABLE;
    std::hint::black_box(parse(&body));
    let (done, committed) = oneshot::channel();
    queue.send(Waiting { body, done }).map_err(|_| FAILED)?;
    committed.await.map(receipt).map_err(|_| FAILED)
}

async fn tables(url: &str) -> Result<PgConnection, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql("CREATE TABLE event (id BIGINT PRIMARY KEY, body BYTEA NOT NULL)")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

/// Takes all that wait, one statement for them, which is its own transaction.
async fn insert(
    mut connection: PgConnection,
    mut queue: tokio::sync::mpsc::UnboundedReceiver<Waiting>,
) {
    let mut next = 1;
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, 1024).await > 0 {
        let ids: Vec<i64> = (next..).take(batch.len()).collect();
        let bodies: Vec<&[u8]> = batch.iter().map(|waiting| &waiting.body[..]).collect();
        let written = sqlx::query(
            "INSERT INTO event (id, body) SELECT * FROM unnest($1::bigint[], $2::bytea[])",
        )
        .bind(&ids)
        .bind(&bodies)
        .execute(&mut connection)
        .await;
        if written.is_err() {
            return;
        }
        next += batch.len() as i64;
        for (id, waiting) in ids.into_iter().zip(batch.drain(..)) {
            let _ = waiting.done.send(id);
        }
    }
}
