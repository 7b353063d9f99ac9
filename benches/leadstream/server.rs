//! Processes that the benches measure.

use std::io::{BufRead as _, BufReader, Error, Result};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LEADSTREAM: &str = env!("CARGO_BIN_EXE_leadstream");

/// A child process that is killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub port: u16,
    /// From its start until it was ready, for the daemon.
    pub ready: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A reference (see `reference`).
    pub fn reference(name: &str, store: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", name, store]);
        Self::that_prints_its_port(command)
    }

    /// `leadstream sandbox`.
    pub fn sandbox(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(LEADSTREAM);
        command
            .args(["sandbox", "--listen", "127.0.0.1:0"])
            .args(arguments);
        Self::that_prints_its_port(command)
    }

    fn that_prints_its_port(mut command: Command) -> Result<Self> {
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.as_mut() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let port = line
            .trim()
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| Error::other(format!("no port in `{line}`")))?;
        Ok(Self {
            child,
            port,
            ready: start.elapsed(),
        })
    }

    /// `leadstream run`, in `directory`, over `store`, into the sandbox at `sandbox`. Returns when it
    /// is ready.
    pub fn leadstream(directory: &Path, store: &str, sandbox: u16) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let config = directory.join(format!("leadstream-{port}.toml"));
        std::fs::write(
            &config,
            format!(
                "[server]\nlisten = \"127.0.0.1:{port}\"\n[store]\nurl = \"{store}\"\n\
                 [salesforce]\nlogin_url = \"http://127.0.0.1:{sandbox}\"\nclient_id = \"bench\"\n\
                 client_secret = {{ env = \"BENCH_SECRET\" }}\n[sources.bench]\nconnector = \"web-form\"\n"
            ),
        )?;
        let start = Instant::now();
        let child = Command::new(LEADSTREAM)
            .arg("--config")
            .arg(&config)
            .arg("run")
            .env("BENCH_SECRET", "bench")
            .stderr(std::fs::File::create(directory.join("leadstream.log"))?)
            .spawn()?;
        let mut server = Self {
            child,
            port,
            ready: Duration::ZERO,
        };
        while !get(port, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(Error::other("leadstream is not ready after 10 s"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        server.ready = start.elapsed();
        Ok(server)
    }

    /// Processor seconds that it has used.
    pub fn processor_seconds(&self) -> Result<f64> {
        processor_seconds_of(&self.child.id().to_string())
    }

    /// A line of /proc/<pid>/status, in MiB.
    pub fn memory_mib(&self, line: &str) -> Result<f64> {
        memory_mib_of(&self.child.id().to_string(), line)
    }
}

/// Processor seconds that a process has used.
pub fn processor_seconds_of(process: &str) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|ticks| ticks.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    // USER_HZ is 100 on Linux.
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// A line of a process's status, in MiB.
pub fn memory_mib_of(process: &str, line: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = status
        .lines()
        .find_map(|text| text.strip_prefix(line))
        .and_then(|rest| {
            rest.trim_start_matches(':')
                .split_whitespace()
                .next()?
                .parse::<f64>()
                .ok()
        });
    Ok(kib.unwrap_or(0.0) / 1024.0)
}

/// GETs `path`, with the head of the answer.
pub fn get(port: u16, path: &str) -> Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
