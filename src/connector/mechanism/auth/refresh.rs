//! Refresh tokens (RFC 6749, 6), of which many can be used once only: who loses the new one has lost
//! the consent.
//!
//! So there is one refresher at a time among all nodes: it marks the credential as its own by
//! compare-and-swap before it asks the vendor, and keeps the new refresh token durably before the
//! new access token is used. The others wait for theirs. Whoever waits in vain for a minute, by its
//! own clock, takes over: the refresher is gone, and its answer with it.

use std::time::Duration;

use super::credential::{Credential, Kept, TokenText};
use super::facts::CredentialFacts;
use super::token::{self, Token, TokenAnswer, TokenError, TokenRequest};
use super::trouble::{pause, retry, secret};
use super::{Edge, Held, SignIn};
use crate::connector::manifest::Auth;
use crate::connector::mechanism::call::CallError;
use crate::model::Millis;

/// How long a refresher may take: longer than a token request's own limit, and a write.
const REFRESHER_TAKES: Duration = Duration::from_secs(60);

const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a refused refresh token is not sent again: "tried daily", and a restart asks again.
const REFUSED_FOR: Duration = Duration::from_secs(60 * 60);

const TRIES: u32 = 10;

/// A new token that could not be kept yet.
#[derive(Debug)]
pub(super) struct Unsaved {
    credential: Credential,
    version: i64,
    /// The refresh token that it was had for.
    spent: Option<TokenText>,
}

impl SignIn {
    /// An access token other than `refused`: the one that is kept, or a new one.
    pub(super) async fn refreshed(
        &self,
        auth: &Auth,
        held: &mut Held,
        refused: Option<&TokenText>,
        edge: &Edge,
    ) -> Result<Token, CallError> {
        let name = self.credential_name()?;
        if let Some(unsaved) = held.unsaved.take() {
            let token = self.keep(&name, unsaved, held, edge).await?;
            if Some(&token.access) != refused {
                return Ok(token);
            }
        }
        let claimed = match self.claim(&name, refused, edge).await? {
            Claimed::Token(token) => return Ok(token),
            Claimed::Mine(kept) => *kept,
        };
        match self.ask_for(auth, &claimed.credential, edge).await {
            Ok(answer) => {
                let unsaved = Unsaved {
                    spent: claimed.credential.refresh_token.clone(),
                    version: claimed.version,
                    credential: renewed(&claimed.credential, answer, auth, edge.clock.now()),
                };
                self.keep(&name, unsaved, held, edge).await
            }
            Err(error) => self.give_back(&name, claimed, error, refused, edge).await,
        }
    }

    /// Marks the credential as ours to refresh, or finds that somebody has done it already.
    async fn claim(
        &self,
        name: &str,
        refused: Option<&TokenText>,
        edge: &Edge,
    ) -> Result<Claimed, CallError> {
        let mut waited: Option<(i64, Millis)> = None;
        loop {
            let now = edge.clock.now();
            let kept = match edge.vault.load(name).await? {
                Some(kept) => kept,
                None => self.first(now)?,
            };
            if let Some(token) = usable(&kept.credential, refused, now) {
                return Ok(Claimed::Token(token));
            }
            let Some(_) = kept.credential.refresh_token else {
                return Err(self.ended());
            };
            if let Some(at) = kept.credential.refused_at
                && at.was_within(REFUSED_FOR, now)
            {
                return Err(self.refused_before());
            }
            if let Some(other) = &kept.credential.claimed_by
                && *other != self.me
            {
                let since = match waited {
                    Some((version, since)) if version == kept.version => since,
                    _ => {
                        waited = Some((kept.version, now));
                        now
                    }
                };
                if now.since(since) < REFRESHER_TAKES {
                    edge.clock.sleep(LOOK_AGAIN).await;
                    continue;
                }
                tracing::warn!(
                    source = %self.source,
                    "whoever was asking for a new token is gone; asking again"
                );
            }
            let mut credential = kept.credential;
            credential.claimed_by = Some(self.me.clone());
            if edge
                .vault
                .save(name, &credential, kept.version, now)
                .await?
            {
                return Ok(Claimed::Mine(Box::new(Kept {
                    credential,
                    version: kept.version + 1,
                })));
            }
        }
    }

    /// The credential as the configuration has it, before anything is kept.
    fn first(&self, now: Millis) -> Result<Kept, CallError> {
        let configured = self.options.text("refresh_token").map_err(|e| secret(&e))?;
        let refresh_token = configured.ok_or_else(|| self.not_connected())?;
        Ok(Kept {
            credential: Credential {
                refresh_token: Some(TokenText(refresh_token)),
                facts: CredentialFacts {
                    way: self.way.clone(),
                    obtained_at: Some(now),
                    renews: true,
                    ..CredentialFacts::default()
                },
                ..Credential::default()
            },
            version: 0,
        })
    }

    async fn ask_for(
        &self,
        auth: &Auth,
        credential: &Credential,
        edge: &Edge,
    ) -> Result<TokenAnswer, TokenError> {
        let refresh_token = credential.refresh_token.as_ref();
        let refresh_token = refresh_token
            .map(|token| token.0.clone())
            .unwrap_or_default();
        let mut form = vec![
            ("grant_type".to_owned(), "refresh_token".to_owned()),
            ("refresh_token".to_owned(), refresh_token),
        ];
        form.extend(self.parameters(auth).map_err(TokenError::Refused)?);
        let request = TokenRequest {
            url: &self.token_url(auth).map_err(TokenError::Refused)?,
            auth,
            form,
            client: Some(self.client().map_err(TokenError::Refused)?),
            source: &self.source,
        };
        token::ask(request, edge.http.as_ref(), &edge.clock).await
    }

