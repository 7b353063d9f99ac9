//! The pipeline from a file's name to a checked configuration, or every problem at once.
//!
//! Read and parse (`files`), put variables in (`interpolate`), check against the schema (`shape`) and
//! for sense (`check`), and only then hand it to serde, which by then has nothing left to refuse.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::files::{self, Files};
use super::interpolate::{self, Environment};
use super::report::Report;
use super::schema::{OwnConnectors, SCHEMAS};
use super::show::Setting;
use super::tree::{Node, Table};
use super::{Config, SalesforceConfig, SecretRef, ServerConfig, SourceConfig, StoreConfig};
use super::{check, connectors, shape, show};
use crate::connector::{Catalog, ConnectorOptions};
use crate::diagnostic::{Diagnostic, Place};
use crate::model::SourceName;

/// What became of a configuration file.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, unless an error concerns more than one source (or any, with
    /// `strict_start`).
    pub config: Option<Config>,
    /// `[store]`, whatever is wrong elsewhere: commands that only read the store need no secrets.
    pub store: Option<StoreConfig>,
    /// All problems: those of sources that were fenced off, too, and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What the files say, if they are valid TOML.
    merged: Option<Table>,
    own: OwnConnectors,
    /// The connectors that sources may name.
    pub catalog: Arc<Catalog>,
}

impl Loaded {
    /// Whether there is any error, be it only in one source.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// Every value and where it came from, for `config show`; none if the files are no valid TOML.
    pub fn settings(&self) -> Option<Vec<Setting>> {
        self.merged
            .as_ref()
            .map(|merged| show::settings(merged, &self.own))
    }
}

/// Reads `path` with the variables of this process.
pub fn load_with_process_env(path: &Path) -> Loaded {
    load(path, &|name| std::env::var(name).ok())
}

/// Reads `path`, what it includes, and the secret files that it names (only to see that they can be
/// read); asks nothing else of the world but `env`.
pub fn load(path: &Path, env: &Environment<'_>) -> Loaded {
    let mut report = Report::default();
    let mut files = files::read(path, env, &mut report);
    let mut own = OwnConnectors::new();
    let mut catalog = Catalog::embedded();
    let (config, store, merged) = if files.whole {
        interpolate_all(&mut files.merged, env, &mut report);
        catalog = read_catalog(&files.merged, &mut report);
        own = catalog
            .own()
            .map(|manifest| (manifest.name.clone(), SCHEMAS.of_manifest(manifest)))
            .collect();
        connectors::rename_aliases(&mut files.merged, &catalog, &mut report);
        let start = start_of(&files);
        shape::check(&files.merged, start.as_ref(), &own, &mut report);
        check::check(&files.merged, &catalog, env, &mut report);
        let directory = path.parent().unwrap_or(Path::new(""));
        let config = decode(&files.merged, &catalog, directory, &mut report);
        let store = read_store(&files.merged, directory);
        (config, store, Some(files.merged))
    } else {
        (None, None, None)
    };
    let order = files.read.iter().map(|read| read.file.path.as_path());
    Loaded {
        config,
        store,
        diagnostics: report.into_diagnostics(order),
        merged,
        own,
        catalog,
    }
}

/// The very start of the first file: the place of what is nowhere.
fn start_of(files: &Files) -> Option<Place> {
    files.read.first().map(|read| Place {
        file: read.file.path.clone(),
        text: read.file.text.clone(),
        span: 0..0,
    })
}

/// The connectors that sources may name: ours, and those in `connectors_dir`. A mistake in one of
/// them concerns the sources that use it.
fn read_catalog(root: &Table, report: &mut Report) -> Arc<Catalog> {
    let Some((directory, node)) = root.text("connectors_dir") else {
        return Catalog::embedded();
    };
    let (catalog, problems) = Catalog::with_folder(&check::beside(node, directory));
    for problem in problems {
        report.in_source("", |report| report.add(problem));
    }
    Arc::new(catalog)
}

