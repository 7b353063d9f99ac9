//! Where the stores of a bench are: files, or a PostgreSQL that is started for it.

use std::io::{Error, Result};
use std::path::Path;

use crate::postgres::Server;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Sqlite,
    Postgres,
}

impl Place {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Sqlite, Self::Postgres]
            .into_iter()
            .find(|place| place.name() == name)
    }
}

/// Makes new stores.
#[derive(Debug)]
pub struct Stores(Option<Server>);

impl Stores {
    /// Starts PostgreSQL if it is wanted, as people run it: a commit survives a loss of power.
    pub fn of(place: Place) -> Result<Self> {
        match place {
            Place::Sqlite => Ok(Self(None)),
            Place::Postgres => Server::start_durable()
                .map(|server| Self(Some(server)))
                .ok_or_else(|| Error::other("PostgreSQL is not installed")),
        }
    }

    /// The URL of a new one, in `directory` or in the server.
    pub fn url(&self, directory: &Path) -> String {
        match &self.0 {
            Some(server) => server.database(),
            None => format!("sqlite:{}/leads.db", directory.display()),
        }
    }
}