    /// Keeps a new token. It is not used before.
    async fn keep(
        &self,
        name: &str,
        mut unsaved: Unsaved,
        held: &mut Held,
        edge: &Edge,
    ) -> Result<Token, CallError> {
        for _ in 0..TRIES {
            let now = edge.clock.now();
            let saved = edge
                .vault
                .save(name, &unsaved.credential, unsaved.version, now);
            let look = match saved.await {
                Ok(true) => {
                    let token = token_of(&unsaved.credential);
                    return token.ok_or_else(|| self.ended());
                }
                Ok(false) => edge.vault.load(name).await,
                Err(error) => Err(error),
            };
            let kept = match look {
                Ok(kept) => kept,
                Err(error) => {
                    // Tried again before anything else: the vendor may take the old one no more.
                    held.unsaved = Some(unsaved);
                    return Err(error.into());
                }
            };
            match kept {
                // Another has taken over, and has a token already.
                Some(kept) if kept.credential.refresh_token != unsaved.spent => {
                    if let Some(token) = token_of(&kept.credential) {
                        return Ok(token);
                    }
                    return Err(self.ended());
                }
                // Another has only said that it would, or changed some facts: ours is the token that
                // the vendor takes.
                Some(kept) => unsaved.version = kept.version,
                None => unsaved.version = 0,
            }
        }
        held.unsaved = Some(unsaved);
        Err(retry(
            "vendor.credential",
            "the credential is changed all the time by others",
            None,
        ))
    }

    /// After a request that brought no token: lets others try, or tells them that it is over.
    async fn give_back(
        &self,
        name: &str,
        claimed: Kept,
        error: TokenError,
        refused: Option<&TokenText>,
        edge: &Edge,
    ) -> Result<Token, CallError> {
        let mut kept = claimed;
        for _ in 0..TRIES {
            let now = edge.clock.now();
            let mut credential = kept.credential.clone();
            credential.claimed_by = None;
            if matches!(error, TokenError::Refused(_)) {
                credential.refused_at = Some(now);
            }
            match edge.vault.save(name, &credential, kept.version, now).await {
                // If it failed, the mark is ours still, and the next try takes it up.
                Ok(true) | Err(_) => break,
                Ok(false) => {}
            }
            let Some(found) = edge.vault.load(name).await? else {
                break;
            };
            if found.credential.refresh_token != kept.credential.refresh_token {
                // Refused because another was quicker: theirs is the one.
                return usable(&found.credential, refused, now).ok_or_else(|| error.into());
            }
            if found.credential.claimed_by.as_ref() != Some(&self.me) {
                break;
            }
            kept = found;
        }
        Err(error.into())
    }

    fn not_connected(&self) -> CallError {
        pause(
            "vendor.not_connected",
            format!("{} has not been given access yet", self.title),
            format!("sign in once: `leadstream connect {}`", self.source),
        )
    }

    fn ended(&self) -> CallError {
        pause(
            "vendor.signed_out",
            format!("the access that {} gave has ended", self.title),
            format!("sign in anew: `leadstream connect {}`", self.source),
        )
    }

    fn refused_before(&self) -> CallError {
        pause(
            "vendor.signed_out",
            format!(
                "{} has refused to renew the access; it is asked again within the hour",
                self.title
            ),
            format!(
                "sign in anew: `leadstream connect {}`, or replace its `refresh_token`",
                self.source
            ),
        )
    }
}

enum Claimed {
    Token(Token),
    Mine(Box<Kept>),
}

/// The kept access token, if it can be used.
fn usable(credential: &Credential, refused: Option<&TokenText>, now: Millis) -> Option<Token> {
    token_of(credential).filter(|token| token.is_usable(now) && Some(&token.access) != refused)
}

fn token_of(credential: &Credential) -> Option<Token> {
    Some(Token {
        access: credential.access_token.clone()?,
        until: credential.access_until,
        base_url: credential.base_url.clone(),
    })
}

/// The credential after an answer.
pub(super) fn renewed(
    before: &Credential,
    answer: TokenAnswer,
    auth: &Auth,
    now: Millis,
) -> Credential {
    let mut facts = before.facts.clone();
    facts.obtained_at = facts.obtained_at.or(Some(now));
    facts.access_ends_at = answer.access_ends_at;
    // Without a word of it the end that was told before stands, unless the token is another.
    let rotated = answer.refresh_token.is_some() && answer.refresh_token != before.refresh_token;
    if rotated || answer.refresh_ends_at.is_some() {
        facts.refresh_ends_at = answer.refresh_ends_at;
    }
    let refresh_token = answer
        .refresh_token
        .or_else(|| before.refresh_token.clone());
    facts.renews = refresh_token.is_some();
    facts.scope = answer.scope.or(facts.scope);
    facts.account = answer.account.or(facts.account);
    facts.grant_ends_at = super::kept::grant_end(auth, facts.obtained_at);
    Credential {
        refresh_token,
        access_token: Some(answer.token.access),
        access_until: answer.token.until,
        base_url: answer.token.base_url.or_else(|| before.base_url.clone()),
        claimed_by: None,
        refused_at: None,
        facts,
    }
}