/// A variable that is missing in one source is that source's problem.
fn interpolate_all(root: &mut Table, env: &Environment<'_>, report: &mut Report) {
    for (key, entry) in &mut root.entries {
        match &mut entry.node.value {
            super::tree::Value::Table(sources) if key == "sources" => {
                for (name, source) in &mut sources.entries {
                    report.in_source(name, |report| {
                        interpolate::node(&mut source.node, env, report);
                    });
                }
            }
            _ => interpolate::node(&mut entry.node, env, report),
        }
    }
}

/// The tree as types. Sources with an error are left out; any other error leaves nothing.
fn decode(
    root: &Table,
    catalog: &Arc<Catalog>,
    directory: &Path,
    report: &mut Report,
) -> Option<Config> {
    if report.has_error_outside_sources() {
        return None;
    }
    let empty = Table::default();
    let section = |key| root.table(key).unwrap_or(&empty);
    let server: Option<ServerConfig> = read(section("server"), root.get("server"), report);
    let store: Option<StoreConfig> = read(section("store"), root.get("store"), report);
    let salesforce: Option<SalesforceConfig> =
        read(section("salesforce"), root.get("salesforce"), report);

    let mut sources = BTreeMap::new();
    let mut fenced = Vec::new();
    for (name, entry) in root
        .table("sources")
        .into_iter()
        .flat_map(|all| &all.entries)
    {
        let mut source = None;
        if !report.has_error_in(name) {
            report.in_source(name, |report| {
                source = read_source(&entry.node, catalog, report);
                let public_url = server
                    .as_ref()
                    .and_then(|server| server.public_url.as_ref());
                if let Some(read) = &source
                    && !connectors::check_ready(read, &entry.node, public_url, report)
                {
                    source = None;
                }
            });
        }
        match source {
            Some(source) => {
                sources.insert(SourceName::new(name), source);
            }
            None => fenced.push(SourceName::new(name)),
        }
    }
    let (server, store, mut salesforce) = (server?, store?, salesforce?);
    if server.strict_start && report.has_errors() {
        return None;
    }
    if let Some(version) = check::normal_api_version(&salesforce.api_version) {
        salesforce.api_version = version;
    }
    let hash = hash(&server, &store, &salesforce, &sources, catalog);
    let mut config = Config {
        catalog: Arc::clone(catalog),
        server,
        store,
        salesforce,
        sources,
        fenced,
        hash,
    };
    anchor_paths(&mut config, root, directory);
    Some(config)
}

/// A table as a type. What serde still refuses is told at its place.
fn read<T: DeserializeOwned>(table: &Table, node: Option<&Node>, report: &mut Report) -> Option<T> {
    match serde_path_to_error::deserialize(table.to_json()) {
        Ok(value) => Some(value),
        Err(error) => {
            report.add(refused(table, node, &error));
            None
        }
    }
}

