//! A source that is polled, made ready from its configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ManifestReader, PageReader};
use crate::config::{Config, SourceConfig};
use crate::connector::mechanism::auth::{Edge, Overrides, Vault};
use crate::connector::mechanism::call::Vendor;
use crate::connector::mechanism::client::{VendorClient, hosts};
use crate::connector::mechanism::plan::Plan;
use crate::connector::mechanism::rate::Accounts;
use crate::connector::reader::Reader;
use crate::connector::{ConnectorOptions, ManifestSource};
use crate::edge::clock::SharedClock;
use crate::edge::http::ReqwestHttp;
use crate::ingest::fetch::FetchPlan;
use crate::model::SourceName;
use crate::store::Store;

/// A source that is polled.
#[derive(Debug)]
pub struct PollSource {
    /// Its name.
    pub name: SourceName,
    /// Its configuration.
    pub config: ManifestSource,
    /// Its polls.
    pub plan: Plan,
    /// Its fetches.
    pub fetches: Vec<FetchPlan>,
    /// Reads its pages.
    pub reader: Arc<dyn PageReader>,
    /// Calls its vendor.
    pub vendor: Arc<dyn Vendor>,
    /// Tells accounts apart: sources of one account are read one after another. Also the name under
    /// which its credential is stored, if it is: a paused source looks for a new one.
    pub account: String,
    /// Taken in turn by the sources of one account: whoever waits longest is next.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

/// Why a source cannot be polled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl SourceError {
    fn new(message: impl ToString) -> Self {
        Self {
            message: message.to_string(),
            hint: "mend the source's options, or the connector's manifest".to_owned(),
        }
    }
}

impl PollSource {
    /// A source whose vendor is called by `vendor`.
    pub fn new(
        name: SourceName,
        config: &SourceConfig,
        vendor: Arc<dyn Vendor>,
        account: String,
    ) -> Result<Self, SourceError> {
        let ConnectorOptions::Manifest(own) = &config.options else {
            let connector = &config.connector;
            return Err(SourceError::new(format!("{connector} asks no vendor")));
        };
        let reader = Reader::new(&own.manifest, &own.options, config).map_err(|problems| {
            let problems = problems.iter().map(|problem| problem.message.as_str());
            SourceError::new(problems.collect::<Vec<_>>().join("; "))
        })?;
        Ok(Self {
            plan: Plan::new(own).map_err(SourceError::new)?,
            fetches: FetchPlan::all(own),
            reader: Arc::new(ManifestReader::new(own, reader).map_err(SourceError::new)?),
            config: (**own).clone(),
            name,
            vendor,
            account,
            turn: Arc::default(),
        })
    }

    /// The sources of a configuration that are polled, or of which webhooks only name records; those
    /// with an error with what is wrong. Sources of one account share its pace.
    pub fn all(
        config: &Config,
        store: &Arc<Store>,
        clock: &SharedClock,
    ) -> Vec<(SourceName, Result<Self, SourceError>)> {
        let accounts = Arc::new(Accounts::default());
        let vault = Arc::new(Vault::new(Arc::clone(store) as _, config.store.clone()));
        let sources = config.sources.iter().filter_map(|(name, source)| {
            let ConnectorOptions::Manifest(own) = &source.options else {
                return None;
            };
            let calls = !own.manifest.poll.is_empty() || !own.manifest.fetch.is_empty();
            let can_sign_in = own.manifest.auth.is_empty() || own.way_to_sign_in().is_some();
            (calls && can_sign_in).then(|| {
                let built = Self::of(name, source, own, &accounts, &vault, clock);
                (name.clone(), built)
            })
        });
        let mut sources: Vec<(SourceName, Result<Self, SourceError>)> = sources.collect();
        let mut turns: BTreeMap<String, Arc<tokio::sync::Mutex<()>>> = BTreeMap::new();
        for source in sources
            .iter_mut()
            .filter_map(|(_, source)| source.as_mut().ok())
        {
            let turn = turns.entry(source.account.clone()).or_default();
            source.turn = Arc::clone(turn);
        }
        sources
    }

    fn of(
        name: &SourceName,
        source: &SourceConfig,
        own: &ManifestSource,
        accounts: &Arc<Accounts>,
        vault: &Arc<Vault>,
        clock: &SharedClock,
    ) -> Result<Self, SourceError> {
        let overrides = Overrides {
            auth: own.common.auth.clone(),
            base_url: source.base_url.clone(),
            token_url: own.common.token_url.clone(),
            authorize_url: own.common.authorize_url.clone(),
        };
        let edge = Edge {
            http: Arc::new(ReqwestHttp::new(hosts(
                &own.manifest,
                &own.options,
                &overrides,
            ))),
            clock: Arc::clone(clock),
            vault: Arc::clone(vault),
        };
        let client = VendorClient::new(
            name,
            Arc::clone(&own.manifest),
            own.options.clone(),
            overrides,
            Arc::clone(accounts),
            edge,
        );
        let failed = |error: crate::connector::mechanism::call::CallError| SourceError {
            message: error.message,
            hint: error.hint,
        };
        let client = client.map_err(failed)?;
        // Read from a secret: which may be had only later.
        let account = client
            .account_key()
            .unwrap_or_else(|_| format!("source:{name}"));
        Self::new(name.clone(), source, Arc::new(client), account)
    }
}
