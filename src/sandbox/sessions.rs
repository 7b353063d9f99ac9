//! Access tokens: who holds one, and until when.

use std::collections::HashMap;
use std::time::Duration;

use super::approvals::FamilyId;
use super::faults::Dice;
use super::ids::RecordId;
use crate::model::Millis;

/// Tokens kept; the longest unused go first. Far above what an org allows one user.
const MAX_SESSIONS: usize = 1_000;

/// A token's session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The consumer key that signed in.
    pub(super) client_id: String,
    /// When it was issued.
    pub(super) issued: Millis,
    last_used: Millis,
    requests: u32,
    /// The approval that it came of, if a user gave one.
    family: Option<FamilyId>,
}

#[derive(Debug)]
pub(super) struct Sessions {
    timeout: Duration,
    by_token: HashMap<String, Session>,
    dice: Dice,
}

impl Sessions {
    pub(super) fn new(timeout: Duration, seed: u64) -> Self {
        Self {
            timeout,
            by_token: HashMap::new(),
            dice: Dice(seed),
        }
    }

    /// A new token.
    pub(super) fn issue(
        &mut self,
        org: RecordId,
        client_id: &str,
        family: Option<FamilyId>,
        now: Millis,
    ) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
        if self.by_token.len() >= MAX_SESSIONS {
            let oldest = self
                .by_token
                .iter()
                .min_by_key(|(_, session)| session.last_used);
            if let Some(token) = oldest.map(|(token, _)| token.clone()) {
                self.by_token.remove(&token);
            }
        }
        let secret = (0..94).map(|_| char::from(ALPHABET[(self.dice.next() & 63) as usize]));
        let token = format!("{}!AQ{}", org.short(), secret.collect::<String>());
        let session = Session {
            client_id: client_id.to_owned(),
            issued: now,
            last_used: now,
            requests: 0,
            family,
        };
        self.by_token.insert(token.clone(), session);
        token
    }

    /// Uses a token for a request; `false` if it has ended.
    pub(super) fn spend(&mut self, token: &str, now: Millis, most: Option<u32>) -> bool {
        let Some(session) = self.by_token.get_mut(token) else {
            return false;
        };
        let is_spent = most.is_some_and(|most| session.requests >= most);
        if is_spent || now.since(session.last_used) >= self.timeout {
            self.by_token.remove(token);
            return false;
        }
        session.last_used = now;
        session.requests += 1;
        true
    }

    /// Looks at a token without using it: its session, and when that ends.
    pub(super) fn look(&self, token: &str, now: Millis) -> Option<(&Session, Millis)> {
        let session = self.by_token.get(token)?;
        let ends = session.last_used.after(self.timeout);
        (now < ends).then_some((session, ends))
    }

    /// Ends a token; `false` if there is none such.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        self.by_token.remove(token).is_some()
    }

    /// Ends every token of an approval.
    pub(super) fn revoke_family(&mut self, family: FamilyId) {
        self.by_token
            .retain(|_, session| session.family != Some(family));
    }

    /// Ends every token.
    pub(super) fn expire_all(&mut self) {
        self.by_token.clear();
    }
}
