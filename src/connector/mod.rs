//! How to talk to one vendor. A connector knows no source's secrets and writes nothing.
//!
//! Owns: whether a request can be read at all, and which submissions are in an event. Promises that
//! what [`Connector::receive`] takes, [`Connector::extract`] can read. Never sees: the store, the
//! clock, the network.

mod http_file;
mod options;
mod path;
mod refusal;
mod source;

pub mod catalog;
pub mod custom;
pub mod manifest;
pub mod mechanism;
pub mod reader;
pub mod reading;
pub mod records;
pub mod samples;
pub mod select;
pub mod time;

use std::sync::Arc;
use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

pub use catalog::Catalog;
pub use http_file::{HttpFile, HttpFileError};
pub use options::{OptionValue, Options};
pub use path::{Path, PathError, Step};
pub use refusal::{ExtractError, Refusal, RefusalReason};
pub use source::{CommonOptions, ManifestSource, options_schema as manifest_schema};

use crate::config::SourceConfig;
use crate::model::{Event, Extracted, NewEvent};
use custom::file_drop::{FileDrop, FileDropOptions};
use custom::web_form::{WebForm, WebFormOptions};

/// How to read what one vendor sends.
pub trait Connector: Send + Sync + std::fmt::Debug {
    /// At the door: whether this can be read, and if not, what is wrong with it. Runs on every
    /// request before it is stored, so it must be one quick pass.
    fn receive(&self, payload: Payload<'_>) -> Result<(), Refusal>;

    /// The submissions in an event. Pure: the same event and configuration always give the same.
    fn extract(&self, event: &Event) -> Result<Vec<Extracted>, ExtractError>;
}

/// What came in, as far as reading it is concerned.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// The `Content-Type` header, as sent; blank if there was none.
    pub content_type: &'a str,
    /// The query string, undecoded.
    pub query: Option<&'a str>,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

impl<'a> From<&'a NewEvent> for Payload<'a> {
    fn from(event: &'a NewEvent) -> Self {
        Self {
            content_type: &event.content_type,
            query: event.meta.query.as_deref(),
            body: &event.body,
        }
    }
}
/// A source's options for its connector.
#[derive(Debug, Clone)]
pub enum ConnectorOptions {
    /// `connector = "web-form"`
    WebForm(Box<WebFormOptions>),
    /// `connector = "file-drop"`
    FileDrop(Box<FileDropOptions>),
    /// A connector that is a manifest.
    Manifest(Box<ManifestSource>),
}

impl Default for ConnectorOptions {
    fn default() -> Self {
        Self::WebForm(Box::default())
    }
}

/// The connector of a source, made ready for what the source says.
pub fn connector_of(source: &SourceConfig) -> Arc<dyn Connector> {
    match &source.options {
        ConnectorOptions::WebForm(options) => Arc::new(WebForm::new(source, options)),
        ConnectorOptions::FileDrop(options) => Arc::new(FileDrop::new(source, options)),
        ConnectorOptions::Manifest(of) => {
            match reader::Reader::new(&of.manifest, &of.options, source) {
                Ok(reader) => Arc::new(reader),
                Err(problems) => Arc::new(reader::Broken(problems)),
            }
        }
    }
}

/// The connectors that are Rust.
pub const RUST: &[&str] = &["web-form", "file-drop"];

/// The schema of the options of a connector that is Rust; none if there is none of that name.
pub fn options_schema(connector: &str, generator: &mut SchemaGenerator) -> Option<Schema> {
    match connector {
        "web-form" => Some(generator.subschema_for::<WebFormOptions>()),
        "file-drop" => Some(generator.subschema_for::<FileDropOptions>()),
        _ => None,
    }
}

impl ConnectorOptions {
    /// The options of `connector` from the keys of a source's table that are not common to all
    /// sources; none if there is no connector of that name.
    pub fn read(
        connector: &str,
        options: &Value,
        catalog: &Catalog,
    ) -> Option<Result<Self, serde_path_to_error::Error<serde_json::Error>>> {
        Some(match connector {
            "web-form" => serde_path_to_error::deserialize(options)
                .map(|options| Self::WebForm(Box::new(options))),
            "file-drop" => serde_path_to_error::deserialize(options)
                .map(|options| Self::FileDrop(Box::new(options))),
            _ => ManifestSource::read(catalog.get(connector)?, options)
                .map(|source| Self::Manifest(Box::new(source))),
        })
    }

    /// How long submissions of equal content, without an id of their own, count as the same one.
    pub fn duplicate_window(&self) -> Duration {
        match self {
            Self::WebForm(options) => Duration::from_secs(options.duplicate_window_seconds),
            // Each row has an id of its own.
            Self::FileDrop(_) => Duration::ZERO,
            Self::Manifest(_) => DUPLICATE_WINDOW,
        }
    }

    /// The options as they are in effect; secrets only as where they are kept.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        match self {
            Self::WebForm(options) => serde_json::to_value(options),
            Self::FileDrop(options) => serde_json::to_value(options),
            Self::Manifest(source) => source.to_json(),
        }
    }
}

/// Of a vendor that gives submissions no id: its second try comes soon.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);
