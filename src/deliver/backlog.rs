//! A big backlog, such as a backfill: new leads by bulk jobs, a dozen calls for 10,000 of them. It takes
//! minutes, and goes beside the loop that sends what is urgent.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{info, warn};

use super::budget::{ByPriority, Lane};
use super::bulk::{LoadTarget, RowEnd};
use super::run::Deliver;
use super::salesforce::send::{Blame, Outgoing, Sent};
use crate::config::{AssignmentRule, Priority};
use crate::edge::shutdown::Shutdown;
use crate::mirror::MirrorError;
use crate::model::EventId;
use crate::salesforce::{CallError, Class, Explanation, MAX_UPSERT, Map};
use crate::store::{Claim, StoreError};

/// Leads that are loaded at once: what of them is held in memory, and settled in one transaction.
const MOST_LEADS: usize = 10_000;

/// After the store or the org has failed.
const FAILED_WAIT: Duration = Duration::from_secs(10);

/// What may go by bulk: nothing urgent.
const PRIORITIES: [i64; 2] = [Priority::Normal as i64, Priority::Low as i64];

impl Deliver {
    /// How many leads have to wait before bulk jobs are worth it.
    pub(super) fn bulk_threshold(&self) -> usize {
        self.client.config().bulk_threshold
    }

    /// Whether so many wait of those that may be sent: a job spends calls as well.
    pub(super) fn is_big(&self, waiting: &ByPriority<usize>, lanes: &ByPriority<Lane>) -> bool {
        let threshold = self.bulk_threshold();
        let sendable = PRIORITIES
            .into_iter()
            .filter(|priority| *lanes.of(*priority) != Lane::Wait)
            .map(|priority| *waiting.of(priority));
        threshold > 0 && sendable.sum::<usize>() >= threshold
    }

    /// Loads big backlogs until told to stop.
    pub(super) async fn run_loads(&self, mut shutdown: Shutdown) {
        while !shutdown.is_stopping() {
            tokio::select! {
                () = self.big_backlog.notified() => {}
                () = shutdown.stopping() => return,
            }
            if let Err(error) = self.load_step(shutdown.clone()).await {
                warn!(%error, "a big backlog cannot be loaded; trying again");
                tokio::select! {
                    () = self.clock.sleep(FAILED_WAIT) => {}
                    () = shutdown.stopping() => return,
                }
            }
        }
    }

    /// Loads up to 10,000 leads, if so many wait that it is worth it. Gives how many.
    pub async fn load_step(&self, shutdown: Shutdown) -> Result<usize, StoreError> {
        let _loading = self.loading.lock().await;
        let now = self.clock.now();
        if self.pace.lock().held_until(now).is_some() {
            return Ok(0);
        }
        let node = self.store.node()?;
        let mut write = self.store.write().await?;
        let most = self.client.config().batch_size.max(self.bulk_threshold());
        let mut waiting = ByPriority::<usize>::default();
        for (priority, waiting) in [
            (Priority::High, &mut waiting.high),
            (Priority::Normal, &mut waiting.normal),
            (Priority::Low, &mut waiting.low),
        ] {
            *waiting = write.backlog(now, most, priority as i64).await?.due;
        }
        let (lanes, _) = self.lanes(waiting);
        if !self.is_big(&waiting, &lanes) {
            write.roll_back().await?;
            return Ok(0);
        }
        let priorities: Vec<i64> = PRIORITIES
            .into_iter()
            .filter(|priority| *lanes.of(*priority) != Lane::Wait)
            .collect();
        let ids = |count| self.store.take_ids(now, count);
        let claims = write
            .claim(node, now, MOST_LEADS, &priorities, &ids)
            .await?;
        // The leads' external ids, and that we are sending, must outlive whatever happens now.
        self.store.commit_durably(write).await?;
        if claims.is_empty() {
            return Ok(0);
        }
        let request_id = EventId(ids(1).first()).to_string();
        self.store.confirm(node).await?;
        info!(leads = claims.len(), request.id = %request_id, "loading a big backlog");
        let mut leads: Vec<Outgoing> = claims.iter().map(|claim| self.outgoing(claim)).collect();
        let mut sent: Vec<Option<Sent>> = leads.iter().map(|_| None).collect();
        // Leads of a job whose end is not known stay claimed: see `recover`.
        let mut left = BTreeSet::new();
        match self.find(&mut leads).await {
            Ok(()) => {
                left = self
                    .load_new(&leads, node, &request_id, shutdown, &mut sent)
                    .await?;
                self.send_others(&leads, node, &request_id, &mut sent).await;
            }
            Err(MirrorError::Store(error)) => return Err(error),
            Err(MirrorError::JobFailed) => {}
            Err(MirrorError::Call(error)) => {
                for (sent, lead) in sent.iter_mut().zip(&leads) {
                    *sent = Some(Sent::failed(&error, lead.unsure));
                }
            }
        }
        let (claims, sent): (Vec<Claim>, Vec<Sent>) = claims
            .into_iter()
            .zip(sent)
            .zip(&leads)
            .enumerate()
            .filter(|(index, _)| !left.contains(index))
            .map(|(_, ((claim, sent), lead))| {
                (claim, sent.unwrap_or_else(|| not_sent(lead.unsure)))
            })
            .unzip();
        self.settle_all(node, &claims, sent, &request_id).await
    }

