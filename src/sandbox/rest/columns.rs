//! `GET /query?q=…&columns=true`: what the columns of a query are, which `sf` asks for.
//! Source: what the sf command line's `data query` reads of it.

use serde_json::{Value as Json, json};

use super::call::Answer;
use crate::sandbox::org::Org;
use crate::sandbox::schema::{Field, Kind, ObjectIx};
use crate::sandbox::soql::Path;

/// Describes the columns of a query.
pub(super) fn describe(org: &Org, object: ObjectIx, paths: &[Path]) -> Answer {
    let known = org.object(object);
    let headers: Vec<String> = paths.iter().map(Path::header).collect();
    let split: Vec<Vec<&str>> = headers
        .iter()
        .map(|path| path.split('.').collect())
        .collect();
    let prefix: String = known.prefix.iter().map(|byte| char::from(*byte)).collect();
    Answer::ok(json!({
        "columnMetadata": columns(org, Some(object), &split),
        "entityName": known.name,
        "groupBy": false,
        "idSelected": headers.iter().any(|path| path == "Id"),
        "keyPrefix": prefix,
    }))
}

fn columns(org: &Org, object: Option<ObjectIx>, paths: &[Vec<&str>]) -> Json {
    let mut columns: Vec<Json> = Vec::new();
    let mut parents: Vec<&str> = Vec::new();
    for path in paths {
        match path.as_slice() {
            [field] => columns.push(column(org, object, field, json!([]))),
            [parent, ..] if !parents.contains(parent) => {
                parents.push(parent);
                let below: Vec<Vec<&str>> = paths
                    .iter()
                    .filter(|other| other.len() > 1 && other[0] == *parent)
                    .map(|other| other[1..].to_vec())
                    .collect();
                let target = object.and_then(|object| target(org, object, parent));
                columns.push(column(
                    org,
                    None,
                    parent,
                    self::columns(org, target, &below),
                ));
            }
            _ => {}
        }
    }
    columns.into()
}

/// The object where a relationship leads, or the first of several.
fn target(org: &Org, object: ObjectIx, relationship: &str) -> Option<ObjectIx> {
    let known = org.object(object);
    match &known.at(known.relationship(relationship)?).kind {
        Kind::Reference { to, .. } => org.schema.find(to.first()?),
        _ => None,
    }
}

fn column(org: &Org, object: Option<ObjectIx>, name: &str, below: Json) -> Json {
    let known = object.map(|object| org.object(object));
    let field = known.and_then(|known| Some(known.at(known.field(name)?)));
    let is = |test: fn(&Kind) -> bool| field.is_some_and(|field| test(&field.kind));
    json!({
        "aggregate": false,
        "apexType": if is(|kind| matches!(kind, Kind::Id | Kind::Reference { .. })) { "Id" } else { "String" },
        "booleanType": is(|kind| matches!(kind, Kind::Boolean)),
        "columnName": name,
        "custom": field.is_some_and(Field::is_custom),
        "displayName": name,
        "foreignKeyName": null,
        "insertable": field.is_some_and(Field::can_create),
        "joinColumns": below,
        "numberType": is(|kind| matches!(kind, Kind::Number { .. })),
        "textType": is(|kind| kind.length() > 0),
        "updatable": field.is_some_and(Field::can_update),
    })
}
