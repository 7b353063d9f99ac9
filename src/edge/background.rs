//! A second runtime for the work that nobody waits for: it gives way to whoever answers a request.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// One for reading and normalising, which keeps a core busy, one for sending.
const THREADS: usize = 2;

/// How much the threads give way, -20 to 19: at 10 they get about a tenth of a core that others
/// want, and all of one that nobody wants. So a burst is acknowledged first, and what is behind
/// neither stands still nor delays an answer.
#[cfg(unix)]
const NICE: i32 = 10;

/// The runtime. Threads that are started from its tasks, such as the database's, give way as well.
#[derive(Debug)]
pub struct Background {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

impl Background {
    /// Starts the threads.
    pub fn start() -> io::Result<Self> {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("background")
            .on_thread_start(give_way)
            .enable_all()
            .build()
            .map(|runtime| Self {
                runtime: Some(runtime),
            })
    }

    /// Runs `task`.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.runtime {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        }
    }
}

impl Drop for Background {
    /// Tasks that still run end at their next wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn give_way() {
    // Where the system does not do it, everyone is served alike.
    #[cfg(unix)]
    let _ = rustix::process::nice(NICE);
}
