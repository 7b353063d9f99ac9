use std::collections::HashSet;

use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::call::{Answer, Call, Outcome};
use super::rows::find_object;
use crate::sandbox::draft::Draft;
use crate::sandbox::errors::{Refusal, Refusals};
use crate::sandbox::handle::State;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::{Org, Write};
use crate::sandbox::schema::{FieldIx, Kind, ObjectIx};
use crate::sandbox::value::Value;

/// Records in all, levels, and types.
/// Source: REST API Developer Guide, "sObject Tree".
const MAX_RECORDS: usize = 200;
const MAX_LEVELS: usize = 5;
const MAX_TYPES: usize = 5;

/// `POST /composite/tree/Account`: creates records with what belongs to them, all or none.
pub(super) fn run(state: &mut State, call: &Call<'_>, object: &str) -> Outcome {
    let root = find_object(&state.org, object)?;
    let Some(Json::Array(records)) = call.object()?.get("records") else {
        return Err(Refusal::plain("MISSING_ARGUMENT", "records is required").into());
    };
    let mut tree = Tree::default();
    for record in records {
        tree.read(&state.org, root, record, None, 1)?;
    }
    tree.check()?;
    let write = call.write(state)?;
    let mark = state.org.mark();
    let mut results: Vec<Json> = Vec::with_capacity(tree.nodes.len());
    let mut ids: Vec<Option<RecordId>> = Vec::with_capacity(tree.nodes.len());
    let mut errors: Vec<Json> = Vec::new();
    for node in &tree.nodes {
        let parent = node.parent.and_then(|(at, field)| Some((ids[at]?, field)));
        if node.parent.is_some() && parent.is_none() {
            ids.push(None);
            continue;
        }
        match create(&mut state.org, node, parent, &write) {
            Ok(id) => {
                results.push(json!({ "referenceId": node.reference, "id": id.to_string() }));
                ids.push(Some(id));
            }
            Err(refusals) => {
                let list: Json = refusals.iter().map(Refusal::to_collection).collect();
                errors.push(json!({ "referenceId": node.reference, "errors": list }));
                ids.push(None);
            }
        }
    }
    if errors.is_empty() {
        state.org.keep(mark);
        let body = json!({ "hasErrors": false, "results": results });
        return Ok(Answer::json(StatusCode::CREATED, body));
    }
    state.org.take_back(mark);
    let body = json!({ "hasErrors": true, "results": errors });
    Ok(Answer::json(StatusCode::BAD_REQUEST, body))
}

fn create(
    org: &mut Org,
    node: &Node<'_>,
    parent: Option<(RecordId, FieldIx)>,
    write: &Write,
) -> Result<RecordId, Refusals> {
    let mut draft = Draft::read(org.object(node.object), &node.fields)?;
    if let Some((id, field)) = parent {
        draft.put(field, Some(Value::Id(id)));
    }
    org.create(node.object, draft, write)
}

/// The records with parents before children.
#[derive(Default)]
struct Tree<'c> {
    nodes: Vec<Node<'c>>,
    levels: usize,
}

struct Node<'c> {
    object: ObjectIx,
    reference: &'c str,
    fields: Map<String, Json>,
    /// The parent's place in the list, and the field that leads to it.
    parent: Option<(usize, FieldIx)>,
}

impl<'c> Tree<'c> {
    fn read(
        &mut self,
        org: &Org,
        object: ObjectIx,
        record: &'c Json,
        parent: Option<(usize, FieldIx)>,
        level: usize,
    ) -> Result<(), Refusal> {
        self.levels = self.levels.max(level);
        // Deeper ones are refused before they cost the stack.
        if level > MAX_LEVELS {
            return Err(too_large());
        }
        let invalid = |message: String| Refusal::plain("INVALID_INPUT", message);
        let text = |name: &str| record.pointer(name).and_then(Json::as_str);
        let (Some(kind), Some(reference), Json::Object(body)) = (
            text("/attributes/type"),
            text("/attributes/referenceId"),
            record,
        ) else {
            let message = "Include a type and a referenceId in the attributes of each record.";
            return Err(invalid(message.to_owned()));
        };
        if org.schema.shown(kind) != Some(object) {
            return Err(invalid(format!("{kind} is not the type expected here")));
        }
        let at = self.nodes.len();
        let mut fields = Map::new();
        let mut children = Vec::new();
        for (name, value) in body {
            match value.get("records") {
                Some(Json::Array(records)) => {
                    let found = child_of(org, object, name)
                        .ok_or_else(|| Refusal::no_such_column(name, org.object(object).name))?;
                    children.push((found, records));
                }
                _ => {
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
        self.nodes.push(Node {
            object,
            reference,
            fields,
            parent,
        });
        for ((child, field), records) in children {
            for record in records {
                self.read(org, child, record, Some((at, field)), level + 1)?;
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Refusal> {
        let types: HashSet<ObjectIx> = self.nodes.iter().map(|node| node.object).collect();
        if self.nodes.len() > MAX_RECORDS || types.len() > MAX_TYPES {
            return Err(too_large());
        }
        let mut seen = HashSet::new();
        for node in &self.nodes {
            if !seen.insert(node.reference) {
                return Err(Refusal::plain(
                    "INVALID_INPUT",
                    format!("Duplicate ReferenceId: {}", node.reference),
                ));
            }
        }
        Ok(())
    }
}

fn too_large() -> Refusal {
    Refusal::plain(
        "LIMIT_EXCEEDED",
        format!(
            "A tree has at most {MAX_RECORDS} records, {MAX_LEVELS} levels and {MAX_TYPES} types"
        ),
    )
}

/// The object and the field of what belongs to a record by this name.
fn child_of(org: &Org, object: ObjectIx, name: &str) -> Option<(ObjectIx, FieldIx)> {
    let own = org.object(object).name;
    let objects = org.schema.objects.iter().enumerate();
    let mut found = objects
        .filter(|(_, child)| child.relation().eq_ignore_ascii_case(name))
        .filter_map(|(ix, child)| {
            let field = child
                .visible()
                .find_map(|(field, known)| match &known.kind {
                    Kind::Reference { to, .. } if known.parent && to.contains(&own) => Some(field),
                    _ => None,
                });
            Some((ix, field?))
        });
    found.next()
}
