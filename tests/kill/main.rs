//! The real program is killed under load, again and again; then nothing that was acknowledged may
//! be missing, nobody may be there twice, and everybody's newest values must have won. With a file
//! as store, and as two nodes over one PostgreSQL, which is killed too.
//!
//! Every run prints its seed; `LEADSTREAM_KILL_SEED=<seed>` repeats its people, its bodies and its
//! moments of killing (not the scheduling of the machine).
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "clippy.toml allows it in test functions only, not in what they share"
)]

mod books;
mod dice;
#[cfg(target_os = "linux")]
mod full_disk;
mod http;
mod load;
mod lost_database;
mod moment;
mod nodes;
mod people;
#[path = "../support/postgres.rs"]
mod postgres;
mod program;
mod same_instant;
mod sigkill;
mod signals;
mod two_nodes;
mod wait;
