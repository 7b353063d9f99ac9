//! What only one node may do at a time: polling one account, pruning. A lease has a token that grows
//! whenever it changes hands; a transaction that is guarded by it commits only while the token is
//! still the last, so that a holder that was paused and wakes up late can write nothing.

use super::dialect::{Connection, Database, query};
use super::{Store, StoreError, Write};

/// Held until its time is over, unless it is renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    name: String,
    token: i64,
}

const ACQUIRE: &str = "INSERT INTO lease (name, token, holder, until) VALUES ($1, 1, $2, {now} + $3) \
     ON CONFLICT (name) DO UPDATE SET token = lease.token + 1, holder = excluded.holder, until = excluded.until \
     WHERE lease.until < {now} RETURNING token";

const RENEW: &str = "UPDATE lease SET until = {now} + $3 WHERE name = $1 AND token = $2";

const HOLDS: &str = "SELECT token FROM lease WHERE name = $1 AND token = $2";

const GUARD: &str = "SELECT token FROM lease WHERE name = $1 AND token = $2 {lock}";

const RELEASE: &str = "UPDATE lease SET until = 0 WHERE name = $1 AND token = $2";

impl Store {
    /// The lease of that name, if nobody holds it.
    pub async fn acquire(&self, name: &str) -> Result<Option<Lease>, StoreError> {
        let mut write = self.write().await?;
        let token: Option<(i64,)> = query(ACQUIRE)
            .bind(name)
            .bind(crate::edge::process::name())
            .bind(self.lease.as_millis() as i64)
            .first(&mut write.connection())
            .await?;
        write.commit().await?;
        Ok(token.map(|(token,)| Lease {
            name: name.to_owned(),
            token,
        }))
    }

    /// Holds a lease for longer; to be called several times within its time.
    pub async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let renewed = query(RENEW)
            .bind(&*lease.name)
            .bind(lease.token)
            .bind(self.lease.as_millis() as i64)
            .run(&mut write.connection())
            .await?;
        write.commit().await?;
        if renewed == 0 {
            return Err(StoreError::Fenced);
        }
        Ok(())
    }

    /// Says that nobody has taken `lease` over, to the writer of the inbox. On SQLite its file is not
    /// the one that leases are in, and one daemon is alone; on PostgreSQL the lease is guarded in the
    /// transaction itself, which says more.
    pub async fn confirm_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        if let Database::Postgres(_) = self.database {
            return Ok(());
        }
        let mut reader = self.database.read().await?;
        lease.find(HOLDS, &mut reader.connection()).await
    }

    /// Lets another have it at once.
    pub async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        query(RELEASE)
            .bind(&*lease.name)
            .bind(lease.token)
            .run(&mut write.connection())
            .await?;
        write.commit().await
    }
}

impl Write {
    /// From here on this transaction commits only if nobody has taken `lease` over: who wants it
    /// waits until this is through.
    pub async fn guard(&mut self, lease: &Lease) -> Result<(), StoreError> {
        lease.guard(&mut self.connection()).await
    }
}

impl Lease {
    /// See [`Write::guard`].
    pub(super) async fn guard(&self, connection: &mut Connection<'_>) -> Result<(), StoreError> {
        self.find(GUARD, connection).await
    }

    async fn find(
        &self,
        text: &'static str,
        connection: &mut Connection<'_>,
    ) -> Result<(), StoreError> {
        query(text)
            .bind(&*self.name)
            .bind(self.token)
            .first::<(i64,)>(connection)
            .await?
            .map(|_| ())
            .ok_or(StoreError::Fenced)
    }
}
