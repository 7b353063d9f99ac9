//! Two daemons on one database.

use std::time::Duration;

use super::load::Doors;
use super::program::{DaemonProcess, Site};
use super::wait;

/// How long a node may take until it is ready.
const READY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Nodes<'a> {
    site: &'a Site,
    running: [Option<DaemonProcess>; 2],
    pub doors: &'a Doors,
}

impl<'a> Nodes<'a> {
    /// Starts both; their doors are open then.
    pub fn start(site: &'a Site, doors: &'a Doors) -> Self {
        let mut nodes = Self {
            site,
            running: [None, None],
            doors,
        };
        nodes.start_missing();
        nodes
    }

    /// Starts those that do not run.
    pub fn start_missing(&mut self) {
        for (node, running) in self.running.iter_mut().enumerate() {
            if running.is_none() {
                let daemon = self.site.run();
                self.doors.set(node, Some(daemon.address));
                *running = Some(daemon);
            }
        }
    }

    pub fn node(&self, node: usize) -> &DaemonProcess {
        self.running[node].as_ref().unwrap()
    }

    pub fn both(&self) -> [&DaemonProcess; 2] {
        [self.node(0), self.node(1)]
    }

    /// SIGKILL. Its door stays: whoever posts there finds out.
    pub fn kill(&mut self, node: usize) {
        self.running[node].take().unwrap().kill();
    }

    /// SIGSTOP. Whoever has posted there gets no answer; nobody else is sent there.
    pub fn freeze(&self, node: usize) {
        self.node(node).signal("STOP");
        self.doors.set(node, None);
    }

    /// SIGCONT.
    pub fn thaw(&self, node: usize) {
        self.node(node).signal("CONT");
        self.doors.set(node, Some(self.node(node).address));
    }

    /// Waits until every node says that it is.
    pub fn wait_until_ready(&self) {
        for daemon in self.both() {
            wait::until_or(
                "the node is ready",
                READY,
                || daemon.log(),
                || (daemon.get("/readyz")?.status == 200).then_some(()),
            );
        }
    }
}
