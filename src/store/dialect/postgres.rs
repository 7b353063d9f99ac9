//! PostgreSQL: one database, many nodes.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqlSafeStr};

use super::{Migrated, bring_up_to_date};
use crate::store::StoreError;

/// Commits do not wait for the disk: what a crash of the server takes back is decided again from
/// the inbox, and `commit_durably` waits before anything is sent
/// (postgresql.org/docs/current/wal-async-commit.html).
pub(super) const BEGIN_WRITE: &str = "BEGIN; SET LOCAL synchronous_commit TO off";

/// This commit waits, and with it all before it: the log is written in order.
pub(super) const WAIT_FOR_DISK: &str = "SET LOCAL synchronous_commit TO on";

/// One view of everything, for books that add up.
pub(super) const BEGIN_VIEW: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Process and deliver each hold one; the others are for house keeping, health and commands.
const MOST_CONNECTIONS: u32 = 8;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a statement may take to be answered. A network that is cut in silence would otherwise
/// hold up a loop until the system gives up, after a quarter of an hour.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long closing may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What every connection is told once.
const SETTINGS: [&str; 3] = [
    // Whatever the server or the role has: what is acknowledged is on disk.
    "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
     WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)",
    "SET statement_timeout = '60s'",
    // Plans of an empty table would still be used when it holds millions.
    "SET plan_cache_mode = force_custom_plan",
];

/// A database of PostgreSQL.
pub(in crate::store) struct PostgresDatabase {
    pub(super) pool: PgPool,
    options: PgConnectOptions,
    lease: Duration,
    pub(super) migrated: Migrated,
}

/// Its options hold the password.
impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresDatabase")
    }
}

impl PostgresDatabase {
    /// Connects, and brings the tables up to date. Nodes that do so together wait for one another.
    ///
    /// A node that stops in the middle of a transaction loses it after `lease`, and with it the
    /// rows that it has locked: nobody else could take them over.
    pub(in crate::store) async fn open(url: &str, lease: Duration) -> Result<Self, StoreError> {
        let options = options_of(url)?;
        // Without a limit for statements: an index on a large table takes its time.
        let mut connection = in_time(CONNECT_TIMEOUT, options.connect()).await?;
        let migrated = bring_up_to_date(
            &mut connection,
            &sqlx::migrate!("src/store/migrations/postgres"),
            place(&options),
        )
        .await?;
        drop(connection);
        let pool = PgPoolOptions::new()
            .max_connections(MOST_CONNECTIONS)
            .min_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    set_up(connection).await?;
                    limit(connection, lease).await
                })
            })
            .connect_with(options.clone())
            .await?;
        Ok(Self {
            pool,
            options,
            lease,
            migrated,
        })
    }

    /// One connection to a database whose tables may be missing, and stay as they are.
    pub(in crate::store) async fn peek(url: &str) -> Result<PgConnection, StoreError> {
        Ok(connect(&options_of(url)?).await?)
    }

    /// How long a node may be silent.
    pub(in crate::store) fn lease(&self) -> Duration {
        self.lease
    }

    /// How to connect.
    pub(in crate::store) fn options(&self) -> &PgConnectOptions {
        &self.options
    }
}

fn options_of(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| StoreError::Url(error.to_string()))?;
    Ok(encrypted(options, url)
        .application_name("leadstream")
        .statement_cache_capacity(256)
        .disable_statement_logging())
}

/// Its address, without the password.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let user = options.get_username();
    let name = options.get_database().unwrap_or(user);
    match options.get_socket() {
        Some(socket) => format!("postgres://{user}@/{name}?host={}", socket.display()),
        None => format!(
            "postgres://{user}@{}:{}/{name}",
            options.get_host(),
            options.get_port()
        ),
    }
}

/// Leads are personal data: to another machine they go encrypted, unless the address says how.
fn encrypted(options: PgConnectOptions, url: &str) -> PgConnectOptions {
    let host = options.get_host();
    let is_loopback = host
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback());
    let is_near = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || is_loopback;
    if is_near || url.contains("sslmode=") {
        options
    } else {
        options.ssl_mode(PgSslMode::Require)
    }
}

/// One connection apart from the pool.
pub(in crate::store) async fn connect(
    options: &PgConnectOptions,
) -> Result<PgConnection, sqlx::Error> {
    in_time(CONNECT_TIMEOUT, async {
        let mut connection = options.connect().await?;
        set_up(&mut connection).await?;
        Ok(connection)
    })
    .await
}

/// The same for transactions, which a node that stops in the middle of one loses after `lease`.
pub(in crate::store) async fn connect_limited(
    options: &PgConnectOptions,
    lease: Duration,
) -> Result<PgConnection, sqlx::Error> {
    in_time(CONNECT_TIMEOUT, async {
        let mut connection = connect(options).await?;
        limit(&mut connection, lease).await?;
        Ok(connection)
    })
    .await
}

async fn set_up(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for setting in SETTINGS {
        set(connection, setting).await?;
    }
    Ok(())
}

/// See `PostgresDatabase::open`.
async fn limit(connection: &mut PgConnection, lease: Duration) -> Result<(), sqlx::Error> {
    let millis = lease.as_millis();
    let limit = format!("SET idle_in_transaction_session_timeout = {millis}");
    set(connection, AssertSqlSafe(limit)).await?;
    // One that stops while it is being answered is not idle.
    let limit = format!("SET tcp_user_timeout = {millis}");
    set(connection, AssertSqlSafe(limit)).await
}

/// An engine that speaks PostgreSQL need not know all settings; each only spares trouble.
async fn set(connection: &mut PgConnection, setting: impl SqlSafeStr) -> Result<(), sqlx::Error> {
    match sqlx::raw_sql(setting).execute(connection).await {
        Err(error) if error.as_database_error().is_none() => Err(error),
        _ => Ok(()),
    }
}

/// The answer of a statement, if it comes in time.
pub(in crate::store) async fn answered<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    in_time(ANSWER_TIMEOUT, answer).await
}

/// By the machine's clock, whatever time it is for leads: it is the network that is waited for.
pub(in crate::store) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| {
            Err(sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "the database did not answer in time",
            )))
        })
}
