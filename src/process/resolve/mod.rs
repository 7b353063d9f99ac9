//! TEMPORARY until merge
pub mod merge;
use crate::model::*;
use std::hash::Hasher as _;
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    pub lead: Option<LeadId>,
    pub by: Option<KeyKind>,
    pub notes: Vec<Note>,
}
pub fn hash(key: &MatchKey, secret: &[u8; 16]) -> KeyHash {
    let mut h = siphasher::sip::SipHasher13::new_with_key(secret);
    h.write_u8(key.kind as u8);
    h.write(key.value.as_bytes());
    KeyHash {
        kind: key.kind,
        hash: h.finish() as i64,
    }
}
pub fn resolve<'a>(
    submission: &Submission,
    candidates: impl IntoIterator<Item = &'a Lead>,
) -> Resolution {
    let _ = submission;
    match candidates.into_iter().next() {
        Some(l) => Resolution {
            lead: Some(l.id),
            by: Some(KeyKind::Email),
            notes: vec![],
        },
        None => Resolution::default(),
    }
}
