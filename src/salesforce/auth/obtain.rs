//! Where a token comes from: from what is kept for all nodes, else from Salesforce, which one node
//! asks at a time.
//!
//! Whoever asks marks the kept sign-in as its own by compare-and-swap; the others wait for what it
//! gets. Whoever waits in vain asks itself: the other one is gone, and its answer with it.

use std::sync::Arc;
use std::time::Duration;

use super::super::error::Class;
use super::super::sign_in_error::SignInError;
use super::Edge;
use super::hosts::may_be_instance;
use super::kept::{Access, KeepError, Kept, TokenKeep, TokenText, name};
use super::request::{Grant, Tokens, request_token};
use super::rotate::Unsaved;
use super::sessions::Session;
use crate::config::{SalesforceAuth, SalesforceConfig, Secret, SecretError, SecretRef};
use crate::model::Millis;

/// How long refused credentials are not sent again, from the first refusal to the last: blind
/// repeats lock the user out. Other credentials are tried at once. Whoever has mended the app in
/// the org waits as long at most until leads go on.
pub(super) const HOLD_OFF: Duration = Duration::from_secs(60);
const HOLD_OFF_MOST: Duration = Duration::from_secs(5 * 60);

/// How long another node that asks for a token is waited for, where asking twice does no harm.
const OTHER_TAKES: Duration = Duration::from_secs(3);

const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What one process holds of its sign-in.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub session: Option<Session>,
    pub signed_in: u64,
    /// The token that Salesforce refused last: nobody's to use, wherever it is kept.
    pub bad: Option<TokenText>,
    /// A new refresh token that could not be kept yet.
    pub unsaved: Option<Unsaved>,
    refused: Option<RefusedCredentials>,
}

#[derive(Debug)]
struct RefusedCredentials {
    credentials: Secret,
    at: Millis,
    hold_off: Duration,
    error: SignInError,
}

impl RefusedCredentials {
    /// A refusal that lies ahead is over: the clock was set back since.
    fn is_held_off(&self, now: Millis) -> bool {
        self.at <= now && now < self.at.after(self.hold_off)
    }
}

/// A token to use.
pub(super) struct Obtained {
    pub access: Access,
    /// Whether it was just given. One that was kept may have ended since.
    pub is_fresh: bool,
    pub clock_ahead: Option<i64>,
}

impl Obtained {
    pub fn kept(access: Access) -> Self {
        Self {
            access,
            is_fresh: false,
            clock_ahead: None,
        }
    }

    pub fn fresh(token: Tokens) -> Self {
        Self {
            access: token.access,
            is_fresh: true,
            clock_ahead: token.clock_ahead,
        }
    }
}

/// What was found where the token is kept.
pub(super) enum Claim {
    /// A token that can be used.
    Access(Access),
    /// None, and it is ours to ask for one.
    Mine(Box<Kept>, i64),
}

/// Why there is neither.
pub(super) enum ClaimError {
    Keep(KeepError),
    SignIn(SignInError),
}

impl From<KeepError> for ClaimError {
    fn from(error: KeepError) -> Self {
        Self::Keep(error)
    }
}

/// What is kept, as it was found.
pub(super) struct Look {
    pub kept: Kept,
    pub version: i64,
    /// False if something is there that was kept with another key.
    pub readable: bool,
}

pub(super) async fn look(keep: &dyn TokenKeep, name: &str) -> Result<Look, KeepError> {
    let Some(found) = keep.load(name).await? else {
        return Ok(Look {
            kept: Kept::default(),
            version: 0,
            readable: true,
        });
    };
    let kept = found.plain.as_deref().and_then(Kept::read);
    Ok(Look {
        readable: kept.is_some(),
        kept: kept.unwrap_or_default(),
        version: found.version,
    })
}

impl Held {
    /// A session other than those that were refused.
    pub async fn renew(
        &mut self,
        me: &str,
        edge: &Edge,
    ) -> Result<(Session, Option<i64>), SignInError> {
        self.session = None;
        let obtained = match edge.config.auth {
            SalesforceAuth::AuthorizationCode => self.rotated(me, edge).await?,
            SalesforceAuth::ClientCredentials | SalesforceAuth::JwtBearer => {
                self.granted(me, edge).await?
            }
        };
        self.signed_in += 1;
        let session = Session::new(&obtained, self.signed_in)
            .ok_or_else(|| SignInError::answer("the access_token is not one"))?;
        if obtained.is_fresh {
            tracing::info!("signed in to Salesforce");
        } else {
            tracing::debug!("going on with the token of Salesforce that is kept");
        }
        self.session = Some(session.clone());
        Ok((session, obtained.clock_ahead))
    }

