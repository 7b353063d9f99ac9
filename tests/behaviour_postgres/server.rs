//! The throw-away PostgreSQL that other tests rely on.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use crate::postgres::{self, Server};

/// The longest that a server may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Set for the process that is killed.
const HOLDER: &str = "LEADSTREAM_TEST_HOLDS_POSTGRES";

async fn number(url: &str, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn every_test_gets_an_empty_database_of_its_own() {
    let (Some(one), Some(other)) = (postgres::database(), postgres::database()) else {
        return;
    };
    assert_ne!(one, other);
    let mut connection = PgConnection::connect(&one).await.unwrap();
    sqlx::query("CREATE TABLE event (id BIGINT PRIMARY KEY)")
        .execute(&mut connection)
        .await
        .unwrap();
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(number(&one, tables).await, 1);
    assert_eq!(number(&other, tables).await, 0);
}

#[tokio::test]
async fn a_server_that_was_killed_or_stopped_still_holds_what_was_committed() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.database();
    server.execute("test_0", "CREATE TABLE event (id BIGINT)".to_owned());
    let ends: [fn(&Server); 2] = [Server::kill, Server::stop];
    for (round, end) in ends.into_iter().enumerate() {
        let mut open = PgConnection::connect(&url).await.unwrap();
        sqlx::query("INSERT INTO event VALUES (1)")
            .execute(&mut open)
            .await
            .unwrap();
        end(&server);
        assert!(open.ping().await.is_err(), "it still answers");
        assert!(PgConnection::connect(&url).await.is_err());
        server.start_again();
        let count = number(&url, "SELECT COUNT(*) FROM event").await;
        assert_eq!(count, 1 + round as i64);
    }
    let directory = server.directory().to_owned();
    drop(server);
    assert!(!directory.exists());
}

#[test]
fn a_server_ends_with_its_test_process_even_if_that_is_killed() {
    if std::env::var_os(HOLDER).is_some() {
        let server = Server::start().unwrap();
        println!("{}", server.directory().display());
        println!("{}", server.port());
        // Until it is killed.
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    if postgres::database().is_none() {
        return;
    }
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg(std::thread::current().name().unwrap())
        .env(HOLDER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    // What the test harness prints comes first, and before it the name of the test.
    let directory = lines.find_map(|line| Some(line[line.find('/')?..].to_owned()));
    let directory = PathBuf::from(directory.unwrap());
    let port: u16 = lines.next().unwrap().parse().unwrap();
    assert!(directory.exists());
    holder.kill().unwrap();
    holder.wait().unwrap();

    let killed = Instant::now();
    let address = (std::net::Ipv4Addr::LOCALHOST, port);
    while directory.exists() || std::net::TcpStream::connect(address).is_ok() {
        assert!(killed.elapsed() < PATIENCE, "it outlives its test process");
        std::thread::yield_now();
    }
}
