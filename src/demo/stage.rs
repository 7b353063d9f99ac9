use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::landing;
use super::leads::ORG_ID;
use crate::config::{self, Config};
use crate::daemon::{Daemon, StartError};
use crate::diagnostic;
use crate::edge::clock::SharedClock;
use crate::edge::random;
use crate::edge::serve::serve;
use crate::edge::shutdown::{self, Trigger};
use crate::sandbox::{CustomField, Faults, Sandbox, SandboxOptions};
use crate::store::StoreError;

const CONFIG: &str = include_str!("demo.toml");
const CONFIG_FILE: &str = "leadstream.toml";
const SECRET_FILE: &str = "client-secret";
const STORE_FILE: &str = "leadstream.db";

/// How long the landing page's answers in hand may take at the end.
const PAGE_PATIENCE: Duration = Duration::from_secs(2);

/// Where each part listens if it can, unless told otherwise.
const DAEMON_PORT: u16 = 8080;
const SANDBOX_PORT: u16 = 8090;
const PAGE_PORT: u16 = 8070;

/// How the demo is set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where its files go; none: a fresh temporary directory.
    pub directory: Option<PathBuf>,
    /// Where the daemon listens; none: port 8080, or any other that is free.
    pub daemon: Option<SocketAddr>,
    /// Where the sandbox listens; none: port 8090, or any other that is free.
    pub sandbox: Option<SocketAddr>,
    /// Where the landing page is; none: port 8070, or any other that is free.
    pub page: Option<SocketAddr>,
    /// What goes wrong in the sandbox.
    pub faults: Faults,
    /// Decides the leads, and which requests meet a fault.
    pub seed: u64,
    /// How many leads are sent at once at the start.
    pub leads: usize,
    /// Whether to stop when they are at their end.
    pub once: bool,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or directory cannot be made.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory is not fresh. Its leads would be in no sandbox, which begins empty.
    #[error("{0} holds the leads of an earlier demo: name another directory, or remove it")]
    Used(PathBuf),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration that the demo wrote is wrong.
    #[error("the demo's own configuration is wrong:\n{0}")]
    Config(String),
    /// The daemon does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
}

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The configuration file.
    pub config: PathBuf,
    /// URLs, without a slash at the end.
    pub daemon: String,
    /// The sandbox.
    pub sandbox: String,
    /// The landing page.
    pub page: String,
}

/// All parts, running.
#[derive(Debug)]
pub struct Stage {
    /// Where they are.
    pub addresses: Addresses,
    /// The daemon.
    pub daemon: Daemon,
    /// The Salesforce org.
    pub sandbox: Sandbox,
    /// Removed at the end unless there is something left to look at.
    temporary: Option<PathBuf>,
    stop_sandbox: Trigger,
    stop_page: Trigger,
    sandbox_task: JoinHandle<io::Result<()>>,
    page_task: JoinHandle<()>,
}

