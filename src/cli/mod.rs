//! (see lib.rs)

pub mod doctor;
