//! Hands out the session, and signs in when there is none.

use std::sync::Arc;

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use url::Url;

use super::super::sign_in_error::SignInError;
use super::Edge;
use super::kept::TokenText;
use super::obtain::{Held, Obtained};
use crate::config::SalesforceAuth;
use crate::edge::random;

/// How signing in went the last time, for `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SignInState {
    /// It was not tried.
    #[default]
    NotYet,
    /// There is a token; Salesforce may have ended it meanwhile.
    SignedIn,
    /// There is none.
    Failed(SignInError),
}

/// A token, and the only host that may be shown it.
#[derive(Debug, Clone)]
pub(in crate::salesforce) struct Session {
    pub authorization: HeaderValue,
    pub instance: Url,
    /// Whether it was just given when we got it: another would be refused as well.
    pub is_fresh: bool,
    user_id: Option<String>,
    token: TokenText,
    number: u64,
}

impl Session {
    /// None if the token cannot stand in a header.
    pub(super) fn new(obtained: &Obtained, number: u64) -> Option<Self> {
        Some(Self {
            authorization: obtained.access.authorization()?,
            instance: obtained.access.instance.clone(),
            is_fresh: obtained.is_fresh,
            user_id: obtained.access.user_id.clone(),
            token: obtained.access.token.clone(),
            number,
        })
    }
}

#[derive(Debug)]
pub(in crate::salesforce) struct Sessions {
    /// Held while signing in, so that all who need a token wait for the same one.
    pub(super) held: Arc<tokio::sync::Mutex<Held>>,
    standing: Mutex<Standing>,
    /// Tells this process from others that sign in.
    me: String,
}

/// How signing in stands.
#[derive(Debug, Default)]
struct Standing {
    state: SignInState,
    /// A fresh token was refused: the next one is not believed before a call has taken it.
    doubted: bool,
    /// How often it has gone well.
    sign_ins: u64,
    /// The user of the last token.
    user_id: Option<String>,
    /// As the last token answer showed.
    clock_ahead: Option<i64>,
}

impl Standing {
    fn went_well(&mut self) {
        self.state = SignInState::SignedIn;
        self.sign_ins += 1;
    }
}

impl Sessions {
    pub fn new() -> Self {
        Self {
            held: Arc::default(),
            standing: Mutex::default(),
            me: format!("{:032x}", u128::from_be_bytes(random::bytes())),
        }
    }

    pub fn state(&self) -> SignInState {
        self.standing.lock().state.clone()
    }

    /// How often signing in has gone well.
    pub fn sign_ins(&self) -> u64 {
        self.standing.lock().sign_ins
    }

    /// The 18-character id of the user of the last token, if it told.
    pub fn user_id(&self) -> Option<String> {
        self.standing.lock().user_id.clone()
    }

    /// By how many seconds our clock was ahead of Salesforce's, if that is worth a word.
    pub fn clock_ahead_seconds(&self) -> Option<i64> {
        self.standing.lock().clock_ahead
    }

    /// Whether a fresh token was refused and no call has taken another one since.
    pub fn is_doubted(&self) -> bool {
        self.standing.lock().doubted
    }

    /// The session in use, or a new one.
    pub async fn current(&self, edge: &Edge) -> Result<Session, SignInError> {
        let held = Arc::clone(&self.held).lock_owned().await;
        if let Some(session) = &held.session {
            return Ok(session.clone());
        }
        self.replace(held, edge).await
    }

    /// A session other than `refused`, which Salesforce no longer takes. If someone else has
    /// signed in meanwhile, theirs.
    pub async fn renewed(&self, refused: &Session, edge: &Edge) -> Result<Session, SignInError> {
        let mut held = Arc::clone(&self.held).lock_owned().await;
        match &held.session {
            Some(session) if session.number != refused.number => Ok(session.clone()),
            _ => {
                held.bad = Some(refused.token.clone());
                self.replace(held, edge).await
            }
        }
    }

    /// Notes that even a fresh token is refused. The next call signs in: kept until it ends, the
    /// token would say that there is none long after it is taken.
    pub async fn token_refused(&self, refused: &Session, error: &SignInError) {
        let mut held = self.held.lock().await;
        let dropped = held
            .session
            .take_if(|session| session.number == refused.number);
        if dropped.is_some() {
            held.bad = Some(refused.token.clone());
        }
        let mut standing = self.standing.lock();
        standing.state = SignInState::Failed(error.clone());
        standing.doubted = true;
    }

    /// Notes that a token was taken.
    pub fn token_taken(&self) {
        let mut standing = self.standing.lock();
        if std::mem::take(&mut standing.doubted) {
            standing.went_well();
        }
    }

    async fn replace(
        &self,
        mut held: OwnedMutexGuard<Held>,
        edge: &Edge,
    ) -> Result<Session, SignInError> {
        let result = if edge.config.auth == SalesforceAuth::AuthorizationCode {
            // In a task of its own: an answer that holds a new refresh token must be kept even if
            // whoever asked is gone by then.
            let (me, edge) = (self.me.clone(), edge.clone());
            let renewing = tokio::spawn(async move { held.renew(&me, &edge).await });
            renewing
                .await
                .unwrap_or_else(|_| Err(SignInError::answer("asking for it was broken off")))
        } else {
            held.renew(&self.me, edge).await
        };
        let mut standing = self.standing.lock();
        match result {
            Ok((session, clock_ahead)) => {
                standing.user_id.clone_from(&session.user_id);
                standing.clock_ahead = clock_ahead.or(standing.clock_ahead);
                if !standing.doubted {
                    standing.went_well();
                }
                Ok(session)
            }
            Err(error) => {
                standing.state = SignInState::Failed(error.clone());
                Err(error)
            }
        }
    }
}