    /// By credentials that are good for any number of tokens.
    async fn granted(&mut self, me: &str, edge: &Edge) -> Result<Obtained, SignInError> {
        // Read anew each time: a secret that was rotated on disk needs no restart.
        let credentials = read_credentials(&edge.config)?;
        let name = name(&edge.config, Some(&credentials));
        let held_off = self.held_off(&credentials, edge.clock.now());
        let mut claimed = None;
        if let Some(keep) = usable_keep(edge) {
            let permit = |_: &Look, _| held_off.clone().map_or(Ok(()), Err);
            match self
                .claim(&*keep, &name, me, OTHER_TAKES, permit, edge)
                .await
            {
                Ok(Claim::Access(access)) => return Ok(Obtained::kept(access)),
                Ok(Claim::Mine(kept, version)) => claimed = Some((keep, kept, version)),
                Err(ClaimError::SignIn(error)) => return Err(error),
                Err(ClaimError::Keep(error)) => not_shared(&error),
            }
        }
        if let Some(error) = held_off {
            return Err(error);
        }
        let grant = match edge.config.auth {
            SalesforceAuth::JwtBearer => Grant::JwtBearer { key: &credentials },
            _ => Grant::ClientCredentials {
                secret: &credentials,
            },
        };
        let result = request_token(&grant, edge).await;
        if let Some((keep, mut kept, version)) = claimed {
            let now = edge.clock.now();
            kept.claimed_by = None;
            if let Ok(token) = &result {
                kept.access = Some(token.access.clone());
                kept.obtained_at = Some(now);
            }
            let saved = async { keep.save(&name, &kept.write()?, version, now).await };
            // If another was quicker, there are two tokens, and both are good.
            if let Err(error) = saved.await {
                not_shared(&error);
            }
        }
        match result {
            Ok(token) => {
                self.refused = None;
                Ok(Obtained::fresh(token))
            }
            Err(error) => {
                self.hold_off(credentials, &error, edge.clock.now());
                Err(error)
            }
        }
    }

    /// A kept token that can be used, or the right to ask for one. `permit` says whether what was
    /// found lets us ask.
    pub(super) async fn claim(
        &self,
        keep: &dyn TokenKeep,
        name: &str,
        me: &str,
        patience: Duration,
        permit: impl Fn(&Look, Millis) -> Result<(), SignInError>,
        edge: &Edge,
    ) -> Result<Claim, ClaimError> {
        let mut waited: Option<(i64, Millis)> = None;
        loop {
            let now = edge.clock.now();
            let found = look(keep, name).await?;
            if let Some(access) = self.usable(&found.kept, &edge.config) {
                return Ok(Claim::Access(access));
            }
            permit(&found, now).map_err(ClaimError::SignIn)?;
            if let Some(other) = &found.kept.claimed_by
                && other != me
            {
                let since = match waited {
                    Some((version, since)) if version == found.version => since,
                    _ => {
                        waited = Some((found.version, now));
                        now
                    }
                };
                if now.since(since) < patience {
                    edge.clock.sleep(LOOK_AGAIN).await;
                    continue;
                }
                tracing::warn!("whoever was asking Salesforce for a token is gone; asking again");
            }
            let mut kept = found.kept;
            kept.claimed_by = Some(me.to_owned());
            if keep.save(name, &kept.write()?, found.version, now).await? {
                return Ok(Claim::Mine(Box::new(kept), found.version + 1));
            }
        }
    }

    /// The kept access token, unless Salesforce has refused it.
    pub(super) fn usable(&self, kept: &Kept, config: &SalesforceConfig) -> Option<Access> {
        kept.access.clone().filter(|access| {
            self.bad.as_ref() != Some(&access.token)
                && may_be_instance(&config.login_url, &access.instance)
        })
    }

    /// The refusal of these credentials, if they are not to be sent again yet.
    pub(super) fn held_off(&self, credentials: &Secret, now: Millis) -> Option<SignInError> {
        self.refused
            .as_ref()
            .filter(|refused| refused.credentials == *credentials && refused.is_held_off(now))
            .map(|refused| refused.error.clone())
    }

    pub(super) fn hold_off(&mut self, credentials: Secret, error: &SignInError, now: Millis) {
        if error.class == Class::SignIn {
            let before = self.refused.take().map(|refused| refused.hold_off * 2);
            self.refused = Some(RefusedCredentials {
                credentials,
                at: now,
                hold_off: before.unwrap_or(HOLD_OFF).min(HOLD_OFF_MOST),
                error: error.clone(),
            });
        }
    }

    pub(super) fn went_well(&mut self) {
        self.refused = None;
    }
}

/// Where tokens are kept, if they can be: PostgreSQL needs a key.
fn usable_keep(edge: &Edge) -> Option<Arc<dyn TokenKeep>> {
    let keep = edge.keep.clone()?;
    match keep.check() {
        Ok(()) => Some(keep),
        Err(error) => {
            not_shared(&error);
            None
        }
    }
}

/// Signing in needs no store: each node has a token of its own then.
fn not_shared(error: &KeepError) {
    tracing::debug!(%error, "the token of Salesforce stays in memory");
}

fn read_credentials(config: &SalesforceConfig) -> Result<Secret, SignInError> {
    let (name, secret): (_, &Option<SecretRef>) = match config.auth {
        SalesforceAuth::JwtBearer => ("private_key", &config.private_key),
        _ => ("client_secret", &config.client_secret),
    };
    secret
        .as_ref()
        .ok_or(SecretError::NotOne)
        .and_then(SecretRef::read)
        .map_err(|error| SignInError::secret(name, &error))
}

/// The app's secret, where it may have none.
pub(super) fn read_optional_secret(
    config: &SalesforceConfig,
) -> Result<Option<Secret>, SignInError> {
    config
        .client_secret
        .as_ref()
        .map(SecretRef::read)
        .transpose()
        .map_err(|error| SignInError::secret("client_secret", &error))
}
