use http::Method;

use super::call::{Answer, Call, Outcome};
use super::route::Route;
use super::{
    batch, bulk, changes, collections, composite, describe, graph, limits, picklists, query, rows,
    search, tooling, tree,
};
use crate::sandbox::errors::Refusal;
use crate::sandbox::handle::State;

/// The versions that are served; older ones are gone, newer ones have not been made.
pub(super) const VERSIONS: std::ops::RangeInclusive<u16> = 31..=68;

/// Refuses versions that Salesforce refuses.
pub(super) fn check_version(version: u16) -> Result<(), Refusal> {
    if VERSIONS.contains(&version) {
        Ok(())
    } else if (20..*VERSIONS.start()).contains(&version) {
        Err(Refusal::plain(
            "UNSUPPORTED_API_VERSION",
            format!("API version {version}.0 is retired"),
        ))
    } else {
        Err(Refusal::not_found())
    }
}

/// Carries a call out.
pub(super) fn answer(state: &mut State, call: &Call<'_>) -> Answer {
    dispatch(state, call).unwrap_or_else(|refusals| Answer::refuse(&refusals))
}

fn dispatch(state: &mut State, call: &Call<'_>) -> Outcome {
    let route = Route::of(&call.path).ok_or_else(Refusal::not_found)?;
    let methods = route.methods();
    if !methods.contains(&call.method.as_str()) {
        let refusal = Refusal::plain(
            "METHOD_NOT_ALLOWED",
            format!(
                "HTTP Method '{}' not allowed. Allowed are {}",
                call.method,
                methods.join(",")
            ),
        );
        return Ok(Answer::refuse(&refusal.into()).header("Allow", methods.join(",")));
    }
    let is_write = call.method != Method::GET && call.method != Method::HEAD;
    match route {
        Route::Resources => Ok(limits::resources(state, call)),
        Route::Limits => Ok(limits::limits(state, call)),
        Route::Objects => Ok(describe::objects(state, call)),
        Route::Object(object) if is_write => rows::create(state, call, object),
        Route::Object(object) => describe::object(state, call, object),
        Route::Describe(object) => describe::describe(state, call, object),
        Route::Updated(object) => changes::updated(state, call, object),
        Route::Deleted(object) => changes::deleted(state, call, object),
        Route::Row { object, id: "Id" } => rows::create(state, call, object),
        Route::Row { object, id } => rows::by_id(state, call, object, id),
        Route::RowByKey { object, field, key } if field.eq_ignore_ascii_case("Id") => {
            rows::by_id(state, call, object, key)
        }
        Route::RowByKey { object, field, key } => rows::by_key(state, call, object, field, key),
        Route::Collection => match call.method.as_str() {
            "POST" => collections::create(state, call),
            "PATCH" => collections::update(state, call),
            _ => collections::delete(state, call),
        },
        Route::CollectionOf(object) => collections::read(state, call, object),
        Route::CollectionByKey { object, field } => collections::upsert(state, call, object, field),
        Route::Composite => composite::run(state, call),
        Route::Graph => graph::run(state, call),
        Route::Batch => batch::run(state, call),
        Route::Tree(object) => tree::run(state, call, object),
        Route::Query { with_deleted } => query::start(state, call, with_deleted),
        Route::QueryMore(locator) => query::more(state, call, locator),
        Route::IngestJobs if is_write => bulk::create(state, call),
        Route::IngestJobs => Ok(bulk::list(state, call)),
        Route::IngestJob(id) => match call.method.as_str() {
            "PATCH" => bulk::abort_or_close(state, call, id),
            "DELETE" => bulk::delete(state, id),
            _ => bulk::poll(state, call, id),
        },
        Route::IngestUpload(id) => bulk::upload(state, call, id),
        Route::IngestResults(id, wanted) => bulk::results(state, id, wanted),
        Route::QueryJobs if is_write => bulk::create_query(state, call),
        Route::QueryJobs => Ok(bulk::list_queries(state)),
        Route::QueryJob(id) => match call.method.as_str() {
            "PATCH" => bulk::abort_query(state, call, id),
            "DELETE" => bulk::delete_query(state, id),
            _ => bulk::poll_query(state, call, id),
        },
        Route::QueryResults(id) => bulk::query_results(state, call, id),
        Route::Search => search::by_sosl(state, call),
        Route::ParameterizedSearch => search::by_parameters(state, call),
        Route::ToolingQuery => tooling::query(state, call),
        Route::ToolingFields => tooling::create(state, call),
        Route::ToolingField(id) => tooling::by_id(state, call, id),
        Route::Picklists {
            object,
            record_type,
        } => picklists::of_record_type(state, call, object, record_type),
    }
}