fn refused(
    table: &Table,
    node: Option<&Node>,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Diagnostic {
    let keys: Vec<String> = error
        .path()
        .iter()
        .filter_map(|segment| match segment {
            serde_path_to_error::Segment::Map { key } => Some(key.clone()),
            _ => None,
        })
        .collect();
    // serde's own words may hold the value, which may be a secret: the place says enough.
    let message = match keys.last() {
        Some(key) => format!("the value of `{key}` cannot be used"),
        None => "this section cannot be used".to_owned(),
    };
    let diagnostic = Diagnostic::error("config.bad_value", message);
    match table.deepest(keys.iter().map(String::as_str)).or(node) {
        Some(node) => diagnostic.at(node.spot.place()),
        None => diagnostic,
    }
}

fn read_source(node: &Node, catalog: &Catalog, report: &mut Report) -> Option<SourceConfig> {
    let table = node.as_table()?;
    let (connector, _) = table.text("connector")?;
    let (mut common, mut own) = (Table::default(), Table::default());
    for (key, entry) in &table.entries {
        let part = if SCHEMAS.common_source_keys.contains(key) {
            &mut common
        } else {
            &mut own
        };
        part.entries.insert(key.clone(), entry.clone());
    }
    let mut source: SourceConfig = read(&common, Some(node), report)?;
    match ConnectorOptions::read(connector, &own.to_json(), catalog)? {
        Ok(options) => source.options = options,
        Err(error) => {
            report.add(refused(&own, Some(node), &error));
            return None;
        }
    }
    Some(source)
}

/// Twelve hex digits of the SHA-256 of what is in effect. Of secrets it holds only where they are
/// kept, so that rotating one is no new configuration.
fn hash(
    server: &ServerConfig,
    store: &StoreConfig,
    salesforce: &SalesforceConfig,
    sources: &BTreeMap<SourceName, SourceConfig>,
    catalog: &Catalog,
) -> String {
    let sources: serde_json::Map<String, Json> = sources
        .iter()
        .map(|(name, source)| {
            // These types have nothing that JSON cannot hold.
            let options = source.options.to_json().unwrap_or_default();
            (
                name.to_string(),
                json!({ "common": source, "options": options }),
            )
        })
        .collect();
    let effective = json!({
        "server": server,
        "store": store,
        "salesforce": salesforce,
        "sources": sources,
        "connectors": catalog.own_texts(),
    });
    let digest = ring::digest::digest(&ring::digest::SHA256, effective.to_string().as_bytes());
    let mut hex = String::new();
    for byte in &digest.as_ref()[..6] {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// `[store]` by itself; what is wrong with it was told already.
fn read_store(root: &Table, directory: &Path) -> Option<StoreConfig> {
    let empty = Table::default();
    let section = root.table("store").unwrap_or(&empty);
    let mut store = read(section, root.get("store"), &mut Report::default())?;
    anchor_store(&mut store, root, directory);
    Some(store)
}

fn anchor_store(store: &mut StoreConfig, root: &Table, directory: &Path) {
    if let Some(file) = check::file_of(&store.url) {
        let written = root.table("store").and_then(|store| store.get("url"));
        let anchored = match written {
            Some(node) => check::beside(node, file),
            None => directory.join(file),
        };
        store.url = format!("sqlite:{}", anchored.display());
    }
    anchor_secret(store.secret_key.as_mut(), root.table("store"), "secret_key");
}

/// Makes relative paths relative to the file that they stand in, whatever folder the program was
/// started in.
fn anchor_paths(config: &mut Config, root: &Table, directory: &Path) {
    anchor_store(&mut config.store, root, directory);
    let salesforce = root.table("salesforce");
    anchor_secret(
        config.salesforce.client_secret.as_mut(),
        salesforce,
        "client_secret",
    );
    anchor_secret(
        config.salesforce.private_key.as_mut(),
        salesforce,
        "private_key",
    );
    for (name, source) in &mut config.sources {
        let table = root.table("sources").and_then(|all| all.table(name));
        match &mut source.options {
            ConnectorOptions::WebForm(options) => {
                let captcha = table.and_then(|table| table.table("captcha"));
                let secret = options.captcha.as_mut().map(|captcha| &mut captcha.secret);
                anchor_secret(secret, captcha, "secret");
            }
            ConnectorOptions::FileDrop(options) => {
                if let Some((folder, node)) = table.and_then(|table| table.text("folder")) {
                    options.folder = check::beside(node, folder);
                }
            }
            ConnectorOptions::Manifest(source) => {
                if let Some(table) = table {
                    connectors::anchor_secrets(&mut source.options, table);
                    let manifest = Arc::clone(&source.manifest);
                    source.options.derive(&manifest);
                }
            }
        }
    }
}

fn anchor_secret(secret: Option<&mut SecretRef>, table: Option<&Table>, key: &str) {
    let file = secret.and_then(|secret| secret.file.as_mut());
    let node = table
        .and_then(|table| table.table(key))
        .and_then(|reference| reference.text("file"));
    if let (Some(file), Some((path, node))) = (file, node) {
        *file = check::beside(node, path);
    }
}
