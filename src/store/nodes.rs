//! Who runs on this store. Every daemon holds a slot, which is in its ids, by a lease that it
//! renews. A node that is silent for longer than its lease is fenced: its token is gone, so that it
//! can settle nothing should it wake up, and what it was sending is free again.
//!
//! Leases are by the database's clock: nodes whose clocks differ do not steal from each other.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::dialect::{Database, query};
use super::{HIGHEST, Store, StoreError, Write, copy};
use crate::edge::process;
use crate::edge::random::MOST_NODES;

/// A daemon on this store, as long as its lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    slot: u8,
    token: i64,
}

impl Node {
    /// What its claims bear: no other node has it, before or after.
    pub fn mark(self) -> i64 {
        (self.token << 8) | i64::from(self.slot)
    }
}

const SLOTS: &str = "SELECT slot, name <> '', until FROM node";

const JOIN: &str = "INSERT INTO node (slot, token, name, until) VALUES ($1, 1, $2, {now} + $3) \
     ON CONFLICT (slot) DO UPDATE SET token = node.token + 1, name = excluded.name, until = excluded.until \
     WHERE node.name = '' RETURNING token";

const RENEW: &str =
    "UPDATE node SET until = {now} + $3 WHERE slot = $1 AND token = $2 AND name <> ''";

const LEAVE: &str = "UPDATE node SET name = '', until = 0 WHERE slot = $1 AND token = $2";

/// What was held is another's to take at once.
const LET_GO: &str = "UPDATE lease SET until = 0 WHERE holder = $1";

const CONFIRM: &str =
    "SELECT slot FROM node WHERE slot = $1 AND token = $2 AND name <> '' AND until > {now}";

pub(super) const FENCE_SILENT: &str =
    "UPDATE node SET token = token + 1, name = '' WHERE name <> '' AND until < {now}";

pub(super) const FENCE_ALL: &str = "UPDATE node SET token = token + 1, name = ''";

pub(super) const END_LEASES: &str = "UPDATE lease SET until = 0";

/// What was being sent may have been carried out; that its node went silent is not its fault, and no
/// try.
pub(super) const RELEASE: &str = "UPDATE delivery SET state = 'pending', unsure = TRUE, \
     attempts = attempts - 1, claimed_by = NULL WHERE state = 'sending' AND (claimed_by IS NULL \
     OR claimed_by = $1 OR claimed_by NOT IN (SELECT token * 256 + slot FROM node WHERE name <> ''))";

/// A slot that nobody has: one that nobody ever had, or was left in order, or whose holder has been
/// silent for longest. A holder that was fenced may not know it yet, and still makes ids with its slot.
fn free_slot(known: &[(i64, bool, i64)]) -> Option<i64> {
    let is_known = |slot: &i64| known.iter().any(|(known, ..)| known == slot);
    (0..MOST_NODES as i64)
        .find(|slot| !is_known(slot))
        .or_else(|| {
            let free = known.iter().filter(|(_, is_taken, _)| !is_taken);
            free.min_by_key(|(_, _, until)| *until)
                .map(|(slot, ..)| *slot)
        })
}

/// No node has this mark.
pub(super) const NOBODY: i64 = -1;

/// A node, and when its lease was last renewed by the machine's clock: before the database was asked,
/// so that it is over here no later than there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    node: Node,
    renewed: Instant,
}

impl Held {
    /// The name of the fact by which this node tries whether it can write.
    pub(super) fn probe(self) -> String {
        format!("probe {}", self.node.slot)
    }
}

impl Store {
    /// Takes a slot.
    pub(super) async fn join(&self) -> Result<Node, StoreError> {
        if let Database::Sqlite(_) = self.database {
            // The lock on its file says that there is no other.
            let mut write = self.write().await?;
            query(FENCE_ALL).run(&mut write.connection()).await?;
            query(END_LEASES).run(&mut write.connection()).await?;
            copy::note_change(&mut write.connection()).await?;
            write.commit().await?;
        }
        loop {
            let renewed = Instant::now();
            let mut write = self.write().await?;
            let slot = match self.database {
                // There is one node, which is always the same.
                Database::Sqlite(_) => 0,
                Database::Postgres(_) => {
                    let known: Vec<(i64, bool, i64)> =
                        query(SLOTS).all(&mut write.connection()).await?;
                    free_slot(&known).ok_or(StoreError::TooManyNodes)?
                }
            };
            let joined: Option<(i64,)> = query(JOIN)
                .bind(slot)
                .bind(process::name())
                .bind(self.lease_millis())
                .first(&mut write.connection())
                .await?;
            write.commit().await?;
            // Else another was quicker.
            let Some((token,)) = joined else { continue };
            let node = Node {
                slot: slot as u8,
                token,
            };
            // Above all ids of whoever had the slot before, whatever its clock showed.
            let mut reader = self.database.read().await?;
            let (highest,): (i64,) = query(HIGHEST).one(&mut reader.connection()).await?;
            self.ids.become_node(node.slot, highest);
            *self.node.lock() = Some(Held { node, renewed });
            return Ok(node);
        }
    }