impl Stage {
    /// Puts all of it up. When this returns, leads are taken.
    pub async fn put_up(options: &Options, clock: &SharedClock) -> Result<Self, DemoError> {
        let directory = options.directory.clone();
        let is_temporary = directory.is_none();
        let directory = directory.unwrap_or_else(fresh_directory);
        let temporary = is_temporary.then(|| directory.clone());
        // So that what is shown can be pasted anywhere.
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        make_directory(&directory)?;
        let page = listen(options.page, PAGE_PORT).await?;
        let sandbox_listener = listen(options.sandbox, SANDBOX_PORT).await?;
        let daemon_listener = listen(options.daemon, DAEMON_PORT).await?;
        let [at_daemon, at_sandbox, at_page] =
            [&daemon_listener, &sandbox_listener, &page].map(|(_, address)| *address);

        let secret: String = hex(random::bytes());
        write(&directory.join(SECRET_FILE), &secret)?;
        let file = directory.join(CONFIG_FILE);
        let text = CONFIG
            .replace("{daemon}", &at_daemon.to_string())
            .replace("{sandbox}", &at_sandbox.to_string())
            .replace("{page}", &at_page.to_string())
            .replace("{page_port}", &at_page.port().to_string())
            .replace("{org_id}", ORG_ID);
        write(&file, &text)?;
        let config = load(&file)?;

        let sandbox = Sandbox::new(sandbox_options(options), Arc::clone(clock));
        let (stop_sandbox, sandbox_stopping) = shutdown::channel();
        let serving = sandbox.clone();
        let sandbox_task =
            tokio::spawn(async move { serving.serve(sandbox_listener.0, sandbox_stopping).await });
        // The daemon binds by itself; from here on the port is free for a moment.
        drop(daemon_listener);
        let daemon = Daemon::start(&config, Arc::clone(clock)).await?;
        let addresses = Addresses {
            config: file,
            daemon: format!("http://{at_daemon}"),
            sandbox: format!("http://{at_sandbox}"),
            page: format!("http://{at_page}"),
        };
        let (stop_page, page_stopping) = shutdown::channel();
        let page_task = tokio::spawn(serve(
            page.0,
            landing::router(&addresses.daemon),
            Arc::clone(clock),
            page_stopping,
            PAGE_PATIENCE,
        ));
        Ok(Self {
            addresses,
            daemon,
            sandbox,
            temporary,
            stop_sandbox,
            stop_page,
            sandbox_task,
            page_task,
        })
    }

    /// Takes all of it down: the daemon first, so that what is on its way arrives. Returns where
    /// its files still are; `tidy` removes a temporary directory.
    pub async fn take_down(self, tidy: bool) -> Option<PathBuf> {
        self.stop_page.stop();
        self.daemon.stop().await;
        self.stop_sandbox.stop();
        // How they end changes nothing any more.
        let _ = tokio::join!(self.page_task, self.sandbox_task);
        let directory = self.addresses.config.parent().map(Path::to_owned);
        match self.temporary {
            Some(temporary) if tidy && std::fs::remove_dir_all(&temporary).is_ok() => None,
            _ => directory,
        }
    }
}

/// Any client id and secret will do, so that other clients can look at the records, too.
fn sandbox_options(options: &Options) -> SandboxOptions {
    SandboxOptions {
        custom_fields: "Lead.Plan__c:picklist(Starter|Pro)"
            .parse::<CustomField>()
            .into_iter()
            .collect(),
        faults: options.faults,
        seed: options.seed,
        ..SandboxOptions::default()
    }
}

/// Listens where told; otherwise at `port` of loopback, or at any other that is free.
async fn listen(
    told: Option<SocketAddr>,
    port: u16,
) -> Result<(TcpListener, SocketAddr), DemoError> {
    let address = told.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)));
    let listener = match TcpListener::bind(address).await {
        Err(_) if told.is_none() => TcpListener::bind((address.ip(), 0)).await,
        bound => bound,
    };
    let listen_error = |source| DemoError::Listen { address, source };
    let listener = listener.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    Ok((listener, address))
}

fn make_directory(directory: &Path) -> Result<(), DemoError> {
    if directory.join(STORE_FILE).exists() {
        return Err(DemoError::Used(directory.to_owned()));
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .recursive(true)
        .create(directory)
        .map_err(|source| DemoError::File {
            path: directory.to_owned(),
            source,
        })
}

/// Writes a file that only its owner may read.
fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| DemoError::File {
            path: path.to_owned(),
            source,
        })
}

fn load(file: &Path) -> Result<Config, DemoError> {
    let loaded = config::load_with_process_env(file);
    if loaded.has_errors() {
        let drawn = diagnostic::render(&loaded.diagnostics, false);
        return Err(DemoError::Config(drawn));
    }
    loaded
        .config
        .ok_or_else(|| DemoError::Config("it is empty".to_owned()))
}

/// A name in the system's place for temporary files that nobody can guess.
fn fresh_directory() -> PathBuf {
    std::env::temp_dir().join(format!("leadstream-demo-{}", hex(random::bytes())))
}

fn hex(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}
