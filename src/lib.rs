//! leadstream brings every lead into Salesforce: once, clean, explained.
//!
//! ```text
//!  webhook ─ ingest ─ inbox ─ process ──────────────────────────── outbox ─ deliver ─ Salesforce
//!                   (durable)  extract · normalise · resolve · map  (durable)            │
//!                      └───────────────────────────────────────────── follow ──────────┘
//! ```
//!
//! Four loops, joined only by the store. No loop calls another; each can stop, crash and start
//! again alone. Deciding is pure (`process::decide`, `deliver::salesforce::write`, and what their
//! module docs call pure), doing is at the edge (`edge`, `store`, `salesforce`).
//!
//! Direction of use: `cli` > `daemon` > loops > `connector`, `salesforce`, `store` > `config` >
//! `model`; never back, never loop to loop.

/// Alive, ready, metrics.
pub mod admin;
/// Command line: one file per command.
pub mod cli;
/// TOML to `Config`, or every problem at once.
pub mod config;
/// How to talk to one vendor.
pub mod connector;
/// Builds all from a `Config`, runs it, stops it.
pub mod daemon;
/// Loop 3: outbox to destinations.
pub mod deliver;
/// The whole on one machine, with leads of its own.
pub mod demo;
/// The one problem type that people see.
pub mod diagnostic;
/// What is missing in the Salesforce org.
pub mod doctor;
/// What touches the world: clock, randomness, HTTP, shutdown.
pub mod edge;
/// Loop 4: the org's own changes to events.
pub mod follow;
/// Loop 1: requests to inbox.
pub mod ingest;
/// The local index of the org's people.
pub mod mirror;
/// DESIGN's words as plain data.
pub mod model;
/// Where the Salesforce client keeps its tokens.
pub mod org_tokens;
/// Loop 2: events to leads and deliveries.
pub mod process;
/// What is too old goes.
pub mod retention;
mod rs256;
/// The Salesforce client; knows no leads.
pub mod salesforce;
/// The Salesforce org in memory, for demo, tests and dry runs.
pub mod sandbox;
/// Makes what is needed in the Salesforce org.
pub mod setup;
/// The one door to the database.
pub mod store;
/// Logs and metrics.
pub mod telemetry;