    /// As whom this process claims.
    pub fn node(&self) -> Result<Node, StoreError> {
        let held = *self.node.lock();
        held.map(|held| held.node).ok_or(StoreError::Fenced)
    }

    /// Says that nothing has happened to the lease of `node`: to be asked just before something is
    /// sent, which no database can take back.
    pub async fn confirm(&self, node: Node) -> Result<(), StoreError> {
        if let Database::Sqlite(_) = self.database {
            // Its file is locked for as long as it lives.
            return Ok(());
        }
        let held = *self.node.lock();
        if held.is_none_or(|held| held.node != node || self.is_over(held)) {
            return Err(StoreError::Fenced);
        }
        let mut reader = self.database.read().await?;
        query(CONFIRM)
            .bind(i64::from(node.slot))
            .bind(node.token)
            .first::<(i64,)>(&mut reader.connection())
            .await?
            .map(|_| ())
            .ok_or(StoreError::Fenced)
    }

    fn is_over(&self, held: Held) -> bool {
        held.renewed.elapsed() >= self.lease
    }

    /// How often `keep_node` is to be called; none where there is only one node.
    pub fn lease_interval(&self) -> Option<Duration> {
        match self.database {
            Database::Sqlite(_) => None,
            Database::Postgres(_) => Some(self.lease / 4),
        }
    }

    /// Renews the lease, or takes another slot if it is lost; frees what silent nodes had claimed.
    /// See `lease_interval`.
    pub async fn keep_node(&self) -> Result<(), StoreError> {
        let held = *self.node.lock();
        let Some(before) = held else { return Ok(()) };
        let node = before.node;
        let renewed_at = Instant::now();
        let mut write = self.write().await?;
        let renewed = query(RENEW)
            .bind(i64::from(node.slot))
            .bind(node.token)
            .bind(self.lease_millis())
            .run(&mut write.connection())
            .await?;
        write.commit().await?;
        if renewed == 0 {
            warn!(
                "this node was silent for too long: others have taken over; it goes on as a new one"
            );
            self.join().await?;
        } else if let Some(held) = &mut *self.node.lock()
            && held.node == node
        {
            held.renewed = renewed_at;
        }
        if self.is_over(before) {
            // Whatever kept this node from the database has kept the others: they get a chance.
            return Ok(());
        }
        let mut write = self.write().await?;
        let fenced = query(FENCE_SILENT).run(&mut write.connection()).await?;
        let released = write.release(NOBODY).await?;
        write.commit().await?;
        if fenced > 0 {
            info!(
                nodes = fenced,
                deliveries = released,
                "took over from nodes that are silent"
            );
            self.outbox_changed.notify_one();
        }
        Ok(())
    }

    /// Gives the slot back.
    pub(super) async fn leave(&self) -> Result<(), StoreError> {
        let held = self.node.lock().take();
        let Some(Held { node, .. }) = held else {
            return Ok(());
        };
        let mut write = self.write().await?;
        query(LEAVE)
            .bind(i64::from(node.slot))
            .bind(node.token)
            .run(&mut write.connection())
            .await?;
        query(LET_GO)
            .bind(process::name())
            .run(&mut write.connection())
            .await?;
        write.commit().await
    }

    fn lease_millis(&self) -> i64 {
        self.lease.as_millis() as i64
    }
}

impl Write {
    /// Gives back what `node` itself had claimed and did not settle, and what nobody that is alive
    /// has. Not while a step of `node` is under way. Returns how many deliveries.
    pub async fn release_claims(&mut self, node: Node) -> Result<u64, StoreError> {
        self.release(node.mark()).await
    }

    async fn release(&mut self, mark: i64) -> Result<u64, StoreError> {
        Ok(query(RELEASE)
            .bind(mark)
            .run(&mut self.connection())
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_only_when_there_is_no_fresh_one() {
        assert_eq!(free_slot(&[]), Some(0));
        assert_eq!(free_slot(&[(0, false, 5), (1, true, 9)]), Some(2));
        let mut all: Vec<(i64, bool, i64)> = (0..256).map(|slot| (slot, true, 100)).collect();
        assert_eq!(free_slot(&all), None);
        all[7] = (7, false, 90);
        all[9] = (9, false, 0);
        assert_eq!(free_slot(&all), Some(9));
    }
}
