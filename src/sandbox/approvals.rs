//! What users allowed apps to do: authorization codes, and refresh tokens with their families.

use std::collections::HashMap;
use std::time::Duration;

use super::faults::Dice;
use crate::model::Millis;

/// How long an authorization code lives.
const CODE_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Approvals that a user may give one app; one more revokes the oldest.
const MAX_APPROVALS: usize = 5;

/// Codes kept; the oldest go first.
const MAX_CODES: usize = 1_000;

/// All refresh tokens that came of one approval.
pub(super) type FamilyId = usize;

/// What an app asked for and a user allowed.
#[derive(Debug, Clone)]
pub(super) struct Approval {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
    /// The PKCE challenge, if the app sent one.
    pub(super) challenge: Option<String>,
}

#[derive(Debug)]
struct Code {
    approval: Approval,
    issued: Millis,
}

#[derive(Debug)]
struct Family {
    client_id: String,
    scope: String,
    issued: Millis,
    /// The token that counts; none once the family is revoked.
    current: Option<String>,
}

/// A refresh token that was taken.
#[derive(Debug)]
pub(super) struct Refreshed {
    pub(super) family: FamilyId,
    pub(super) scope: String,
    /// The token that takes the place of the one that was used, if tokens rotate.
    pub(super) next: Option<String>,
}

/// Why a refresh token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotRefreshed {
    /// It never was one, is revoked, or is another app's.
    Unknown,
    /// It was used before: its family has just been revoked.
    Reused(FamilyId),
}

#[derive(Debug)]
pub(super) struct Approvals {
    codes: HashMap<String, Code>,
    families: Vec<Family>,
    by_token: HashMap<String, FamilyId>,
    rotates: bool,
    dice: Dice,
}

impl Approvals {
    pub(super) fn new(rotates: bool, seed: u64) -> Self {
        Self {
            codes: HashMap::new(),
            families: Vec::new(),
            by_token: HashMap::new(),
            rotates,
            dice: Dice(seed),
        }
    }

    /// A code for what was approved.
    pub(super) fn issue_code(&mut self, approval: Approval, now: Millis) -> String {
        if self.codes.len() >= MAX_CODES {
            let oldest = self.codes.iter().min_by_key(|(_, code)| code.issued);
            if let Some(code) = oldest.map(|(code, _)| code.clone()) {
                self.codes.remove(&code);
            }
        }
        // Codes of orgs end in `==`, which clients must encode.
        let code = format!("aPrx{}==", self.secret(56));
        let issued = Code {
            approval,
            issued: now,
        };
        self.codes.insert(code.clone(), issued);
        code
    }

    /// Takes a code, which ends it; none if it is used, too old or never was one.
    pub(super) fn take_code(&mut self, code: &str, now: Millis) -> Option<Approval> {
        let code = self.codes.remove(code)?;
        (now.since(code.issued) < CODE_TIMEOUT).then_some(code.approval)
    }

    /// A first refresh token; and the family that had to go for it, if the app had five.
    pub(super) fn start_family(
        &mut self,
        client_id: &str,
        scope: &str,
        now: Millis,
    ) -> (FamilyId, String, Option<FamilyId>) {
        let live = |family: &&Family| family.current.is_some() && family.client_id == client_id;
        let full = self.families.iter().filter(live).count() >= MAX_APPROVALS;
        let oldest = self.families.iter().position(|family| live(&family));
        let revoked = oldest.filter(|_| full);
        if let Some(oldest) = revoked {
            self.revoke_family(oldest);
        }
        let token = format!("5Aep{}", self.secret(83));
        let family = self.families.len();
        self.families.push(Family {
            client_id: client_id.to_owned(),
            scope: scope.to_owned(),
            issued: now,
            current: Some(token.clone()),
        });
        self.by_token.insert(token.clone(), family);
        (family, token, revoked)
    }

