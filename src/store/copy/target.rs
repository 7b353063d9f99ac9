//! Whether a database may be filled with a store, and the marks that say so.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::{COPIED, COPYING, CopyError, CopyStart, LOCK_RUN, OWN_FACTS, RUN, TABLES, new_ticket};
use crate::store::dialect::{Connection, Database, PostgresDatabase, query};
use crate::store::{StoreError, set_fact};

/// Tables that hold something as soon as anything was done in a store, and are not copied.
const FURTHER: [&str; 3] = ["waiting", "node", "lease"];

const FACTS: &str = "store_info";

type Facts = HashMap<String, String>;

/// Looks whether the database at `url` is empty, or holds an unfinished copy of the store of that
/// tag. False if it holds the finished copy that bears `ticket`. Changes nothing.
pub(super) async fn may_be_filled(
    url: &str,
    tag: &str,
    ticket: Option<&String>,
) -> Result<bool, CopyError> {
    let mut connection = PostgresDatabase::peek(url).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()",
    )
    .fetch_all(&mut connection)
    .await?;
    let ours = TABLES.iter().map(|table| table.name).chain(FURTHER);
    let is_store = [FACTS, "_sqlx_migrations"]
        .iter()
        .all(|name| tables.iter().any(|table| table == name));
    let ours: Vec<&str> = ours
        .chain([FACTS])
        .filter(|name| tables.iter().any(|table| table == name))
        .collect();
    if !is_store {
        return match ours.first() {
            None => Ok(true),
            Some(name) => Err(CopyError::OthersTables((*name).to_owned())),
        };
    }
    let facts = facts(&mut Connection::Postgres(&mut connection)).await?;
    match facts.get("tag") {
        None if !has_rows(&mut connection, &ours).await? => Ok(true),
        Some(found) if found == tag => match (facts.get(COPYING), facts.get(COPIED)) {
            (Some(_), _) => Ok(true),
            (None, finished) if finished.is_some() && finished == ticket => Ok(false),
            _ => Err(CopyError::CopiedBefore),
        },
        _ => Err(CopyError::OthersStore),
    }
}

async fn has_rows(connection: &mut PgConnection, tables: &[&str]) -> Result<bool, sqlx::Error> {
    for table in tables {
        let text = AssertSqlSafe(format!("SELECT EXISTS (SELECT 1 FROM {table})"));
        if sqlx::query_scalar(text).fetch_one(&mut *connection).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the database the copy of the store with those facts, in one transaction: from here on no
/// daemon runs on it, and no other run writes into it. What a copy left there that is out of date is
/// removed. Gives the ticket.
pub(super) async fn claim(
    database: &Database,
    source: &Facts,
    run: &str,
) -> Result<(CopyStart, String), CopyError> {
    let mut write = database.write().await?;
    let connection = &mut write.connection();
    // A run that was killed may have a batch under way; it comes first, or not at all.
    query(LOCK_RUN)
        .bind(RUN)
        .first::<(String,)>(connection)
        .await?;
    for (name, value) in source {
        if !OWN_FACTS.contains(&name.as_str()) {
            query("INSERT INTO store_info (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                .bind(&**name)
                .bind(&**value)
                .run(connection)
                .await?;
        }
    }
    let target = facts(connection).await?;
    if ["tag", "key_secret"]
        .iter()
        .any(|name| target.get(*name) != source.get(*name))
    {
        // A daemon was quicker.
        return Err(CopyError::OthersStore);
    }
    let (start, ticket) = match (target.get(COPYING), source.get(super::TICKET)) {
        (Some(copying), Some(ticket)) if copying == ticket => (CopyStart::Resumed, ticket.clone()),
        (Some(_), _) => (CopyStart::Anew, new_ticket()),
        (None, _) => (CopyStart::Empty, new_ticket()),
    };
    if start == CopyStart::Anew {
        for table in TABLES {
            query(table.empty).run(connection).await?;
        }
        query("TRUNCATE waiting").run(connection).await?;
        for (name, value) in source {
            if !OWN_FACTS.contains(&name.as_str()) {
                set_fact(connection, name, value).await?;
            }
        }
    }
    set_fact(connection, COPYING, &ticket).await?;
    set_fact(connection, RUN, run).await?;
    write.commit().await?;
    Ok((start, ticket))
}

async fn facts(connection: &mut Connection<'_>) -> Result<Facts, StoreError> {
    let facts: Vec<(String, String)> = query("SELECT name, value FROM store_info")
        .all(connection)
        .await?;
    Ok(facts.into_iter().collect())
}
