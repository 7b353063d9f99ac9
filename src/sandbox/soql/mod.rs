//! Queries: the part of SOQL that integrations use.
//!
//! Known: fields, parents (`Owner.Name`, `Who.Type`), children (`(SELECT Id FROM Contacts)`),
//! `FIELDS(…)`, `COUNT()`, `WHERE` with every comparison and semi-joins, `ORDER BY`, `LIMIT`,
//! `OFFSET`. Not known, and refused as such: grouping, date literals, `TYPEOF`, scopes.
//!
//! `lex` makes tokens, `parse` a tree, `bind` checks it against the schema, `run` finds the rows.

mod bind;
mod lex;
mod parse;
mod run;
mod syntax;

use super::errors::Refusal;
use super::org::Org;
pub(super) use bind::{BoundQuery, Children, Path, Select};
pub(super) use run::{render, render_children};

/// Reads a query and checks it against the org's objects and fields.
pub(super) fn compile(org: &Org, text: &str) -> Result<BoundQuery, Refusal> {
    if text.chars().count() > 100_000 {
        return Err(Refusal::plain(
            "MALFORMED_QUERY",
            "SOQL statements cannot be longer than 100000 characters.",
        ));
    }
    bind::bind(org, text, parse::parse(text)?)
}
