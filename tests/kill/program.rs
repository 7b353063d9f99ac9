//! The binary: a daemon and a sandbox as processes of their own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::http::{Answer, Connection};
use super::wait;

const START: Duration = Duration::from_secs(20);

/// After so much silence of a node others take over what it was doing: the least that there is.
pub const LEASE: Duration = Duration::from_secs(2);

fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leadstream"));
    surroundings(&mut command, directory);
    command
}

fn surroundings<'c>(command: &'c mut Command, directory: &Path) -> &'c mut Command {
    command
        .current_dir(directory)
        .env_clear()
        .env("SF_CLIENT_SECRET", "not-so-secret")
}

/// A process that is killed when the test ends, however it ends.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `leadstream sandbox`.
#[derive(Debug)]
pub struct SandboxProcess {
    address: SocketAddr,
    _process: Process,
}

impl SandboxProcess {
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut child = program(directory)
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let process = Process(child);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("sandbox: http://")
            .unwrap()
            .parse()
            .unwrap();
        drain(stdout, Arc::default());
        Self {
            address,
            _process: process,
        }
    }

    pub fn get(&self, path: &str) -> serde_json::Value {
        Connection::open(self.address)
            .unwrap()
            .get(path)
            .unwrap()
            .json()
    }

    pub fn leads(&self) -> u64 {
        self.get("/sandbox/stats")["records"]["Lead"]
            .as_u64()
            .unwrap()
    }

    pub fn set_faults(&self, faults: &str) {
        let mut connection = Connection::open(self.address).unwrap();
        let answer = connection
            .post("/sandbox/faults", "application/json", faults.as_bytes())
            .unwrap();
        assert_eq!(answer.status, 200);
    }
}

/// A folder with a configuration, in which daemons are started.
#[derive(Debug)]
pub struct Site {
    pub directory: TempDir,
    pub sandbox: SandboxProcess,
    /// The URL of its database, if that is PostgreSQL.
    pub postgres: Option<String>,
}

impl Site {
    /// With a file as store.
    pub fn new(sandbox_arguments: &[&str]) -> Self {
        Self::with_store("url = \"sqlite:leads.db\"", None, sandbox_arguments)
    }

    /// With a PostgreSQL, that several daemons can share.
    pub fn over(postgres: String, sandbox_arguments: &[&str]) -> Self {
        let lease = LEASE.as_secs();
        let store = format!("url = \"{postgres}\"\nlease_seconds = {lease}");
        Self::with_store(&store, Some(postgres), sandbox_arguments)
    }

    fn with_store(store: &str, postgres: Option<String>, sandbox_arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sandbox = SandboxProcess::start(directory.path(), sandbox_arguments);
        let config = format!(
            r#"
            [server]
            listen = "127.0.0.1:0"
            shutdown_timeout_seconds = 5
            [store]
            {store}
            [salesforce]
            login_url = "http://{}"
            client_id = "kill-test"
            client_secret = {{ env = "SF_CLIENT_SECRET" }}
            request_timeout_seconds = 5
            [salesforce.lead]
            Title = {{ from = "title", write = "always" }}
            [sources.demo]
            connector = "web-form"
            "#,
            sandbox.address
        );
        std::fs::write(directory.path().join("leadstream.toml"), config).unwrap();
        Self {
            directory,
            sandbox,
            postgres,
        }
    }

    /// `leadstream run`, taking leads when this returns.
    pub fn run(&self) -> DaemonProcess {
        DaemonProcess::start(program(self.directory.path()).arg("run"))
    }

    /// The same, able to live on a disk that [`DaemonProcess::fill_disk`] fills: the system's own
    /// limit would end it otherwise.
    #[cfg(target_os = "linux")]
    pub fn run_on_small_disk(&self) -> DaemonProcess {
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$0\" run"])
            .arg(env!("CARGO_BIN_EXE_leadstream"));
        DaemonProcess::start(surroundings(&mut command, self.directory.path()))
    }

    /// Runs another command of the binary to its end.
    pub fn command(&self, arguments: &[&str]) -> Output {
        program(self.directory.path())
            .args(arguments)
            .output()
            .unwrap()
    }
}

/// `leadstream run`.
#[derive(Debug)]
pub struct DaemonProcess {
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    process: Process,
}

impl DaemonProcess {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        drain(
            BufReader::new(child.stderr.take().unwrap()),
            Arc::clone(&log),
        );
        let mut process = Process(child);
        let address = wait::until("the daemon takes leads", START, || {
            let log = log.lock().unwrap();
            assert_eq!(process.0.try_wait().unwrap(), None, "it ended: {log}");
            let line = log
                .lines()
                .find(|line| line.contains("leadstream takes leads"))?;
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["fields"]["address"].as_str()?.parse().ok()
        });
        Self {
            address,
            log,
            process,
        }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn get(&self, path: &str) -> Option<Answer> {
        Connection::open(self.address).ok()?.get(path).ok()
    }

    /// Posts a form to the source.
    pub fn post(&self, content_type: &str, body: &[u8]) -> Option<Answer> {
        let mut connection = Connection::open(self.address).ok()?;
        connection.post("/hooks/demo", content_type, body).ok()
    }

    /// The sum of a metric's lines that hold `with`; none if the daemon does not answer.
    pub fn metric(&self, name: &str, with: &str) -> Option<f64> {
        let text = String::from_utf8(self.get("/metrics")?.body).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(with));
        Some(
            lines
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum(),
        )
    }

    /// No file may grow beyond `bytes`: what the system answers to a write beyond is what a full disk
    /// makes of it, an error. None: there is room again.
    #[cfg(target_os = "linux")]
    pub fn fill_disk(&self, bytes: Option<u64>) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        let process = Pid::from_raw(self.process.0.id().try_into().unwrap());
        prlimit(process, Resource::Fsize, limit).unwrap();
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// Sends a signal by its name, as in `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args([
                "-c",
                "kill -s \"$0\" \"$1\"",
                name,
                &self.process.0.id().to_string(),
            ])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub fn ended(mut self, within: Duration) -> (ExitStatus, String) {
        let log = Arc::clone(&self.log);
        let status = wait::until("the daemon ends", within, || {
            self.process.0.try_wait().unwrap()
        });
        let log = log.lock().unwrap().clone();
        (status, log)
    }
}

/// Reads to the end, so that the process never waits for us.
fn drain(mut from: impl BufRead + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut line = String::new();
        while from.read_line(&mut line).is_ok_and(|read| read > 0) {
            into.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
}
