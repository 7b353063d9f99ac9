//! TEMPORARY until merge
use crate::model::*;
use std::collections::BTreeMap;
pub fn merge(record: &mut BTreeMap<String, Held>, s: &Submission) -> Vec<String> {
    let mut c = vec![];
    for (k, v) in s.fields.iter().chain(&s.attribution) {
        if record.get(k).is_none_or(|h| h.at <= s.at && h.value != *v) {
            record.insert(
                k.clone(),
                Held {
                    value: v.clone(),
                    at: s.at,
                    event: s.event,
                },
            );
            c.push(k.clone());
        }
    }
    c
}
