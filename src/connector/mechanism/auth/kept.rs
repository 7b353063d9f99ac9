//! Under which name a credential is kept, and what is written down of its use.

use std::time::Duration;

use ring::digest;

use super::credential::Credential;
use super::facts::CredentialFacts;
use super::{Edge, SignIn};
use crate::connector::manifest::{Auth, AuthType, Encode};
use crate::connector::mechanism::call::CallError;
use crate::connector::mechanism::words::hex;
use crate::model::Millis;

/// How often it is written down when a credential was last used.
const FACTS_EVERY: Duration = Duration::from_secs(60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl SignIn {
    /// Under which name the credential is kept. By hash of what the configuration holds, so that
    /// sources that share it share what it became, and another one begins anew; by the source's name
    /// for what a person gave by `leadstream connect`.
    pub(super) fn credential_name(&self) -> Result<String, CallError> {
        let (connector, way) = (&self.connector, &self.way);
        let Some(auth) = &self.auth else {
            return Ok(format!("{connector}/{way}"));
        };
        let mut parts: Vec<String> = Vec::new();
        match auth.kind {
            AuthType::None => {}
            AuthType::Oauth2 => match self.option("refresh_token")? {
                Some(token) => {
                    parts.extend(self.option("client_id")?);
                    parts.push(token);
                }
                None => return Ok(self.connected_name()),
            },
            AuthType::ClientCredentials | AuthType::AccountCredentials => {
                let (id, client_secret) = self.client()?;
                parts.extend(
                    [Some(id), client_secret, self.option("account_id")?]
                        .into_iter()
                        .flatten(),
                );
            }
            AuthType::ServiceAccount => {
                let key = self.option(auth.key.as_deref().unwrap_or("key"))?;
                let subject = auth.subject.as_deref().map(|name| self.option(name));
                parts.extend([key, subject.transpose()?.flatten()].into_iter().flatten());
            }
            AuthType::Header | AuthType::Query | AuthType::Bearer | AuthType::Basic => {
                for template in [&auth.value, &auth.user, &auth.password]
                    .into_iter()
                    .flatten()
                {
                    parts.extend(self.fill(template, Encode::Plain, None)?);
                }
            }
        }
        let mut context = digest::Context::new(&digest::SHA256);
        for part in &parts {
            // With its length: two parts are never taken for other two.
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let which = hex(&context.finish().as_ref()[..16]);
        Ok(format!("{connector}/{way}/{which}"))
    }

    pub(super) fn connected_name(&self) -> String {
        format!("{}/{}/source:{}", self.connector, self.way, self.source)
    }

    /// What a person does when the vendor no longer takes what signs requests.
    pub fn hint(&self) -> String {
        let source = &self.source;
        match &self.auth {
            Some(auth) if auth.kind == AuthType::Oauth2 => {
                format!(
                    "sign in anew: `leadstream connect {source}`, or replace its `refresh_token`"
                )
            }
            _ => format!(
                "put a valid key or token in place of the one of [sources.{source}]; it is read anew at each try"
            ),
        }
    }

    /// Notes that the vendor took what was signed, and now and then writes it down.
    pub async fn succeeded(&self, edge: &Edge) {
        let now = edge.clock.now();
        {
            let mut usage = self.usage.lock();
            usage.success = Some(now);
            if usage
                .written
                .is_some_and(|at| at.was_within(FACTS_EVERY, now))
            {
                return;
            }
            usage.written = Some(now);
        }
        if let Err(error) = self.write_facts(edge, now).await {
            tracing::debug!(source = %self.source, %error, "the facts of a credential were not kept");
        }
    }

    async fn write_facts(&self, edge: &Edge, now: Millis) -> Result<(), CallError> {
        if self
            .auth
            .as_ref()
            .is_none_or(|auth| auth.kind == AuthType::None)
        {
            return Ok(());
        }
        let name = self.credential_name()?;
        let kept = edge.vault.load(&name).await?;
        let (mut credential, version) = kept.map_or((Credential::default(), 0), |kept| {
            (kept.credential, kept.version)
        });
        let facts = &mut credential.facts;
        facts.way.clone_from(&self.way);
        facts.obtained_at = facts.obtained_at.or(Some(now));
        if let Some(auth) = &self.auth {
            facts.grant_ends_at = grant_end(auth, facts.obtained_at);
        }
        self.add_usage(facts);
        // If somebody else was quicker, they have written their own.
        edge.vault.save(&name, &credential, version, now).await?;
        Ok(())
    }

    fn add_usage(&self, facts: &mut CredentialFacts) {
        let usage = self.usage.lock();
        facts.last_used_at = facts.last_used_at.max(usage.used);
        facts.last_success_at = facts.last_success_at.max(usage.success);
    }

    /// What may be shown of the credential: how old it is, when it ends, when it was last taken.
    pub async fn facts(&self, edge: &Edge) -> Result<CredentialFacts, CallError> {
        let kept = edge.vault.load(&self.credential_name()?).await?;
        let mut facts = kept.map(|kept| kept.credential.facts).unwrap_or_default();
        facts.way.clone_from(&self.way);
        self.add_usage(&mut facts);
        Ok(facts)
    }
}

/// When a consent ends of which the manifest knows how long it lives.
pub(super) fn grant_end(auth: &Auth, obtained_at: Option<Millis>) -> Option<Millis> {
    let days = auth.grant_days?;
    obtained_at.map(|at| at.after(DAY * days))
}
