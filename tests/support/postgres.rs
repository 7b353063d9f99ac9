//! A throw-away PostgreSQL, started from the binaries that are installed.
//!
//! One server a test process, started when the first test asks; or a server of a test's own, to be
//! killed and started again. All that it is ends with the test process, however that ends. Used by
//! several test binaries through `#[path]`: nothing here looks outside this file.
//!
//! Where no PostgreSQL is installed, `database` and `Server::start` say so on stderr and return
//! `None`, and the test passes; with `LEADSTREAM_REQUIRE_POSTGRES=1` they fail it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "support of tests: not every binary uses all of it, and another process is waited for on its own clock"
)]

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

/// The superuser, trusted on loopback.
const USER: &str = "leadstream";

/// The longest that the server may take to start, on a busy machine, after a crash too.
const START: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(5);

/// Another process may take the port between our choice and the server's start.
const PORTS_TRIED: usize = 10;

/// Waits until its stdin is closed, which the system does for whoever is killed; then ends the
/// process that was named last, and removes the folder.
const WATCHDOG: &str = r#"
    pid=none
    while read -r line; do pid=$line; done
    if [ "$pid" != none ]; then
        kill -QUIT "$pid"
        tries=0
        while [ -e "$0/data/postmaster.pid" ] && [ $tries -lt 100 ]; do
            sleep 0.05
            tries=$((tries + 1))
        done
        kill -KILL "$pid"
    fi 2>/dev/null
    rm -rf "$0"
"#;

/// Starts a program only when it is told to: by then the watchdog knows its process id.
const GATE: &str = r#"read -r go && exec "$0" "$@" </dev/null"#;

/// A fresh, empty database in the server that all tests of this process share, as its URL; none
/// where no PostgreSQL is installed.
pub fn database() -> Option<String> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    match SHARED.get_or_init(|| installed().map(Server::of)) {
        Some(server) => Some(server.database()),
        None => skip(),
    }
}

/// A server with a folder and a port of its own. Dropped, it is gone.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    directory: TempDir,
    account: Option<Account>,
    watchdog: Mutex<Child>,
    running: Mutex<Option<Child>>,
    port: OnceLock<u16>,
    databases: AtomicU64,
    durable: bool,
}

