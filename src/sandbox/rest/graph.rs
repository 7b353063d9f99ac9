use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::call::{Answer, Call, Outcome, segments};
use super::composite::{Subrequest, carry_out, check_references, entries};
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;

/// Graphs in one call, nodes in all of them, and kinds of node in one.
/// Source: REST API Developer Guide, "Composite Graph Limits".
const MAX_GRAPHS: usize = 75;
const MAX_NODES: usize = 500;
const MAX_KINDS: usize = 15;

/// Graphs that fail before the rest is not tried.
const MAX_FAILED: usize = 14;

/// `POST /composite/graph`: each graph is all or none, whatever becomes of the others.
pub(super) fn run(state: &mut State, call: &Call<'_>) -> Outcome {
    let graphs = read(call)?;
    let mut failed = 0;
    let mut results = Vec::with_capacity(graphs.len());
    for (id, requests) in &graphs {
        if failed >= MAX_FAILED {
            let message = "Too many graphs have failed; this one was not tried.";
            let halted = || Answer::refuse(&Refusal::plain("PROCESSING_HALTED", message).into());
            let answers = requests.iter().map(|_| halted()).collect();
            results.push(result(id, requests, answers, false));
            continue;
        }
        let (answers, is_successful) = carry_out(state, call, requests, true);
        failed += usize::from(!is_successful);
        results.push(result(id, requests, answers, is_successful));
    }
    Ok(Answer::ok(json!({ "graphs": results })))
}

type Graph<'c> = (&'c str, Vec<Subrequest<'c>>);

fn read<'c>(call: &'c Call<'_>) -> Result<Vec<Graph<'c>>, Refusal> {
    let missing = |what: &str| Refusal::plain("MISSING_ARGUMENT", format!("{what} is required"));
    let limit = |message: String| Refusal::plain("LIMIT_EXCEEDED", message);
    let Some(Json::Array(list)) = call.object()?.get("graphs") else {
        return Err(missing("graphs"));
    };
    if list.len() > MAX_GRAPHS {
        return Err(limit(format!(
            "The request can't contain more than {MAX_GRAPHS} graphs; it has {}",
            list.len()
        )));
    }
    let mut seen = HashSet::new();
    let mut nodes = 0;
    let mut graphs = Vec::with_capacity(list.len());
    for graph in list {
        let id = graph.get("graphId").and_then(Json::as_str);
        let id = id.ok_or_else(|| missing("graphId"))?;
        if !seen.insert(id) {
            return Err(Refusal::plain(
                "INVALID_INPUT",
                format!("Duplicate graphId: {id}"),
            ));
        }
        let Some(Json::Array(requests)) = graph.get("compositeRequest") else {
            return Err(missing("compositeRequest"));
        };
        nodes += requests.len();
        let requests = requests
            .iter()
            .map(Subrequest::read)
            .collect::<Result<Vec<_>, _>>()?;
        check_references(&requests)?;
        check_rows(&requests)?;
        graphs.push((id, requests));
    }
    if nodes > MAX_NODES {
        return Err(limit(format!(
            "The request can't contain more than {MAX_NODES} nodes; it has {nodes}"
        )));
    }
    Ok(graphs)
}

/// A graph holds rows only, of not too many kinds.
fn check_rows(requests: &[Subrequest<'_>]) -> Result<(), Refusal> {
    let mut kinds = HashSet::new();
    for request in requests {
        let path = segments(request.url.split('?').next().unwrap_or_default());
        let object = path
            .get(4)
            .filter(|_| path.get(3).is_some_and(|it| it == "sobjects"));
        let Some(object) = object else {
            let message = format!("{} is not supported in a graph", request.url);
            return Err(Refusal::plain("INVALID_INPUT", message));
        };
        kinds.insert(object.to_ascii_lowercase());
    }
    if kinds.len() > MAX_KINDS {
        let message = format!("A graph can't contain more than {MAX_KINDS} kinds of node");
        return Err(Refusal::plain("LIMIT_EXCEEDED", message));
    }
    Ok(())
}

fn result(
    id: &str,
    requests: &[Subrequest<'_>],
    answers: Vec<Answer>,
    is_successful: bool,
) -> Json {
    json!({
        "graphId": id,
        "graphResponse": { "compositeResponse": entries(requests, answers) },
        "isSuccessful": is_successful,
    })
}
