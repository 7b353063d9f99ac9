use http::Method;

use super::bulk::Results;

/// A resource below `/services/data/v62.0`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route<'a> {
    Resources,
    Objects,
    Object(&'a str),
    Describe(&'a str),
    Updated(&'a str),
    Deleted(&'a str),
    Row {
        object: &'a str,
        id: &'a str,
    },
    RowByKey {
        object: &'a str,
        field: &'a str,
        key: &'a str,
    },
    Collection,
    CollectionOf(&'a str),
    CollectionByKey {
        object: &'a str,
        field: &'a str,
    },
    Composite,
    Graph,
    Batch,
    Tree(&'a str),
    Query {
        with_deleted: bool,
    },
    QueryMore(&'a str),
    Limits,
    IngestJobs,
    IngestJob(&'a str),
    IngestUpload(&'a str),
    IngestResults(&'a str, Results),
    QueryJobs,
    QueryJob(&'a str),
    QueryResults(&'a str),
    Search,
    ParameterizedSearch,
    ToolingQuery,
    ToolingFields,
    ToolingField(&'a str),
    Picklists {
        object: &'a str,
        record_type: &'a str,
    },
}

impl<'a> Route<'a> {
    pub(super) fn of(path: &'a [String]) -> Option<Self> {
        // Six parts at most have a meaning; a longer path has none.
        let mut parts = [""; 6];
        if path.len() >= parts.len() {
            return None;
        }
        for (part, segment) in parts.iter_mut().zip(path) {
            *part = segment;
        }
        Some(match (path.len(), parts) {
            (0, _) => Self::Resources,
            (1, ["sobjects", ..]) => Self::Objects,
            (2, ["sobjects", object, ..]) => Self::Object(object),
            (3, ["sobjects", object, "describe", ..]) => Self::Describe(object),
            (3, ["sobjects", object, "updated", ..]) => Self::Updated(object),
            (3, ["sobjects", object, "deleted", ..]) => Self::Deleted(object),
            (3, ["sobjects", object, id, ..]) => Self::Row { object, id },
            (4, ["sobjects", object, field, key, ..]) => Self::RowByKey { object, field, key },
            (1, ["composite", ..]) => Self::Composite,
            (2, ["composite", "graph", ..]) => Self::Graph,
            (2, ["composite", "batch", ..]) => Self::Batch,
            (3, ["composite", "tree", object, ..]) => Self::Tree(object),
            (2, ["composite", "sobjects", ..]) => Self::Collection,
            (3, ["composite", "sobjects", object, ..]) => Self::CollectionOf(object),
            (4, ["composite", "sobjects", object, field, ..]) => {
                Self::CollectionByKey { object, field }
            }
            (1, ["query", ..]) => Self::Query {
                with_deleted: false,
            },
            (1, ["queryAll", ..]) => Self::Query { with_deleted: true },
            (2, ["query" | "queryAll", locator, ..]) => Self::QueryMore(locator),
            (1, ["limits", ..]) => Self::Limits,
            (2, ["jobs", "ingest", ..]) => Self::IngestJobs,
            (3, ["jobs", "ingest", id, ..]) => Self::IngestJob(id),
            (4, ["jobs", "ingest", id, "batches", ..]) => Self::IngestUpload(id),
            (4, ["jobs", "ingest", id, part, ..]) => {
                let results = match part {
                    "successfulResults" => Results::Successful,
                    "failedResults" => Results::Failed,
                    // Written both ways, in Salesforce's guide and by clients.
                    "unprocessedrecords" | "unprocessedRecords" => Results::Unprocessed,
                    _ => return None,
                };
                Self::IngestResults(id, results)
            }
            (2, ["jobs", "query", ..]) => Self::QueryJobs,
            (3, ["jobs", "query", id, ..]) => Self::QueryJob(id),
            (4, ["jobs", "query", id, "results", ..]) => Self::QueryResults(id),
            (1, ["search", ..]) => Self::Search,
            (1, ["parameterizedSearch", ..]) => Self::ParameterizedSearch,
            (2, ["tooling", "query", ..]) => Self::ToolingQuery,
            (3, ["tooling", "sobjects", "CustomField", ..]) => Self::ToolingFields,
            (4, ["tooling", "sobjects", "CustomField", id, ..]) => Self::ToolingField(id),
            (
                5,
                [
                    "ui-api",
                    "object-info",
                    object,
                    "picklist-values",
                    record_type,
                    ..,
                ],
            ) => Self::Picklists {
                object,
                record_type,
            },
            _ => return None,
        })
    }

    /// The methods that the resource takes; HEAD goes wherever GET does.
    pub(super) fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Resources
            | Self::Objects
            | Self::Describe(_)
            | Self::Updated(_)
            | Self::Deleted(_)
            | Self::Query { .. }
            | Self::QueryMore(_)
            | Self::IngestResults(..)
            | Self::QueryResults(_)
            | Self::Search
            | Self::ToolingQuery
            | Self::ToolingField(_)
            | Self::Picklists { .. }
            | Self::Limits => &["GET", "HEAD"],
            Self::IngestUpload(_) => &["PUT"],
            Self::IngestJobs
            | Self::QueryJobs
            | Self::ParameterizedSearch
            | Self::Object(_)
            | Self::CollectionOf(_) => &["GET", "HEAD", "POST"],
            Self::Row { id: "Id", .. }
            | Self::ToolingFields
            | Self::Composite
            | Self::Graph
            | Self::Batch
            | Self::Tree(_) => &["POST"],
            Self::Row { .. } | Self::RowByKey { .. } | Self::IngestJob(_) | Self::QueryJob(_) => {
                &["GET", "HEAD", "PATCH", "DELETE"]
            }
            Self::Collection => &["POST", "PATCH", "DELETE"],
            Self::CollectionByKey { .. } => &["PATCH"],
        }
    }

    /// What `Calls` counts it as.
    pub(super) fn kind(&self, method: &Method) -> &'static str {
        match (self, method.as_str()) {
            (Self::Resources, _) => "resources",
            (Self::Objects, _) => "objects",
            (Self::Object(_), "POST") | (Self::Row { id: "Id", .. }, _) => "row_create",
            (Self::Object(_), _) => "object",
            (Self::Describe(_), _) => "describe",
            (Self::Updated(_), _) => "updated",
            (Self::Deleted(_), _) => "deleted",
            (Self::Row { .. } | Self::RowByKey { .. }, "DELETE") => "row_delete",
            (Self::Row { .. }, "PATCH") => "row_update",
            (Self::RowByKey { .. }, "PATCH") => "row_upsert",
            (Self::Row { .. } | Self::RowByKey { .. }, _) => "row_read",
            (Self::Collection, "PATCH") => "collection_update",
            (Self::Collection, "DELETE") => "collection_delete",
            (Self::Collection, _) => "collection_create",
            (Self::CollectionOf(_), _) => "collection_read",
            (Self::CollectionByKey { .. }, _) => "collection_upsert",
            (Self::Composite, _) => "composite",
            (Self::Graph, _) => "composite_graph",
            (Self::Batch, _) => "composite_batch",
            (Self::Tree(_), _) => "composite_tree",
            (Self::Query { .. }, _) => "query",
            (Self::QueryMore(_), _) => "query_more",
            (Self::Limits, _) => "limits",
            (Self::IngestJobs, "POST") => "bulk_create",
            (Self::IngestJobs | Self::QueryJobs, "GET" | "HEAD") => "bulk_list",
            (Self::IngestUpload(_), _) => "bulk_upload",
            (Self::IngestJob(_) | Self::QueryJob(_), "PATCH") => "bulk_close",
            (Self::IngestJob(_) | Self::QueryJob(_), "DELETE") => "bulk_delete",
            (Self::IngestJob(_), _) => "bulk_poll",
            (Self::IngestResults(..), _) => "bulk_results",
            (Self::IngestJobs | Self::QueryJobs, _) => "bulk_query_create",
            (Self::QueryJob(_), _) => "bulk_query_poll",
            (Self::QueryResults(_), _) => "bulk_query_results",
            (Self::Search | Self::ParameterizedSearch, _) => "search",
            (Self::ToolingQuery, _) => "tooling_query",
            (Self::ToolingFields, _) => "tooling_create",
            (Self::ToolingField(_), _) => "tooling_read",
            (Self::Picklists { .. }, _) => "picklists",
        }
    }
}
