use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::place::{self, Acceptance, ERRORS_MARK, REPORT_MARK};
use super::report;
use super::scan::{Look, Ready, Scan};
use super::take::{Taken, Taking, read_limited};
use crate::config::SourceConfig;
use crate::connector::custom::file_drop::limits::MAX_FILE_BYTES;
use crate::connector::custom::file_drop::{self, FileDropOptions, FileError, Table};
use crate::edge::clock::SharedClock;
use crate::edge::shutdown::Shutdown;
use crate::ingest::{AppendError, Inbox};
use crate::model::SourceName;
use crate::store::{Lease, Store, StoreError};
use crate::telemetry::{Metrics, SourceLabel};

/// The loop over the folder of one source.
#[derive(Debug)]
pub struct Folder {
    name: SourceName,
    source: Arc<SourceConfig>,
    options: Arc<FileDropOptions>,
    inbox: Inbox,
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
    Append(#[from] AppendError),
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
    Interrupted,
}

impl Folder {
    /// A loop over the folder of a source.
    pub fn new(
        name: SourceName,
        source: SourceConfig,
        options: FileDropOptions,
        inbox: Inbox,
        store: Arc<Store>,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            name,
            source: Arc::new(source),
            options: Arc::new(options),
            inbox,
            store,
            clock,
            metrics,
            scan: Arc::default(),
        }
    }

