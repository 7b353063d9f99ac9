//! `leadstream connect salesforce`: the org itself, by `auth = "authorization_code"`.

use std::sync::Arc;

use url::Url;

use super::loopback::{Asked, ConnectError, Door, ask};
use super::{Args, failed, open_or_make};
use crate::cli::{Exit, output};
use crate::config::Config;
use crate::edge::clock::{SharedClock, SystemClock};
use crate::edge::http::ReqwestHttp;
use crate::org_tokens;
use crate::salesforce::{Client, Connected, Consent, allowed_hosts};
use crate::telemetry::Metrics;

/// Salesforce takes only addresses that the app names; the same port as the vendor's own command line
/// has.
const PORT: u16 = 1717;

/// Connects the org that `config` names.
pub(super) async fn run(args: &Args, config: &Config) -> Exit {
    let store = match open_or_make(&config.store).await {
        Ok(store) => store,
        Err(error) => {
            output::error_line(&format!("error: {error}"));
            return Exit::Failure;
        }
    };
    let org = &config.salesforce;
    let clock: SharedClock = Arc::new(SystemClock);
    let client = Client::new(
        Arc::new(ReqwestHttp::new(allowed_hosts(org))),
        Arc::clone(&clock),
        org.clone(),
        Metrics::new(),
    );
    let client = client.keeping(org_tokens::keep(Arc::clone(&store), &config.store));
    let door = Door {
        // Plain http is taken for this name alone.
        host: "localhost",
        port: Some(args.port.unwrap_or(PORT)),
        redirect_uri: args.redirect_uri.as_ref(),
    };
    let begin = |redirect_uri: &str| {
        let consent = client.consent(redirect_uri)?;
        output::line(&format!(
            "The app's Callback URL in Salesforce must be {redirect_uri}\n"
        ));
        Ok(OfOrg {
            consent,
            client: &client,
        })
    };
    let result = ask(&door, &clock, begin, |url| args.show(url)).await;
    let exit = match result {
        Ok(connected) => {
            output::line(&told(&connected));
            Exit::Success
        }
        Err(error) => failed(&error),
    };
    drop(client);
    store.close().await;
    exit
}

/// A consent of the org.
struct OfOrg<'a> {
    consent: Consent,
    client: &'a Client,
}

impl Asked for OfOrg<'_> {
    type Given = Connected;

    fn url(&self) -> &Url {
        &self.consent.url
    }

    fn is_of(&self, state: &str) -> bool {
        self.consent.is_of(state)
    }

    async fn given(&self, code: &str) -> Result<Connected, ConnectError> {
        let connected = self.client.connect(&self.consent, code);
        connected.await.map_err(ConnectError::from)
    }
}

/// Which org, as whom, and what ends it.
fn told(connected: &Connected) -> String {
    let host = connected.instance.host_str().unwrap_or_default();
    let user = connected
        .user_id
        .as_ref()
        .map_or_else(String::new, |id| format!(" as the user {id}"));
    let scope = connected
        .scope
        .as_ref()
        .map_or_else(String::new, |scope| format!("\nIt may: {scope}"));
    format!(
        "Salesforce is connected: {host}{user}.{scope}\n\
         It is renewed by itself. Salesforce keeps five such approvals of a user and app: the sixth \
         ends the oldest, so run this only when you are asked to."
    )
}
