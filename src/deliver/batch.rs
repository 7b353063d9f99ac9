//! A batch on its way: what is to be sent of each claim, in which calls, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde_json::json;
use tracing::{info, warn};

use super::concurrency::{CallEnd, plan_calls};
use super::retry::{Retry, hold_all, next_try};
use super::run::Deliver;
use super::salesforce::send::{Blame, Outgoing, Sender, Sent};
use super::salesforce::write::together;
use super::salesforce::{cause, join_together};
use crate::mirror::MirrorError;
use crate::model::{Delivery, Millis};
use crate::salesforce::{CallError, Class, Explanation};
use crate::store::{Claim, Ended, Node, Outcome, Settlement, StoreError};
use crate::telemetry::EndLabel;

/// How often what became of a batch is written again because another node was in the way.
const MOST_CONFLICTS: u32 = 10;

impl Deliver {
    /// Sends what was claimed, in as many calls at once as the org bears: leads that share a campaign
    /// go one call after the other, for each call locks it.
    pub(super) async fn send(
        &self,
        node: Node,
        claims: &[Claim],
        request_id: &str,
        batch_size: usize,
    ) -> Result<Vec<Sent>, StoreError> {
        let mut leads: Vec<Outgoing> = claims.iter().map(|claim| self.outgoing(claim)).collect();
        match self.find(&mut leads).await {
            Ok(()) => Ok(self.send_found(node, leads, request_id, batch_size).await),
            Err(MirrorError::Store(error)) => Err(error),
            // Nothing was written; a Lead that is made without a look may be somebody's second one.
            Err(MirrorError::Call(error)) => Ok(leads
                .iter()
                .map(|lead| Sent::failed(&error, lead.unsure))
                .collect()),
            // Candidates are looked for without a job.
            Err(MirrorError::JobFailed) => Ok(Vec::new()),
        }
    }

    /// The same of leads whose candidates are known.
    pub(super) async fn send_found(
        &self,
        node: Node,
        leads: Vec<Outgoing>,
        request_id: &str,
        batch_size: usize,
    ) -> Vec<Sent> {
        let lanes = {
            let parents: Vec<Vec<&str>> = leads
                .iter()
                .map(|lead| lead.campaigns.keys().map(String::as_str).collect())
                .collect();
            plan_calls(&parents, self.concurrency.lock().limit(), batch_size)
        };
        let leads = &leads;
        let lanes = lanes.into_iter().map(|calls| async move {
            let mut sent = Vec::new();
            for call in calls {
                let of: Vec<Outgoing> = call.iter().map(|index| leads[*index].clone()).collect();
                let results = self.send_call(node, &of, request_id).await;
                sent.extend(call.into_iter().zip(results));
            }
            sent
        });
        let mut sent: Vec<(usize, Sent)> = join_all(lanes).await.into_iter().flatten().collect();
        sent.sort_by_key(|(index, _)| *index);
        sent.into_iter().map(|(_, sent)| sent).collect()
    }

    /// Sends what fits into one call, and learns how busy the org is.
    async fn send_call(&self, node: Node, leads: &[Outgoing], request_id: &str) -> Vec<Sent> {
        let may_write = self.may_write(node);
        let ticket = self.concurrency.lock().begin();
        let began = self.clock.now();
        let sent = self.sender(request_id, &may_write).send(leads).await;
        let took = self.clock.now().since(began);
        self.concurrency.lock().end(ticket, call_end(&sent, took));
        sent
    }

