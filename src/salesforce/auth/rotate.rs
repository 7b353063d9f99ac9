//! Access by a refresh token (RFC 6749, 6), which may be good for one use: who loses the new one has
//! lost the consent, and who sends an old one ends all of it.
//! Source: Salesforce Help, "Rotate Refresh Tokens".

use std::sync::Arc;
use std::time::Duration;

use super::super::error::Class;
use super::super::sign_in_error::SignInError;
use super::Edge;
use super::kept::{Kept, TokenKeep, TokenText, name};
use super::obtain::{Claim, ClaimError, Held, Look, Obtained, look, read_optional_secret};
use super::request::{Grant, Tokens, request_token};
use crate::config::Secret;
use crate::model::Millis;

/// How long another node that renews is waited for: longer than a token request's own limit with its
/// repeats, and a write.
const OTHER_TAKES: Duration = Duration::from_secs(120);

/// How long a refused refresh token is not sent again, by any node.
const REFUSED_FOR: Duration = Duration::from_secs(10 * 60);

const TRIES: u32 = 10;

/// A new token that could not be kept yet.
#[derive(Debug)]
pub(super) struct Unsaved {
    token: Tokens,
    kept: Kept,
    version: i64,
    /// The refresh token that it was had for.
    spent: Option<TokenText>,
}

impl Held {
    /// The access token that is kept, or a new one for the refresh token.
    pub(super) async fn rotated(&mut self, me: &str, edge: &Edge) -> Result<Obtained, SignInError> {
        let keep = keep(edge)?;
        let name = name(&edge.config, None);
        if let Some(unsaved) = self.unsaved.take() {
            // The only copy of the consent: before anything else.
            let obtained = self.save(&*keep, &name, unsaved, edge).await?;
            if self.bad.as_ref() != Some(&obtained.access.token) {
                return Ok(obtained);
            }
        }
        let secret = read_optional_secret(&edge.config)?;
        let permit = |found: &Look, now| permit(found, now);
        let claim = self.claim(&*keep, &name, me, OTHER_TAKES, permit, edge);
        let (kept, version) = match claim.await {
            Ok(Claim::Access(access)) => return Ok(Obtained::kept(access)),
            Ok(Claim::Mine(kept, version)) => (*kept, version),
            Err(ClaimError::SignIn(error)) => return Err(error),
            Err(ClaimError::Keep(error)) => return Err(SignInError::store(&error)),
        };
        let result = self.ask(&kept, secret, edge).await;
        match result {
            Ok(token) => {
                self.went_well();
                let unsaved = Unsaved {
                    spent: kept.refresh_token.clone(),
                    kept: renewed(&kept, &token, edge.clock.now()),
                    version,
                    token,
                };
                self.save(&*keep, &name, unsaved, edge).await
            }
            Err(error) => {
                let give_back = self.give_back(&*keep, &name, me, (kept, version), error, edge);
                give_back.await
            }
        }
    }

    async fn ask(
        &mut self,
        kept: &Kept,
        secret: Option<Secret>,
        edge: &Edge,
    ) -> Result<Tokens, SignInError> {
        let token = kept
            .refresh_token
            .as_ref()
            .ok_or_else(SignInError::not_connected)?;
        let both = format!(
            "{}\n{}",
            token.0,
            secret.as_ref().map_or("", Secret::expose)
        );
        let both = Secret::new(both);
        if let Some(error) = self.held_off(&both, edge.clock.now()) {
            return Err(error);
        }
        let grant = Grant::Refresh {
            token,
            instance: kept.access.as_ref().map(|access| &access.instance),
            secret: secret.as_ref(),
        };
        let result = request_token(&grant, edge).await;
        if let Err(error) = &result {
            self.hold_off(both, error, edge.clock.now());
        }
        result
    }

    /// Keeps a new token. It is not used before.
    async fn save(
        &mut self,
        keep: &dyn TokenKeep,
        name: &str,
        mut unsaved: Unsaved,
        edge: &Edge,
    ) -> Result<Obtained, SignInError> {
        for _ in 0..TRIES {
            let now = edge.clock.now();
            let saved = async {
                let plain = unsaved.kept.write()?;
                keep.save(name, &plain, unsaved.version, now).await
            };
            let found = match saved.await {
                Ok(true) => return Ok(Obtained::fresh(unsaved.token)),
                Ok(false) => look(keep, name).await,
                Err(error) => Err(error),
            };
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    self.unsaved = Some(unsaved);
                    return Err(SignInError::store(&error));
                }
            };
            if found.readable && found.kept.refresh_token != unsaved.spent {
                // Another has taken over, or a person has connected anew: theirs is what counts.
                let access = self.usable(&found.kept, &edge.config);
                return access
                    .map(Obtained::kept)
                    .ok_or_else(SignInError::not_connected);
            }
            // Another has only said that it would ask: ours is the token that Salesforce takes.
            unsaved.version = found.version;
        }
        self.unsaved = Some(unsaved);
        Err(SignInError::overlap())
    }

    /// After a request that brought no token: lets others try, or tells them that it is over.
    async fn give_back(
        &self,
        keep: &dyn TokenKeep,
        name: &str,
        me: &str,
        claimed: (Kept, i64),
        error: SignInError,
        edge: &Edge,
    ) -> Result<Obtained, SignInError> {
        let (mut kept, mut version) = claimed;
        let spent = kept.refresh_token.clone();
        for _ in 0..TRIES {
            let now = edge.clock.now();
            kept.claimed_by = None;
            if error.class == Class::SignIn && error.code == "salesforce.sign_in.invalid_grant" {
                kept.refused_at = Some(now);
            }
            let saved = async { keep.save(name, &kept.write()?, version, now).await };
            // If it failed, the mark is ours still, and the next try takes it up.
            if !matches!(saved.await, Ok(false)) {
                break;
            }
            let Ok(found) = look(keep, name).await else {
                break;
            };
            if found.kept.refresh_token != spent {
                // Refused because another was quicker: theirs is the one.
                return self
                    .usable(&found.kept, &edge.config)
                    .map(Obtained::kept)
                    .ok_or(error);
            }
            if found.kept.claimed_by.as_deref() != Some(me) {
                break;
            }
            (kept, version) = (found.kept, found.version);
        }
        Err(error)
    }
}

/// Where tokens are kept: without it there is no consent to go by.
pub(super) fn keep(edge: &Edge) -> Result<Arc<dyn TokenKeep>, SignInError> {
    let keep = edge.keep.clone().ok_or_else(SignInError::no_keep)?;
    keep.check()
        .map_err(|error| SignInError::key_of_store(&error))?;
    Ok(keep)
}

fn permit(found: &Look, now: Millis) -> Result<(), SignInError> {
    if !found.readable {
        return Err(SignInError::unreadable());
    }
    if found.kept.refresh_token.is_none() {
        return Err(SignInError::not_connected());
    }
    match found.kept.refused_at {
        Some(at) if at.was_within(REFUSED_FOR, now) => Err(SignInError::refused_before()),
        _ => Ok(()),
    }
}

/// What is kept after an answer.
fn renewed(before: &Kept, token: &Tokens, now: Millis) -> Kept {
    Kept {
        access: Some(token.access.clone()),
        refresh_token: token
            .refresh_token
            .clone()
            .or_else(|| before.refresh_token.clone()),
        claimed_by: None,
        refused_at: None,
        obtained_at: Some(now),
    }
}
