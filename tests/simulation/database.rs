//! One PostgreSQL for several nodes. Each node is a role of its own there, so that what it does can
//! be told from what the others do, and be ended.

use leadstream::config::StoreConfig;
use leadstream::store::{Access, Node, Store};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::postgres::Server;

/// Nodes over one database.
pub const NODES: usize = 2;

/// The same as those of a file: else they are random, and no run could be repeated.
const FACTS: &str = "INSERT INTO store_info (name, value) VALUES \
     ('tag', '51A7E0DD'), ('key_secret', '0123456789ABCDEF0123456789ABCDEF')";

/// Not in time, which is the database's and real here: by hand.
const END_LEASE: &str = "UPDATE node SET until = 0 WHERE token * 256 + slot = $1";

/// Those of a node, in this database.
const SESSIONS: &str =
    "FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE $1";

/// Who waits for a lock that another transaction holds: rows, and what is to become one.
const BLOCKED: &str = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND locktype <> 'extend' \
     AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE 'node%')";

fn role(node: usize) -> String {
    format!("node{node}")
}

/// Names all nodes in place of one.
const ALL: &str = "node%";

/// A server whose databases nodes can connect to; none where no PostgreSQL is installed.
pub fn server() -> Option<Server> {
    let server = Server::start()?;
    for node in 0..NODES {
        let role = role(node);
        server.execute(
            "postgres",
            format!("CREATE ROLE {role} LOGIN SUPERUSER; ALTER ROLE {role} SET deadlock_timeout = '20ms'"),
        );
    }
    Some(server)
}

/// A database of one thread, which all its worlds have one after the other.
#[derive(Debug)]
pub struct Database {
    url: String,
    /// The harness's own.
    connection: PgConnection,
    empty: String,
}

impl Database {
    pub async fn new(server: &Server) -> Self {
        let url = server.database();
        // Makes the tables, and is no node.
        let store = Store::open(&StoreConfig::at(&url), Access::Command)
            .await
            .unwrap();
        store.close().await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_%'",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        Self {
            url,
            connection,
            empty: format!("TRUNCATE {}; {FACTS}", tables.join(", ")),
        }
    }

    /// Where `node` finds it.
    pub fn url(&self, node: usize) -> String {
        self.url.replace("leadstream@", &format!("{}@", role(node)))
    }

    /// As it was when it was made.
    pub async fn clear(&mut self) {
        self.end_sessions(ALL, "TRUE").await;
        let empty = sqlx::raw_sql(AssertSqlSafe(self.empty.clone()));
        empty.execute(&mut self.connection).await.unwrap();
    }

    /// What the system does for a process that dies.
    pub async fn end_sessions_of(&mut self, node: usize) {
        self.end_sessions(&role(node), "TRUE").await;
    }

    /// What the server does for one that has stood still in a transaction for too long.
    pub async fn end_transactions_of(&mut self, node: usize) {
        self.end_sessions(&role(node), "state LIKE 'idle in transaction%'")
            .await;
    }

    /// They have left no lock when this returns.
    async fn end_sessions(&mut self, role: &str, which: &str) {
        let end = format!("SELECT pid, pg_terminate_backend(pid) {SESSIONS} AND {which}");
        let ended: Vec<(i32, bool)> = sqlx::query_as(AssertSqlSafe(end))
            .bind(role)
            .fetch_all(&mut self.connection)
            .await
            .unwrap();
        let ended: Vec<i32> = ended.into_iter().map(|(pid, _)| pid).collect();
        while !ended.is_empty()
            && self
                .count(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)",
                    &ended,
                )
                .await
                > 0
        {}
    }

    async fn count<'q, V>(&mut self, query: &'static str, value: &'q V) -> i64
    where
        V: ?Sized,
        &'q V: sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(query)
            .bind(value)
            .fetch_one(&mut self.connection)
            .await
            .unwrap()
    }

    /// The lease of `node` is over.
    pub async fn end_lease(&mut self, node: Node) {
        let end = sqlx::query(END_LEASE).bind(node.mark());
        end.execute(&mut self.connection).await.unwrap();
    }

    /// How many sessions of nodes wait for a lock.
    pub async fn blocked(&mut self) -> usize {
        let count: i64 = sqlx::query_scalar(BLOCKED)
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        count as usize
    }

    /// Waits until no node is in a transaction: those that nobody wants any more are taken back by
    /// themselves, a moment later.
    pub async fn until_calm(&mut self) {
        const BUSY: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND usename LIKE $1 AND state <> 'idle'";
        while self.count(BUSY, ALL).await > 0 {
            // Taking back is the runtime's, behind us.
            tokio::task::yield_now().await;
        }
    }
}