    /// Whether `node` may still write: another may have taken over meanwhile.
    pub(super) fn may_write(
        &self,
        node: Node,
    ) -> impl Fn() -> BoxFuture<'static, bool> + Send + Sync + use<> {
        let store = Arc::clone(&self.store);
        move || -> BoxFuture<'static, bool> {
            let store = Arc::clone(&store);
            Box::pin(async move { store.confirm(node).await.is_ok() })
        }
    }

    /// What sends.
    pub(super) fn sender<'s>(
        &'s self,
        request_id: &'s str,
        may_write: &'s super::salesforce::send::MayWrite<'s>,
    ) -> Sender<'s> {
        Sender {
            client: &self.client,
            lead: &self.mapping,
            contact: &self.contact,
            campaigns: &self.campaigns,
            request_id,
            may_write,
            is_ours: &self.is_ours,
            now: self.clock.now(),
        }
    }

    /// Finds records that may be of those of `leads` who have none yet.
    pub(super) async fn find(&self, leads: &mut [Outgoing]) -> Result<(), MirrorError> {
        let Some(mirror) = &self.mirror else {
            return Ok(());
        };
        let mut new: Vec<&mut Outgoing> = leads
            .iter_mut()
            .filter(|lead| lead.salesforce_id.is_none())
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let max_age = Duration::from_secs(self.client.config().mirror.max_age_seconds);
        let records: Vec<_> = new.iter().map(|lead| &lead.record).collect();
        let found = match mirror.candidates(&records, max_age).await {
            // An org that will never answer this is sent to all the same, as it always was.
            Err(MirrorError::Call(CallError::Refused { status, errors }))
                if is_final(&CallError::Refused {
                    status,
                    errors: errors.clone(),
                }) =>
            {
                if !self.told_blind.swap(true, Ordering::Relaxed) {
                    let why = Explanation::of(status, &errors);
                    warn!(error.code = %why.code, hint = %why.hint, "people who are in Salesforce already cannot be looked for: duplicates may come about");
                }
                return Ok(());
            }
            found => found?,
        };
        for (lead, candidates) in new.iter_mut().zip(found.0) {
            lead.candidates = candidates;
        }
        Ok(())
    }

    pub(super) fn outgoing(&self, claim: &Claim) -> Outgoing {
        let mut campaigns = BTreeMap::new();
        for delivery in &claim.deliveries {
            join_together(&mut campaigns, delivery.campaigns.clone());
        }
        let decided_at = claim.deliveries.iter().map(|delivery| delivery.created_at);
        Outgoing {
            record: claim.record.clone(),
            candidates: Vec::new(),
            campaigns,
            told_of: claim
                .deliveries
                .iter()
                .rev()
                .find_map(|delivery| delivery.told_of.clone()),
            decided_at: decided_at.min().unwrap_or(Millis(0)),
            external_id: self.store.external_id(claim.lead),
            salesforce_id: claim.salesforce_id.clone(),
            unsure: claim.deliveries.iter().any(|delivery| delivery.unsure),
            wanted: together(claim.deliveries.iter().map(|delivery| &delivery.fields)),
            submitted_at: claim
                .deliveries
                .iter()
                .map(|d| d.submitted_at)
                .max()
                .unwrap_or(Millis(0)),
        }
    }

    /// Holds everything back while calls fail as a whole. Returns whether the last one went through,
    /// so that a failure now may be the doing of its own leads.
    fn keep_pace(&self, sent: &[Sent], now: Millis) -> bool {
        let trouble = sent.iter().find_map(|sent| match sent {
            Sent::Failed { why, blame, .. }
                if *blame != Blame::Lead || matches!(why.class, Class::HoldAll | Class::SignIn) =>
            {
                Some((why, *blame))
            }
            _ => None,
        });
        let mut pace = self.pace.lock();
        pace.last_call = Some(now);
        let first = pace.streak == 0;
        match trouble {
            Some((why, blame)) => {
                let wait = hold_all(why.class, pace.streak.max(1), self.store.faults().jitter());
                // One call that fails says little.
                let wait = (!first || blame != Blame::Call).then_some(wait);
                let sign_ins = why.is_of_signing_in().then(|| self.client.sign_ins());
                if pace.failed(now, wait, sign_ins) {
                    let hint = &why.hint;
                    warn!(error.code = %why.code, %hint, "Salesforce takes nothing; leads are kept and wait");
                }
            }
            None => {
                if pace.recovered() {
                    info!("Salesforce takes leads again");
                }
            }
        }
        first
    }

    fn outcome(
        &self,
        claim: &Claim,
        sent: Sent,
        first_trouble: bool,
        request_id: &str,
        now: Millis,
    ) -> Outcome {
        match sent {
            Sent::Done {
                id,
                fields,
                joined,
                notes,
                ..
            } if fields.is_empty() && joined.is_empty() => Outcome::Unchanged {
                salesforce_id: id,
                detail: json!({ "notes": notes }),
            },
            Sent::Done {
                id,
                created,
                fields,
                joined,
                notes,
            } => Outcome::Synced {
                salesforce_id: id,
                created,
                detail: json!({
                    "fields": fields, "joined": joined, "notes": notes, "request_id": request_id,
                }),
            },
            Sent::Failed {
                why, unsure, blame, ..
            } => {
                let counts = match blame {
                    Blame::Lead => true,
                    // In a row of failures it is the org's fault. What no retry cures, but was not
                    // said of one lead, is for a person to mend; then all goes on by itself.
                    Blame::Call => {
                        first_trouble && matches!(why.class, Class::RetrySoon | Class::RetryLater)
                    }
                    Blame::Nobody => false,
                };
                self.failure(claim, why, unsure, counts, now)
            }
        }
    }

    fn failure(
        &self,
        claim: &Claim,
        why: Explanation,
        unsure: bool,
        counts: bool,
        now: Millis,
    ) -> Outcome {
        if cause::is_of_stale_schema(&why.code) {
            self.client.describes().doubt();
        }
        let attempts = claim
            .deliveries
            .iter()
            .map(|delivery: &Delivery| delivery.attempts);
        let attempts = attempts.max().unwrap_or(0) + 1;
        let retry = if counts {
            let most = self.client.config().max_attempts;
            next_try(why.class, attempts, most, self.store.faults().jitter())
        } else {
            // What counts for nobody waits for all alike: see `keep_pace`.
            Retry::After(Duration::ZERO)
        };
        match retry {
            Retry::After(wait) => Outcome::Retry {
                at: now.after(wait),
                unsure,
                counts,
                code: why.code,
            },
            Retry::GiveUp => Outcome::Dead {
                cause: cause::of(&why, self.store.key_secret()),
                code: why.code,
                message: why.message,
                hint: why.hint,
            },
        }
    }

    /// Records what became of `claims`; gives how many those are.
    pub(super) async fn settle_all(
        &self,
        node: Node,
        claims: &[Claim],
        sent: Vec<Sent>,
        request_id: &str,
    ) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let first_trouble = self.keep_pace(&sent, now);
        let settlements: Vec<Settlement> = claims
            .iter()
            .zip(sent)
            .map(|(claim, sent)| Settlement {
                lead: claim.lead,
                salesforce_id: sent.salesforce_id().map(str::to_owned),
                deliveries: claim
                    .deliveries
                    .iter()
                    .map(|delivery| delivery.id)
                    .collect(),
                outcome: self.outcome(claim, sent, first_trouble, request_id, now),
            })
            .collect();
        self.settle(node, &settlements, now).await?;
        Ok(settlements.len())
    }

    async fn settle(
        &self,
        node: Node,
        settlements: &[Settlement],
        now: Millis,
    ) -> Result<(), StoreError> {
        let mut tries = 0;
        let ended = loop {
            match self.try_settle(node, settlements, now).await {
                Err(error) if error.is_conflict() && tries < MOST_CONFLICTS => tries += 1,
                ended => break ended?,
            }
        };
        for (source, end) in ended {
            let label = EndLabel {
                source: source.to_string(),
                end: end.name(),
            };
            self.metrics.submissions_ended.get_or_create(&label).inc();
        }
        Ok(())
    }

    async fn try_settle(
        &self,
        node: Node,
        settlements: &[Settlement],
        now: Millis,
    ) -> Result<Ended, StoreError> {
        self.store.reach("settle.before_write").await?;
        let mut write = self.store.write().await?;
        let ids = |count| self.store.take_ids(now, count);
        let ended = write.settle(node, settlements, &ids, now).await?;
        self.store.reach("settle.before_commit").await?;
        write.commit().await?;
        self.store.reach("settle.after_commit").await?;
        Ok(ended)
    }
}

/// How busy the org is, by what became of a call.
fn call_end(sent: &[Sent], took: Duration) -> CallEnd {
    let mut end = CallEnd::Answered(took);
    for one in sent {
        let Sent::Failed { why, blame, .. } = one else {
            continue;
        };
        if *blame != Blame::Lead && why.class == Class::RetrySoon {
            return CallEnd::Overloaded;
        }
        if why.code == "salesforce.unable_to_lock_row" {
            end = CallEnd::Locked;
        }
    }
    end
}

/// Whether a refusal is one that no retry cures: of the request itself, not of the org's state.
fn is_final(error: &CallError) -> bool {
    !matches!(
        error.class(),
        Class::HoldAll | Class::SignIn | Class::RetrySoon | Class::RetryLater
    )
}
