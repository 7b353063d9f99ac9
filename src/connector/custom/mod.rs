//! Connectors that no manifest can say.

pub mod file_drop;
pub mod web_form;
