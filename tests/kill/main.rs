//! The real program is killed under load, again and again; then nothing that was acknowledged may
//! be missing, and nobody may be there twice.
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
mod people;
mod program;
mod sigkill;
mod signals;
mod wait;