/// Whom PostgreSQL runs as where we are root: it refuses that.
#[derive(Debug, Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl Server {
    /// A running server; none where no PostgreSQL is installed.
    pub fn start() -> Option<Self> {
        installed().map(Self::of).or_else(skip)
    }

    /// The same as people run it, for benches: what is committed survives a loss of power.
    pub fn start_durable() -> Option<Self> {
        installed()
            .map(|programs| Self::with(programs, true))
            .or_else(skip)
    }

    fn of(programs: PathBuf) -> Self {
        Self::with(programs, false)
    }

    fn with(programs: PathBuf, durable: bool) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("leadstream-postgres-")
            .tempdir()
            .unwrap();
        let account = rustix::process::geteuid().is_root().then(account);
        if let Some(Account { user, group }) = account {
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let watchdog = Command::new("sh")
            .arg("-c")
            .arg(WATCHDOG)
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C and time limits end the whole group; it has to outlive them.
            .process_group(0)
            .spawn()
            .unwrap();
        let server = Self {
            programs,
            directory,
            account,
            watchdog: Mutex::new(watchdog),
            running: Mutex::default(),
            port: OnceLock::new(),
            databases: AtomicU64::new(0),
            durable,
        };
        server.make_files();
        let mut tried = 0;
        loop {
            let port = free_port();
            if server.try_start(port) {
                server.port.set(port).unwrap();
                return server;
            }
            tried += 1;
            assert!(
                tried < PORTS_TRIED,
                "PostgreSQL does not start:\n{}",
                server.log()
            );
        }
    }

    /// A fresh, empty database, as its URL.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        // Nobody can be connected to template0, so this never has to wait.
        self.execute(
            "postgres",
            format!("CREATE DATABASE {name} TEMPLATE template0"),
        );
        self.url(&name)
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port())
    }

    /// Where it keeps all that it has.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The port of loopback that it listens on, again after a start.
    pub fn port(&self) -> u16 {
        *self.port.get().unwrap()
    }

    /// Runs statements in one of its databases, as an administrator beside the tested.
    pub fn execute(&self, database: &str, sql: String) {
        let url = self.url(database);
        // On a thread of its own: the caller may be in a runtime.
        let run = move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(async {
                    let mut connection = PgConnection::connect(&url).await?;
                    sqlx::raw_sql(AssertSqlSafe(sql))
                        .execute(&mut connection)
                        .await?;
                    connection.close().await
                })
        };
        thread::spawn(run).join().unwrap().unwrap();
    }

    /// SIGKILL: it ends in the middle of whatever it does, and recovers at its next start.
    pub fn kill(&self) {
        let mut running = self.running.lock().unwrap();
        let child = running.as_mut().expect("it runs");
        child.kill().unwrap();
        self.forget_and_reap(child);
        *running = None;
    }

    /// Ends it in order, at once: clients are told so and cut off.
    pub fn stop(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        let mut running = self.running.lock().unwrap();
        let child = running.as_mut().expect("it runs");
        kill_process(Pid::from_child(child), Signal::INT).unwrap();
        self.forget_and_reap(child);
        *running = None;
    }

    /// Starts it again, with what it held, on the same port.
    pub fn start_again(&self) {
        let deadline = Instant::now() + START;
        // Its port may be somebody else's for a moment.
        while !self.try_start(self.port()) {
            assert!(
                Instant::now() < deadline,
                "PostgreSQL does not start again:\n{}",
                self.log()
            );
            thread::sleep(EVERY);
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn make_files(&self) {
        let mut command = self.command("initdb");
        command
            .args(["--auth=trust", "--no-sync", "--encoding=UTF8"])
            .args(["--locale=C", "--username", USER, "--pgdata"])
            .arg(self.data())
            .stdout(Stdio::null());
        let mut child = self.spawn(command);
        let made = child.wait().unwrap();
        self.watch("none");
        assert!(made.success(), "initdb: {made}:\n{}", self.log());
    }

    /// Whether it has started; if not, it has ended again.
    fn try_start(&self, port: u16) -> bool {
        let mut running = self.running.lock().unwrap();
        assert!(running.is_none(), "it runs");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        let port = format!("port={port}");
        for setting in [
            "listen_addresses=127.0.0.1",
            &port,
            "unix_socket_directories=",
            "max_connections=200",
            // No shared memory is left behind by a server that is killed.
            "dynamic_shared_memory_type=mmap",
        ] {
            command.args(["-c", setting]);
        }
        let settings = if self.durable {
            ["shared_buffers=256MB", "max_wal_size=4GB"]
        } else {
            // Only processes are killed, never the machine.
            ["fsync=off", "full_page_writes=off"]
        };
        for setting in settings {
            command.args(["-c", setting]);
        }
        let mut child = self.spawn(command);
        let deadline = Instant::now() + START;
        loop {
            if self.ready(&child) {
                *running = Some(child);
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                self.watch("none");
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "PostgreSQL is not ready within {START:?}:\n{}",
                self.log()
            );
            thread::sleep(EVERY);
        }
    }

    /// The file that every server keeps: its process id in the first line, its state in the eighth
    /// (miscadmin.h: LOCK_FILE_LINE_PM_STATUS).
    fn ready(&self, child: &Child) -> bool {
        let Ok(text) = fs::read_to_string(self.data().join("postmaster.pid")) else {
            return false;
        };
        let lines: Vec<&str> = text.lines().collect();
        lines.first().copied() == Some(child.id().to_string().as_str())
            && lines.get(7).is_some_and(|state| state.trim() == "ready")
    }

    /// One of its programs, as whom it may run; what it prints goes to the log.
    fn command(&self, program: &str) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("log"))
            .unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", GATE])
            .arg(self.programs.join(program))
            .current_dir(self.directory.path())
            .stdin(Stdio::piped())
            // Nothing is printed there: see `forget_and_reap`.
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        if let Some(Account { user, group }) = self.account {
            command.uid(user).gid(group);
        }
        command
    }

    fn spawn(&self, mut command: Command) -> Child {
        let mut child = command.spawn().unwrap();
        self.watch(&child.id().to_string());
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        child
    }

    /// Tells the watchdog whom to kill.
    fn watch(&self, pid: &str) {
        let watchdog = self.watchdog.lock().unwrap();
        let mut stdin = watchdog.stdin.as_ref().unwrap();
        stdin.write_all(format!("{pid}\n").as_bytes()).unwrap();
    }

    /// Waits until all its processes have ended: of a killed server, some notice only a moment
    /// later, and still answer. The last to go closes their output.
    fn forget_and_reap(&self, child: &mut Child) {
        self.watch("none");
        child.wait().unwrap();
        let mut output = child.stdout.take().unwrap();
        io::copy(&mut output, &mut io::sink()).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let watchdog = self.watchdog.get_mut().unwrap();
        drop(watchdog.stdin.take());
        // An error means that it has ended already.
        if let Some(mut child) = self.running.get_mut().unwrap().take() {
            let _ = child.wait();
        }
        let _ = watchdog.wait();
    }
}

/// The folder of the newest PostgreSQL: that of PATH, or where Debian has them, out of PATH.
fn installed() -> Option<PathBuf> {
    let complete =
        |folder: &Path| ["initdb", "postgres"].map(|name| folder.join(name).is_file()) == [true; 2];
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(|folder| complete(folder)) {
        return Some(folder);
    }
    fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| complete(folder))
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder)
}

fn skip<T>() -> Option<T> {
    assert!(
        std::env::var_os("LEADSTREAM_REQUIRE_POSTGRES").is_none_or(|value| value != "1"),
        "PostgreSQL is not installed, and LEADSTREAM_REQUIRE_POSTGRES=1"
    );
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not by `eprintln!`: the test harness would keep it to itself, as the test passes.
    let _ = writeln!(io::stderr(), "skipped: PostgreSQL is not installed: {test}");
    None
}

fn account() -> Account {
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| {
            let line = accounts
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let mut numbers = line.split(':').skip(2).map(str::parse);
            Some(Account {
                user: numbers.next()?.ok()?,
                group: numbers.next()?.ok()?,
            })
        })
        .expect("an account that PostgreSQL can run as: postgres or nobody")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
