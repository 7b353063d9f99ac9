//! What the nodes of a world stand on: files that one of them has to itself, or a database that they
//! share.

use std::time::Duration;

use leadstream::store::Node;

use super::database::{self, Database};
use super::dice::Dice;
use super::disk::{Disk, Template};
use super::postgres::Server;
use super::schedule::Crash;

/// How long a task may be without coming to its next point before it is looked at whether it waits
/// for another.
const PATIENCE: Duration = Duration::from_millis(2);

/// What grounds are made of.
#[derive(Debug)]
pub enum Site {
    Files(Template),
    Server(Server),
}

/// Of one thread; its worlds come one after the other.
#[derive(Debug)]
pub enum Ground {
    Disk(Disk),
    Database(Box<Database>),
}

impl Site {
    pub async fn ground(&self) -> Ground {
        match self {
            Self::Files(template) => Ground::Disk(Disk::new(template)),
            Self::Server(server) => Ground::Database(Box::new(Database::new(server).await)),
        }
    }
}

impl Ground {
    /// As it was when it was made.
    pub async fn clear(&mut self, site: &Site) {
        match (self, site) {
            (Self::Disk(disk), Site::Files(template)) => *disk = Disk::new(template),
            (Self::Database(database), _) => database.clear().await,
            (Self::Disk(_), Site::Server(_)) => {}
        }
    }

    /// How many nodes it bears.
    pub fn nodes(&self) -> usize {
        match self {
            Self::Disk(_) => 1,
            Self::Database(_) => database::NODES,
        }
    }

    /// Whether nodes share it, and hold leases.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Database(_))
    }

    /// How long a task is waited for before `blocked` is asked; for ever where nothing can block it.
    pub fn patience(&self) -> Option<Duration> {
        self.is_shared().then_some(PATIENCE)
    }

    pub fn url(&self, node: usize) -> String {
        match self {
            Self::Disk(disk) => disk.url(),
            Self::Database(database) => database.url(node),
        }
    }

    /// All that was committed so far is safe from a loss of power.
    pub fn note_synced(&mut self) {
        if let Self::Disk(disk) = self {
            disk.note_synced();
        }
    }

    /// Leaves what a dead process leaves. To be called before anything of it is dropped. The power
    /// that a node loses is not the database's.
    pub async fn crash(&mut self, node: usize, how: Crash, dice: &mut Dice) {
        match self {
            Self::Disk(disk) => disk.crash(how, dice),
            Self::Database(database) => database.end_sessions_of(node).await,
        }
    }

    /// The server's time-out for who stands still in a transaction.
    pub async fn end_transactions_of(&mut self, node: usize) {
        if let Self::Database(database) = self {
            database.end_transactions_of(node).await;
        }
    }

    pub async fn end_lease(&mut self, node: Node) {
        if let Self::Database(database) = self {
            database.end_lease(node).await;
        }
    }

    /// How many tasks wait for what others have locked.
    pub async fn blocked(&mut self) -> usize {
        match self {
            Self::Disk(_) => 0,
            Self::Database(database) => database.blocked().await,
        }
    }

    pub async fn until_calm(&mut self) {
        if let Self::Database(database) = self {
            database.until_calm().await;
        }
    }
}
