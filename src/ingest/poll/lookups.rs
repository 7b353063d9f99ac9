//! Small tables that are read once a round and kept with each record.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Poller, Stop};
use crate::connector::manifest::Template;
use crate::connector::mechanism::plan::LookupPlan;
use crate::connector::mechanism::request::Parts;

/// The most entries of a table: it is stored with each record.
const MOST_ENTRIES: usize = 5_000;

impl Poller {
    /// The tables of those names; requests may use what is bound.
    pub(in crate::ingest) async fn tables(
        &self,
        names: &[String],
        bound: &BTreeMap<String, String>,
        known: &mut BTreeMap<String, Arc<Value>>,
    ) -> Result<Map<String, Value>, Stop> {
        let mut context = Map::new();
        for name in names {
            let Some(plan) = self.source.plan.lookups.get(name) else {
                continue;
            };
            // Those that are asked for by what is bound differ.
            let used: Vec<&str> = plan
                .names()
                .filter_map(|used| bound.get(used).map(String::as_str))
                .collect();
            let key = format!("{name}/{}", used.join("/"));
            if !known.contains_key(&key) {
                let table = self.table(plan, bound).await?;
                known.insert(key.clone(), Arc::new(Value::Object(table)));
            }
            if let Some(table) = known.get(&key) {
                context.insert(name.clone(), (**table).clone());
            }
        }
        Ok(context)
    }

    async fn table(
        &self,
        plan: &LookupPlan,
        bound: &BTreeMap<String, String>,
    ) -> Result<Map<String, Value>, Stop> {
        let mut table = Map::new();
        let parts = Parts::from(&plan.lookup);
        self.whole_list(parts, bound, &plan.paging, |page, _| {
            let rows = plan.rows(page);
            for (key, value) in rows.iter().filter_map(|row| plan.entry(row)) {
                if table.len() < MOST_ENTRIES {
                    table.insert(key, Value::String(value));
                }
            }
            rows.into_iter().map(Value::to_string).collect()
        })
        .await?;
        Ok(table)
    }
}

impl LookupPlan {
    fn names(&self) -> impl Iterator<Item = &str> {
        let queries = self.lookup.query.values();
        self.lookup
            .path
            .names()
            .chain(queries.flat_map(Template::names))
    }
}
