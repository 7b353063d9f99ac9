//! Loop 2: events to leads and deliveries. All but its edge is pure: time and ids are arguments.

pub mod normalise;
pub mod resolve;
