use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::edge::{Take, TakeError};
use super::place::{self, Acceptance, ERRORS_MARK, REPORT_MARK};
use super::report;
use super::scan::{Look, Ready, Scan};
use super::take::{Taken, Taking, read_limited};
use crate::config::SourceConfig;
use crate::connector::custom::file_drop::limits::MAX_FILE_BYTES;
use crate::connector::custom::file_drop::{self, FileDropOptions, FileError, Table};
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::model::SourceName;
use crate::store::{Lease, Store, StoreError};
use crate::telemetry::{Metrics, SourceLabel};

/// The loop over the folder of one source.
#[derive(Debug)]
pub struct Folder<T> {
    name: SourceName,
    source: Arc<SourceConfig>,
    options: Arc<FileDropOptions>,
    take: T,
    store: Arc<Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    scan: Arc<Mutex<Scan>>,
}

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Files that were taken, whole.
    pub taken: usize,
    /// Files that cannot be read.
    pub failed: usize,
    /// Files that had been taken before.
    pub known: usize,
    /// Files that a person has yet to accept.
    pub waiting: usize,
}

/// Why a step stopped; the next goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder, or a file in it.
    #[error("the folder cannot be read or written: {0}")]
    Files(#[from] io::Error),
    /// The inbox.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a file.
enum End {
    Taken,
    Failed,
    Known,
    Waiting,
    Changed,
}

impl<T: Take> Folder<T> {
    /// A loop over the folder of a source.
    pub fn new(
        name: SourceName,
        source: SourceConfig,
        options: FileDropOptions,
        take: T,
        store: Arc<Store>,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            name,
            source: Arc::new(source),
            options: Arc::new(options),
            take,
            store,
            clock,
            metrics,
            scan: Arc::default(),
        }
    }

    /// Looks into the folder and takes each file that is ready; nothing if another node is at it.
    pub async fn step(&self) -> Result<Step, FolderError> {
        let mut step = Step::default();
        let ready = self.look().await?;
        if ready.is_empty() {
            return Ok(step);
        }
        let lease = format!("file:{}", self.name);
        let Some(lease) = self.store.acquire(&lease).await? else {
            return Ok(step);
        };
        let mut result = Ok(());
        for file in ready {
            match self.take_file(&file, &lease).await {
                Ok(End::Taken) => step.taken += 1,
                Ok(End::Failed) => step.failed += 1,
                Ok(End::Known) => step.known += 1,
                Ok(End::Waiting) => step.waiting += 1,
                Ok(End::Changed) => {}
                // One file that cannot be moved must not keep the others.
                Err(FolderError::Files(error)) => {
                    warn!(source = %self.name, %error, "a file cannot be read or moved; trying again");
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.store.release(lease).await?;
        result.map(|()| step)
    }

    /// Steps until told to stop.
    pub async fn run(&self, mut shutdown: Shutdown) {
        let wait = Duration::from_secs(self.options.scan_seconds);
        let mut told = false;
        while !shutdown.is_stopping() {
            match self.step().await {
                Ok(_) => told = false,
                // Said when it begins: a share may be away for hours.
                Err(error) if !told => {
                    warn!(source = %self.name, %error, "files cannot be taken; trying again");
                    told = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = shutdown.stopping() => {}
            }
        }
    }

    async fn look(&self) -> io::Result<Vec<Ready>> {
        let (scan, options) = (Arc::clone(&self.scan), Arc::clone(&self.options));
        blocking(move || {
            std::fs::create_dir_all(&options.folder)?;
            scan.lock()
                .look(&options.folder, options.pattern.as_deref())
        })
        .await
    }

    async fn take_file(&self, file: &Ready, lease: &Lease) -> Result<End, FolderError> {
        self.store.renew(lease).await?;
        let path = file.path.clone();
        let Some((bytes, sha256)) = blocking(move || read_limited(&path)).await? else {
            return self.fail(file, "", &too_large()).await;
        };
        let taking = Taking {
            take: &self.take,
            source: &self.name,
            sha256: &sha256,
            lease,
        };
        let (before, mut version) = taking.before().await?;
        if let Some(before) = &before
            && before.whole
            && before.name != file.name
        {
            let text = format!(
                "nothing was taken: the same file was taken as {} on {}\n",
                before.name, before.at
            );
            return self
                .settle(file, "done", &sha256, text, None, End::Known)
                .await;
        }
        let table = match self.read(&file.name, bytes).await? {
            Ok(table) => table,
            Err(error) => return self.fail(file, &sha256, &error).await,
        };
        if before.is_none() && self.is_to_wait(file, &sha256, &table).await? {
            return Ok(End::Waiting);
        }
        let mut taken = before.unwrap_or_else(|| Taken {
            name: file.name.clone(),
            at: self.clock.now(),
            rows: 0,
            whole: false,
        });
        while !taken.whole {
            self.store.renew(lease).await?;
            let now = self.clock.now();
            let next = taking.page(&table, &taken, version, now).await?;
            self.count(next.rows - taken.rows);
            taken = next;
            version += 1;
        }
        info!(source = %self.name, rows = taken.rows, errors = table.faults.len(), "a file was taken");
        let errors = match table.faults.is_empty() {
            true => None,
            false => Some(report::errors(&table.header, &table.faults).map_err(io::Error::other)?),
        };
        let text = format!("taken on {}\n{}", taken.at, report::reading(&table));
        self.settle(file, "done", &sha256, text, errors, End::Taken)
            .await
    }

    /// Reads the list, off the threads that others wait for.
    async fn read(&self, name: &str, bytes: Vec<u8>) -> io::Result<Result<Table, FileError>> {
        let (source, options) = (Arc::clone(&self.source), Arc::clone(&self.options));
        let name = name.to_owned();
        blocking(move || Ok(file_drop::read(&name, &bytes, &source, &options))).await
    }

    /// Whether a person must accept the file first; then a report beside it says so.
    async fn is_to_wait(&self, file: &Ready, sha256: &str, table: &Table) -> io::Result<bool> {
        if !self.options.confirm || place::acceptance(&file.path, sha256) == Acceptance::Accepted {
            return Ok(false);
        }
        let text = format!(
            "waits to be accepted: see what it would become with `leadstream plan FILE`, and accept it with `leadstream plan FILE --accept`, or with an empty file {}.ok beside it\n{}",
            file.name,
            report::reading(table)
        );
        let path = place::beside(&file.path, REPORT_MARK);
        let name = self.name.clone();
        blocking(move || {
            if std::fs::read_to_string(&path).is_ok_and(|said| said == text) {
                return Ok(());
            }
            info!(source = %name, "a file waits to be accepted; the report beside it says how");
            place::write(&path, text.as_bytes())
        })
        .await?;
        Ok(true)
    }

    async fn fail(
        &self,
        file: &Ready,
        sha256: &str,
        error: &FileError,
    ) -> Result<End, FolderError> {
        warn!(source = %self.name, error.code = error.code, hint = %error.hint, "a file was not taken");
        let text = report::refusal(error);
        self.settle(file, "failed", sha256, text, None, End::Failed)
            .await
    }

    /// Moves the file, after what there is to say of it. A file that is another by now stays, and is
    /// taken by a later step.
    async fn settle(
        &self,
        file: &Ready,
        within: &'static str,
        sha256: &str,
        report: String,
        errors: Option<Vec<u8>>,
        end: End,
    ) -> Result<End, FolderError> {
        let (file, sha256) = (file.clone(), sha256.to_owned());
        let folder = self.options.folder.clone();
        let settled = blocking(move || {
            if Look::at(&file.path)? != file.look {
                return Ok(false);
            }
            let target = place::target(&folder, within, &file.name, &sha256)?;
            place::write(&place::beside(&target, REPORT_MARK), report.as_bytes())?;
            if let Some(errors) = errors {
                place::write(&place::beside(&target, ERRORS_MARK), &errors)?;
            }
            place::settle(&file.path, &target)?;
            Ok(true)
        })
        .await?;
        Ok(if settled { end } else { End::Changed })
    }

    fn count(&self, rows: usize) {
        let label = SourceLabel {
            source: self.name.to_string(),
        };
        self.metrics
            .events_accepted
            .get_or_create(&label)
            .inc_by(rows as u64);
    }
}

fn too_large() -> FileError {
    FileError {
        code: "file.too_large",
        message: format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20).into(),
        hint: "split it into several files".into(),
    }
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
