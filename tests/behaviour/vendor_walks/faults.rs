//! What goes wrong at vendors, on a fixed seed; and their tokens, which end.

use leadstream::connector::manifest::{
    Condition, ErrorRule, Manifest, PagingStyle, Reaction, Scalar,
};
use serde_json::{Value, json};

use super::http::{Reply, Sent};
use super::json::{set, steps};
use super::stand_in::State;

/// Page tokens expire so often: a walk that has to begin anew again and again gives up, rightly.
const MOST_EXPIRIES: u64 = 2;

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    TooOften,
    Broken,
    Dropped,
    Torn,
    SignedOut,
    /// All page tokens given so far.
    PageTokens,
}

/// A page was asked for by a token that had expired.
pub const EXPIRED: &str = "expired page token";

/// Pages after which page tokens expire for the first time.
const FIRST_EXPIRY: u64 = 6;

/// Whether the manifest says what an expired page token is answered with.
pub fn knows_expiry(manifest: &Manifest) -> bool {
    let mut rules = manifest.errors.iter();
    rules.any(|rule| rule.then == Reaction::Restart)
}

impl Fault {
    /// Each once, before chance has its way.
    pub fn each(gets_tokens: bool) -> Vec<Self> {
        let mut all = vec![Self::TooOften, Self::Broken, Self::Dropped, Self::Torn];
        if gets_tokens {
            all.push(Self::SignedOut);
        }
        all
    }

    /// `has_page_token`: what is asked for is a page by its token.
    pub fn roll(state: &mut State, manifest: &Manifest, has_page_token: bool) -> Option<Self> {
        let roll = state.dice.as_mut()?.roll(100);
        if let Some(first) = state.first.pop() {
            return Some(first);
        }
        let expires = has_page_token && knows_expiry(manifest) && state.generation < MOST_EXPIRIES;
        if expires && state.generation == 0 && state.pages >= FIRST_EXPIRY {
            return Some(Self::PageTokens);
        }
        Some(match roll {
            0..4 => Self::TooOften,
            4..8 => Self::Broken,
            8..12 => Self::Dropped,
            12..16 => Self::Torn,
            // A token that was just had is good.
            16..22 if state.tokens.as_ref().is_some_and(|tokens| tokens.uses > 1) => {
                Self::SignedOut
            }
            22..30 if expires => Self::PageTokens,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::TooOften => "429",
            Self::Broken => "500",
            Self::Dropped => "dropped",
            Self::Torn => "torn",
            Self::SignedOut => "401",
            Self::PageTokens => "page tokens",
        }
    }

    /// What is answered in place of what was asked for; none if that is still given.
    pub fn reply(self, state: &mut State) -> Option<Reply> {
        match self {
            Self::TooOften => Some(Reply::status(429).retry_after(2)),
            Self::Broken => Some(Reply::status(500)),
            Self::Dropped => Some(Reply::dropped()),
            Self::Torn => None,
            Self::SignedOut => {
                state.tokens.as_mut().unwrap().access.clear();
                Some(Reply::status(401))
            }
            Self::PageTokens => {
                state.generation += 1;
                None
            }
        }
    }
}

/// The answer to a page token that is no longer good, as the manifest's rule knows it.
pub fn restart(manifest: &Manifest, token: &str) -> Reply {
    let rule = manifest
        .errors
        .iter()
        .find(|rule| rule.then == Reaction::Restart);
    let rule = rule.unwrap_or_else(|| panic!("`{token}` has expired, and no rule says what then"));
    let mut body = json!({});
    if let Some(when) = &rule.when {
        set(&mut body, &steps(&when.from.0[0]), meets(when));
    }
    Reply::json(&body).of_status(status(rule))
}

fn status(rule: &ErrorRule) -> u16 {
    rule.status.first().copied().unwrap_or(400)
}

/// A value that a condition holds for.
pub fn meets(condition: &Condition) -> Value {
    let text = |scalar: &Scalar| -> Value {
        let text = scalar.0.clone();
        serde_json::from_str(&text).unwrap_or_else(|_| text.clone().into())
    };
    if let Some(equals) = &condition.equals {
        return text(equals);
    }
    if let Some(one) = condition.one_of.first() {
        return text(one);
    }
    if let Some(part) = condition
        .contains
        .as_ref()
        .or(condition.starts_with.as_ref())
    {
        return part.clone().into();
    }
    if let Some(above) = condition.above {
        return (above as i64 + 1).into();
    }
    "there".into()
}

/// Whether a poll goes by page tokens.
pub fn has_page_tokens(style: PagingStyle) -> bool {
    matches!(style, PagingStyle::Token | PagingStyle::NextUrl)
}

/// Access tokens that live minutes, and refresh tokens of which each is good for one use.
#[derive(Debug)]
pub struct Tokens {
    url: String,
    given: u64,
    pub access: String,
    /// How often the access token was used.
    pub uses: u64,
    /// The one before it is good until the access token that came with it is used: its answer may
    /// have been lost.
    refresh: [String; 2],
    pub refused: u64,
}

impl Tokens {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            given: 0,
            access: String::new(),
            uses: 0,
            refresh: [FIRST.to_owned(), FIRST.to_owned()],
            refused: 0,
        }
    }

    pub fn give(&mut self, sent: &Sent) -> Reply {
        let form = sent.form();
        let mut answer = json!({ "token_type": "bearer", "expires_in": 180, "api_url": self.url });
        if form["grant_type"] == "refresh_token" {
            if !self.refresh.contains(&form["refresh_token"]) {
                self.refused += 1;
                return Reply::json(&json!({ "error": "invalid_grant" })).of_status(400);
            }
            let before = form["refresh_token"].clone();
            self.refresh = [before, format!("refresh-{}", self.given)];
            answer["refresh_token"] = self.refresh[1].clone().into();
        }
        self.access = format!("access-{}", self.given);
        self.given += 1;
        self.uses = 0;
        answer["access_token"] = self.access.clone().into();
        Reply::json(&answer)
    }

    pub fn knows(&mut self, sent: &Sent) -> bool {
        let token = sent.authorization.strip_prefix("Bearer ");
        let is_known = !self.access.is_empty() && token == Some(&self.access);
        if is_known {
            self.uses += 1;
            let [before, now] = &mut self.refresh;
            before.clone_from(now);
        }
        is_known
    }
}

/// The refresh token that the source is configured with.
pub const FIRST: &str = "refresh-of-the-configuration";