    /// Looks into the folder and takes each file that is ready; nothing if another node is at it.
    pub async fn step(&self, shutdown: &Shutdown) -> Result<Step, FolderError> {
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
            if shutdown.is_stopping() {
                break;
            }
            match self.take_file(&file, &lease, shutdown).await {
                Ok(End::Taken) => step.taken += 1,
                Ok(End::Failed) => step.failed += 1,
                Ok(End::Known) => step.known += 1,
                Ok(End::Waiting) => step.waiting += 1,
                Ok(End::Changed | End::Interrupted) => {}
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
            match self.step(&shutdown).await {
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

    async fn take_file(
        &self,
        file: &Ready,
        lease: &Lease,
        shutdown: &Shutdown,
    ) -> Result<End, FolderError> {
        self.store.renew(lease).await?;
        let path = file.path.clone();
        let Some((bytes, sha256)) = blocking(move || read_limited(&path)).await? else {
            return self.fail(file, "", &too_large()).await;
        };
        let taking = Taking {
            store: &self.store,
            inbox: &self.inbox,
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
            if shutdown.is_stopping() {
                // The next start goes on behind the last page.
                return Ok(End::Interrupted);
            }
            self.store.renew(lease).await?;
            let now = self.clock.now();
            let next = taking.page(&table, &taken, version, now).await?;
            self.count(next.rows - taken.rows);
            taken = next;
            version += 1;
        }
        info!(source = %self.name, rows = taken.rows, errors = table.faults.len(), "a file was taken");
        let errors = if table.faults.is_empty() {
            None
        } else {
            Some(report::errors(&table.header, &table.faults).map_err(io::Error::other)?)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::path::Path;

    use futures_util::{FutureExt as _, poll};

    use super::super::take::PAGE;
    use super::*;
    use crate::config::StoreConfig;
    use crate::connector::ConnectorOptions;
    use crate::edge::clock::ManualClock;
    use crate::edge::shutdown;
    use crate::ingest::{GroupCommit, group_commit};
    use crate::model::{Door, EventId, Millis};
    use crate::store::Access;

    const ROWS: usize = PAGE * 2 + 7;

    async fn open(directory: &Path) -> (Arc<Store>, Folder, GroupCommit) {
        let url = format!("sqlite:{}/test.db", directory.display());
        let store = Store::open(&StoreConfig::at(&url), Access::Daemon)
            .await
            .unwrap();
        let clock = ManualClock::at(Millis(1_772_359_200_000));
        let metrics = Metrics::new();
        let (inbox, commit) =
            group_commit(Arc::clone(&store), 10, clock.clone(), Arc::clone(&metrics)).unwrap();
        let folder = directory.join("drop");
        let options: FileDropOptions = toml::from_str(&format!(
            "folder = '{}'\nconsent = {{ unknown = true }}\nconfirm = false",
            folder.display()
        ))
        .unwrap();
        let mut source: SourceConfig = toml::from_str("connector = 'file-drop'").unwrap();
        source.options = ConnectorOptions::FileDrop(Box::new(options.clone()));
        let name = SourceName::new("expo");
        let folder = Folder::new(
            name,
            source,
            options,
            inbox,
            Arc::clone(&store),
            clock,
            metrics,
        );
        (store, folder, commit)
    }

    fn put(directory: &Path, name: &str) {
        let mut list = "Email,Badge ID\n".to_owned();
        for row in 0..ROWS {
            writeln!(list, "p{row}@crowd.example,{row}").unwrap();
        }
        let folder = directory.join("drop");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), list).unwrap();
        std::fs::write(folder.join(format!("{name}.done")), "").unwrap();
    }

    /// Lets a step run until so many pages are on disk, or to its end, and then drops it as a crash
    /// would.
    async fn run(folder: &Folder, commit: &mut GroupCommit, pages: usize) -> Option<Step> {
        let (_trigger, shutdown) = shutdown::channel();
        let mut step = Box::pin(folder.step(&shutdown));
        for _ in 0..pages {
            tokio::select! {
                biased;
                done = &mut step => return Some(done.unwrap()),
                _ = commit.step() => {}
            }
        }
        let _ = poll!(&mut step);
        step.now_or_never().map(Result::unwrap)
    }

    async fn stored(store: &Store) -> Vec<crate::model::Event> {
        store.events_after(EventId(0), ROWS * 3).await.unwrap()
    }

    #[tokio::test]
    async fn a_crash_after_any_page_loses_no_row_and_takes_none_twice() {
        for pages in 0..=2 {
            let directory = tempfile::tempdir().unwrap();
            put(directory.path(), "crowd.csv");
            let (store, folder, mut commit) = open(directory.path()).await;
            run(&folder, &mut commit, pages).await;
            let before = stored(&store).await.len();
            assert_eq!(before, pages * PAGE);
            drop((folder, commit));
            store.close().await;
            drop(store);

            let (store, folder, mut commit) = open(directory.path()).await;
            let step = run(&folder, &mut commit, 10).await.unwrap();
            assert_eq!(step.taken, 1, "{pages}");
            let events = stored(&store).await;
            assert_eq!(events.len(), ROWS);
            let bodies: BTreeSet<_> = events.iter().map(|event| event.body.clone()).collect();
            assert_eq!(bodies.len(), ROWS);
            let context = events[0].meta.context.as_ref().unwrap();
            assert_eq!(
                (&context["file"], &context["row"]),
                (&"crowd.csv".into(), &2.into())
            );
            assert_eq!(events[0].meta.door, Door::File);
            assert!(directory.path().join("drop/done/crowd.csv").exists());

            // As a crash leaves it between the last page and the move.
            std::fs::remove_file(directory.path().join("drop/done/crowd.csv")).unwrap();
            put(directory.path(), "crowd.csv");
            let step = run(&folder, &mut commit, 10).await.unwrap();
            assert_eq!(step.taken, 1);
            assert_eq!(stored(&store).await.len(), ROWS);

            put(directory.path(), "renamed.csv");
            let step = run(&folder, &mut commit, 10).await.unwrap();
            assert_eq!((step.taken, step.known), (0, 1));
            assert_eq!(stored(&store).await.len(), ROWS);
        }
    }

    #[tokio::test]
    async fn what_another_node_is_reading_is_left_to_it() {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), "crowd.csv");
        let (store, folder, mut commit) = open(directory.path()).await;
        let theirs = store.acquire("file:expo").await.unwrap().unwrap();
        let step = run(&folder, &mut commit, 10).await.unwrap();
        assert_eq!(step, Step::default());
        store.release(theirs).await.unwrap();
        assert_eq!(run(&folder, &mut commit, 10).await.unwrap().taken, 1);
    }
}