    /// By bulk jobs: those who are nowhere in the org. Gives those of a job that was left behind: what
    /// becomes of them is known when its end is.
    async fn load_new(
        &self,
        leads: &[Outgoing],
        node: crate::store::Node,
        request_id: &str,
        shutdown: Shutdown,
        sent: &mut [Option<Sent>],
    ) -> Result<BTreeSet<usize>, StoreError> {
        let may_write = self.may_write(node);
        let sender = self.sender(request_id, &may_write);
        let rows: Vec<(usize, Map)> = leads
            .iter()
            .enumerate()
            .filter(|(_, lead)| is_new(lead))
            .filter_map(|(index, lead)| {
                let (values, refused) = sender.new_values(index, lead);
                if let Some(refused) = refused {
                    sent[index] = Some(refused);
                    return None;
                }
                Some((index, values))
            })
            .collect();
        let config = self.client.config();
        let rule = match config.assignment_rule {
            AssignmentRule::Off => None,
            AssignmentRule::OnCreate => match self.loader.assignment_rule("Lead").await {
                Ok(rule) => rule,
                Err(error) => {
                    fail_all(&rows, &error, sent);
                    return Ok(BTreeSet::new());
                }
            },
        };
        let target = LoadTarget {
            object: "Lead",
            external_id_field: &config.external_id_field,
            assignment_rule_id: rule.as_deref(),
        };
        let (places, values): (Vec<usize>, Vec<Map>) = rows.into_iter().unzip();
        let loaded = self
            .loader
            .load(&target, &values, &may_write, shutdown)
            .await?;
        let key = &config.external_id_field;
        let mut left = BTreeSet::new();
        for ((index, values), end) in places.iter().zip(&values).zip(loaded.ends) {
            sent[*index] = Some(match end {
                RowEnd::Saved(saved) => Sent::Done {
                    id: saved.id,
                    created: saved.created,
                    fields: values.keys().filter(|name| *name != key).cloned().collect(),
                    joined: Vec::new(),
                    notes: Vec::new(),
                },
                // What can be mended is mended one call at a time: a job says little.
                RowEnd::Refused(errors) => {
                    let mut why = Explanation::of(200, &errors).on("Lead");
                    why.class = Class::RetrySoon;
                    Sent::Failed {
                        why,
                        unsure: true,
                        blame: Blame::Lead,
                        salesforce_id: None,
                    }
                }
                RowEnd::Left => {
                    left.insert(*index);
                    continue;
                }
                RowEnd::Lost => in_trouble(loaded.trouble.as_ref(), true),
                RowEnd::NotSent => in_trouble(loaded.trouble.as_ref(), false),
            });
        }
        let mut done: Vec<Sent> = Vec::new();
        let mut of: Vec<Outgoing> = Vec::new();
        let settled: Vec<usize> = places
            .into_iter()
            .filter(|index| !left.contains(index))
            .collect();
        for index in &settled {
            done.extend(sent[*index].take());
            of.push(leads[*index].clone());
        }
        sender.join(&of, &mut done).await;
        for (index, done) in settled.iter().zip(done) {
            sent[*index] = Some(done);
        }
        Ok(left)
    }

    /// By collections: those who are there, or may be.
    async fn send_others(
        &self,
        leads: &[Outgoing],
        node: crate::store::Node,
        request_id: &str,
        sent: &mut [Option<Sent>],
    ) {
        let others: Vec<usize> = (0..leads.len())
            .filter(|index| !is_new(&leads[*index]))
            .collect();
        for chunk in others.chunks(MAX_UPSERT) {
            let of: Vec<Outgoing> = chunk.iter().map(|index| leads[*index].clone()).collect();
            let results = self.send_found(node, of, request_id, MAX_UPSERT).await;
            for (index, result) in chunk.iter().zip(results) {
                sent[*index] = Some(result);
            }
        }
    }
}

fn fail_all(rows: &[(usize, Map)], error: &CallError, sent: &mut [Option<Sent>]) {
    for (index, _) in rows {
        sent[*index] = Some(Sent::failed(error, false));
    }
}

/// Whether nothing is known of the person in the org, so that there is nothing to look at.
fn is_new(lead: &Outgoing) -> bool {
    lead.salesforce_id.is_none() && !lead.unsure && lead.candidates.is_empty()
}

fn not_sent(unsure: bool) -> Sent {
    in_trouble(None, unsure)
}

/// A lead that was not sent, or of which we do not know, through no fault of its own.
fn in_trouble(trouble: Option<&Explanation>, unsure: bool) -> Sent {
    let why = trouble.cloned().unwrap_or_else(|| Explanation {
        class: Class::RetrySoon,
        code: "salesforce.unanswered".to_owned(),
        message: "it was not sent".to_owned(),
        hint: "it is tried again by itself".to_owned(),
        about: Vec::new(),
    });
    Sent::Failed {
        why,
        unsure,
        blame: Blame::Nobody,
        salesforce_id: None,
    }
}
