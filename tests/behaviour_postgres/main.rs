//! The behaviour tests that a store can make a difference to, once more over PostgreSQL. Where it is
//! not installed, they are skipped and say so.
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions only, not in what they share"
)]

#[path = "../behaviour/harness.rs"]
mod harness;
mod nodes;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../behaviour/replay.rs"]
mod replay;
#[path = "../behaviour/retention.rs"]
mod retention;
mod server;
#[path = "../behaviour/store_command.rs"]
mod store_command;
mod store_copy;
#[path = "../behaviour/sync/mod.rs"]
mod sync;
#[path = "../behaviour/tools.rs"]
mod tools;

/// The store that daemons run on: a database of their own.
mod store {
    pub fn url() -> String {
        let Some(url) = crate::postgres::database() else {
            // It has said so. There is no other way to leave out what is not there.
            std::process::exit(0);
        };
        url
    }
}
