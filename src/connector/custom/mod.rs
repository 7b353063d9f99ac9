//! Connectors that no manifest can say.

pub mod web_form;