    /// Takes a refresh token. One that was used before ends its whole family.
    pub(super) fn refresh(
        &mut self,
        token: &str,
        client_id: &str,
    ) -> Result<Refreshed, NotRefreshed> {
        let family = *self.by_token.get(token).ok_or(NotRefreshed::Unknown)?;
        let known = &self.families[family];
        if known.client_id != client_id || known.current.is_none() {
            return Err(NotRefreshed::Unknown);
        }
        if known.current.as_deref() != Some(token) {
            self.revoke_family(family);
            return Err(NotRefreshed::Reused(family));
        }
        let next = self.rotates.then(|| format!("5Aep{}", self.secret(83)));
        if let Some(next) = &next {
            self.by_token.insert(next.clone(), family);
            self.families[family].current = Some(next.clone());
        }
        Ok(Refreshed {
            family,
            scope: self.families[family].scope.clone(),
            next,
        })
    }

    /// The app, scope and start of a refresh token that counts.
    pub(super) fn look(&self, token: &str) -> Option<(&str, &str, Millis)> {
        let family = &self.families[*self.by_token.get(token)?];
        let counts = family.current.as_deref() == Some(token);
        counts.then_some((&family.client_id, &family.scope, family.issued))
    }

    /// Ends the family of a refresh token; none if there is no such token.
    pub(super) fn revoke(&mut self, token: &str) -> Option<FamilyId> {
        let family = *self.by_token.get(token)?;
        self.families[family].current.as_ref()?;
        self.revoke_family(family);
        Some(family)
    }

    /// Ends every refresh token, as a changed password does.
    pub(super) fn revoke_all(&mut self) {
        for family in 0..self.families.len() {
            self.revoke_family(family);
        }
    }

    fn revoke_family(&mut self, family: FamilyId) {
        self.families[family].current = None;
    }

    fn secret(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
        let mut letter = |_| char::from(ALPHABET[(self.dice.next() & 63) as usize]);
        (0..length).map(&mut letter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_772_359_200_000);

    fn approval() -> Approval {
        Approval {
            client_id: "app".to_owned(),
            redirect_uri: "http://localhost:1717/".to_owned(),
            scope: "api refresh_token".to_owned(),
            challenge: None,
        }
    }

    #[test]
    fn a_code_is_taken_once_and_within_fifteen_minutes() {
        let mut approvals = Approvals::new(true, 1);
        let code = approvals.issue_code(approval(), NOW);
        let last = Millis(NOW.after(CODE_TIMEOUT).0 - 1);
        assert!(approvals.take_code(&code, last).is_some());
        assert!(approvals.take_code(&code, last).is_none());
        let code = approvals.issue_code(approval(), NOW);
        assert!(
            approvals
                .take_code(&code, NOW.after(CODE_TIMEOUT))
                .is_none()
        );
    }

    #[test]
    fn a_used_refresh_token_ends_its_family() {
        let mut approvals = Approvals::new(true, 1);
        let (family, first, _) = approvals.start_family("app", "api", NOW);
        let second = approvals.refresh(&first, "app").unwrap().next.unwrap();
        assert_ne!(first, second);
        let refused = approvals.refresh(&first, "app").unwrap_err();
        assert_eq!(refused, NotRefreshed::Reused(family));
        let refused = approvals.refresh(&second, "app").unwrap_err();
        assert_eq!(refused, NotRefreshed::Unknown);
    }

    #[test]
    fn without_rotation_the_token_stays() {
        let mut approvals = Approvals::new(false, 1);
        let (_, token, _) = approvals.start_family("app", "api", NOW);
        assert!(approvals.refresh(&token, "app").unwrap().next.is_none());
        assert!(approvals.refresh(&token, "app").is_ok());
        assert!(approvals.refresh(&token, "another").is_err());
    }

    #[test]
    fn the_sixth_approval_revokes_the_oldest() {
        let mut approvals = Approvals::new(true, 1);
        let tokens: Vec<String> = (0..5)
            .map(|_| approvals.start_family("app", "api", NOW).1)
            .collect();
        approvals.start_family("another", "api", NOW);
        assert!(approvals.look(&tokens[0]).is_some());
        let (_, _, revoked) = approvals.start_family("app", "api", NOW);
        assert_eq!(revoked, Some(0));
        assert!(approvals.look(&tokens[0]).is_none());
        assert!(approvals.look(&tokens[1]).is_some());
    }
}
