//! `leadstream connect <source>` and `leadstream connect salesforce`: a person gives their consent in a
//! browser, and the tokens are kept.

mod loopback;
mod salesforce;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use url::Url;

use self::loopback::{Asked, ConnectError, Door, ask};
use super::{Exit, output};
use crate::config::{SalesforceAuth, StoreConfig};
use crate::connector::ConnectorOptions;
use crate::connector::mechanism::auth::{Connected, Consent, Edge, Overrides, SignIn, Vault};
use crate::connector::mechanism::client::hosts;
use crate::edge::clock::SystemClock;
use crate::edge::http::ReqwestHttp;
use crate::model::SourceName;
use crate::store::{Access, Store, StoreError};

/// What is said for the org itself in place of a source.
const SALESFORCE: &str = "salesforce";

/// Arguments of `connect`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// The source, as in `[sources.<name>]`; or `salesforce` for the org itself, with `auth =
    /// "authorization_code"`.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The port of this machine that the browser comes back to, for vendors that take only addresses
    /// that were registered before; if not said, 1717 for Salesforce, any that is free for others.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The redirect address as it is registered at the vendor, if it is not
    /// http://127.0.0.1:<port>/callback (http://localhost:<port>/callback for Salesforce): another name
    /// of this machine, or of a tunnel to it.
    #[arg(long, value_name = "URL", requires = "port")]
    redirect_uri: Option<Url>,
    /// Print the address, and open no browser.
    #[arg(long)]
    no_browser: bool,
}

impl Args {
    fn door(&self) -> Door<'_> {
        Door {
            host: "127.0.0.1",
            port: self.port,
            redirect_uri: self.redirect_uri.as_ref(),
        }
    }

    /// Says the page, and opens it if a browser is to be had.
    fn show(&self, url: &Url) {
        let open = !self.no_browser && output::stdout_can_be_drawn_on();
        output::line("Give your consent at this address:\n");
        output::line(&format!("  {url}\n"));
        if open && open_browser(url) {
            output::line("It opens in your browser. Waiting for your answer …");
        } else {
            output::line("Open it in a browser on this machine. Waiting for your answer …");
        }
    }
}

/// Finds the source, and connects it.
pub async fn run(args: &Args, config_path: &Path) -> Exit {
    let loaded = super::load(config_path);
    let Some(config) = loaded.config else {
        return Exit::Failure;
    };
    let name = SourceName::new(&args.source);
    let source = config.sources.get(&name);
    let by_consent = config.salesforce.auth == SalesforceAuth::AuthorizationCode;
    if args.source == SALESFORCE && (by_consent || source.is_none()) {
        return salesforce::run(args, &config).await;
    }
    let Some(source) = source else {
        output::error_line(&format!(
            "error: there is no source `{}`, or it has errors",
            args.source
        ));
        return Exit::Failure;
    };
    let ConnectorOptions::Manifest(own) = &source.options else {
        output::error_line(&format!(
            "error: {} signs in nowhere: there is nothing to connect",
            source.connector
        ));
        return Exit::Failure;
    };
    let overrides = Overrides {
        auth: own.common.auth.clone(),
        base_url: source.base_url.clone(),
        token_url: own.common.token_url.clone(),
        authorize_url: own.common.authorize_url.clone(),
    };
    let hosts = hosts(&own.manifest, &own.options, &overrides);
    let store = match open_or_make(&config.store).await {
        Ok(store) => store,
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    let edge = Edge {
        http: Arc::new(ReqwestHttp::new(hosts)),
        clock: Arc::new(SystemClock),
        vault: Arc::new(Vault::new(store.clone(), config.store.clone())),
    };
    let sign_in = SignIn::new(&name, &own.manifest, &own.options, &overrides);
    let exit = match sign_in {
        Ok(sign_in) => connect(args, &sign_in, &edge).await,
        Err(error) => failed(&ConnectError::Vendor(error)),
    };
    drop(edge);
    store.close().await;
    exit
}

/// The store beside a daemon that may run on it. People connect before the first start as well.
async fn open_or_make(config: &StoreConfig) -> Result<Arc<Store>, StoreError> {
    match Store::open(config, Access::Command).await {
        Err(StoreError::Missing(_)) => {
            Store::open(config, Access::Daemon).await?.close().await;
            Store::open(config, Access::Command).await
        }
        opened => opened,
    }
}

fn failed(error: &ConnectError) -> Exit {
    output::error_line(&format!("error: {error}"));
    let hint = error.hint();
    if !hint.is_empty() {
        output::error_line(&format!("help: {hint}"));
    }
    Exit::Failure
}

/// Asks for consent and keeps what it brings; says how it went.
async fn connect(args: &Args, sign_in: &Arc<SignIn>, edge: &Edge) -> Exit {
    match ask_vendor(args, sign_in, edge, |url| args.show(url)).await {
        Ok(connected) => {
            output::line(&told(&args.source, &connected));
            Exit::Success
        }
        Err(error) => failed(&error),
    }
}

/// A consent of a vendor.
struct OfVendor<'a> {
    consent: Consent,
    sign_in: &'a SignIn,
    edge: &'a Edge,
}

impl Asked for OfVendor<'_> {
    type Given = Connected;

    fn url(&self) -> &Url {
        &self.consent.url
    }

    fn is_of(&self, state: &str) -> bool {
        self.consent.is_of(state)
    }

    async fn given(&self, code: &str) -> Result<Connected, ConnectError> {
        let connected = self.sign_in.connect(&self.consent, code, self.edge);
        connected.await.map_err(ConnectError::from)
    }
}

async fn ask_vendor(
    args: &Args,
    sign_in: &SignIn,
    edge: &Edge,
    show: impl FnOnce(&Url),
) -> Result<Connected, ConnectError> {
    let begin = |redirect_uri: &str| {
        let consent = sign_in.consent(redirect_uri, edge)?;
        Ok(OfVendor {
            consent,
            sign_in,
            edge,
        })
    };
    ask(&args.door(), &edge.clock, begin, show).await
}

/// Which account, what it is good for, and until when.
fn told(source: &str, connected: &Connected) -> String {
    let facts = &connected.facts;
    let account = facts.account.as_ref();
    let account = account.map_or_else(String::new, |account| format!(" to the account {account}"));
    let scope = facts.scope.as_ref();
    let scope = scope.map_or_else(String::new, |scope| format!("\nIt may: {scope}"));
    let end = match (facts.ends_at(), connected.renews) {
        (Some(end), true) => {
            format!("It is renewed by itself until {end}; run this once more before that.")
        }
        (Some(end), false) => format!("It ends at {end}; run this once more before that."),
        (None, true) => "It is renewed by itself.".to_owned(),
        (None, false) => "It ends only when it is taken back at the vendor.".to_owned(),
    };
    format!("{source} is connected{account}.{scope}\n{end}")
}

/// Whether a browser could be started.
fn open_browser(url: &Url) -> bool {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let null = std::process::Stdio::null;
    std::process::Command::new(program)
        .arg(url.as_str())
        .stdin(null())
        .stdout(null())
        .stderr(null())
        .spawn()
        .is_ok()
}
