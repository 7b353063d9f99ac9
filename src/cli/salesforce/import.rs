//! `leadstream salesforce import`: reads the org's Leads and Contacts into the local index, so that
//! people who are there already are found. A running daemon does that by itself; this does it now, and
//! anew.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;

use crate::cli::{Exit, load, output};
use crate::config::Config;
use crate::edge::clock::{SharedClock, SystemClock};
use crate::mirror::{ImportProgress, LEASE, Mirror, MirrorError, OBJECTS};
use crate::model::Millis;
use crate::store::{Access, MirrorState, Store, StoreError};

/// How often a daemon that reads is asked how far it is.
const LOOK: Duration = Duration::from_secs(1);

/// How often progress is said where it cannot be drawn over.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How long a daemon may take to begin. It looks at least once in its interval.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Arguments of `salesforce import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON: rows by object.
    #[arg(long)]
    json: bool,
}

/// Why it came to nothing.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a daemon holds the index and does not begin to read; look at its log")]
    Elsewhere,
}

/// Reads the org, and says how much there is.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let Some(config) = load(config_path).config else {
        return Exit::Failure;
    };
    let store = match Store::open(&config.store, Access::Command).await {
        Ok(store) => store,
        Err(error) => return failed(&error.to_string(), None),
    };
    let rows = Box::pin(import(&config, &store)).await;
    store.close().await;
    match rows {
        Ok(rows) if args.json => {
            let [leads, contacts] = rows;
            output::line(&json!({ "Lead": leads, "Contact": contacts }).to_string());
            Exit::Success
        }
        Ok([leads, contacts]) => {
            output::line(&format!(
                "{leads} leads and {contacts} contacts are in the index"
            ));
            Exit::Success
        }
        Err(ImportError::Mirror(MirrorError::Call(error))) => {
            let explained = error.explain();
            failed(&explained.message, Some(&explained.hint))
        }
        Err(error) => failed(&error.to_string(), None),
    }
}

fn failed(message: &str, hint: Option<&str>) -> Exit {
    output::error_line(&format!("error: {message}"));
    if let Some(hint) = hint {
        output::error_line(&format!("  = help: {hint}"));
    }
    Exit::Failure
}

/// Rows of each object.
async fn import(config: &Config, store: &Arc<Store>) -> Result<[u64; 2], ImportError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let Some(lease) = store.acquire(LEASE).await? else {
        return by_daemon(store, &clock).await;
    };
    let (client, _kept) = super::client(config).await;
    let mirror = Mirror::new(Arc::clone(store), Arc::new(client), Arc::clone(&clock));
    let mut result = Ok(());
    for object in OBJECTS {
        let teller = Teller::new(object, &clock);
        // What an earlier run of this has begun goes on; what was read long ago is read anew.
        let mut state = mirror.states().await?.swap_remove(place(object));
        if state.is_complete {
            state = MirrorState::default();
        }
        let told = |progress: ImportProgress| teller.tell(&progress);
        if let Err(error) = mirror.import(object, &mut state, &lease, &told).await {
            result = Err(error.into());
            break;
        }
        teller.clear();
    }
    store.release(lease).await?;
    match result {
        Ok(()) => Ok(store.org_size().await?),
        Err(error) => Err(error),
    }
}

fn place(object: &str) -> usize {
    OBJECTS
        .iter()
        .position(|other| *other == object)
        .unwrap_or_default()
}

/// A daemon holds the index: it is told to read all anew, and this shows how far it is.
async fn by_daemon(store: &Arc<Store>, clock: &SharedClock) -> Result<[u64; 2], ImportError> {
    output::error_line("a running daemon keeps the index: it is asked to read the org anew");
    let began = clock.now();
    let mut asked = [false; 2];
    loop {
        let mut all = true;
        let mut rows = 0;
        for (place, object) in OBJECTS.into_iter().enumerate() {
            let state = store.mirror_state(object).await?;
            rows += state.rows;
            if state.is_complete && !asked[place] {
                let mut write = store.write().await?;
                write
                    .put_mirror_state(object, &MirrorState::default())
                    .await?;
                write.commit().await?;
                all = false;
            } else {
                asked[place] = true;
                all &= state.is_complete;
            }
        }
        if all {
            return Ok(store.org_size().await?);
        }
        if !began.was_within(PATIENCE, clock.now()) && rows == 0 {
            return Err(ImportError::Elsewhere);
        }
        clock.sleep(LOOK).await;
    }
}

/// Says how far a reading is: over itself on a terminal, else a line now and then.
struct Teller {
    object: &'static str,
    clock: SharedClock,
    last: Mutex<Option<Millis>>,
    draws: bool,
}

impl Teller {
    fn new(object: &'static str, clock: &SharedClock) -> Self {
        Self {
            object,
            clock: Arc::clone(clock),
            last: Mutex::new(None),
            draws: std::io::stderr().is_terminal(),
        }
    }

    fn tell(&self, progress: &ImportProgress) {
        let now = self.clock.now();
        let mut last = self.last.lock();
        if !self.draws && last.is_some_and(|last| last.was_within(SAY_EVERY, now)) {
            return;
        }
        *last = Some(now);
        let ImportProgress {
            read,
            found,
            is_ready,
        } = progress;
        let object = self.object;
        let text = if *is_ready {
            format!("{object}: {read} of {found} read")
        } else {
            format!("{object}: Salesforce has found {found} so far")
        };
        if self.draws {
            output::error_part(&format!("\r\x1b[2K{text}"));
        } else {
            output::error_line(&text);
        }
    }

    fn clear(&self) {
        if self.draws {
            output::error_part("\r\x1b[2K");
        }
    }
}
