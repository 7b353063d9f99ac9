use http::StatusCode;
use serde_json::{Value as Json, json};

use super::call::{Answer, Call, Outcome};
use super::rows::{find_object, precondition};
use crate::sandbox::handle::State;
use crate::sandbox::org::Org;
use crate::sandbox::schema::{Access, Field, Kind, Object, ObjectIx};
use crate::sandbox::value::Value;

/// `GET /sobjects`
pub(super) fn objects(state: &State, call: &Call<'_>) -> Answer {
    let objects = state
        .org
        .schema
        .objects
        .iter()
        .filter(|object| object.access != Access::None)
        .map(|object| head(object, call));
    Answer::ok(json!({
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": objects.collect::<Json>(),
    }))
}

/// `GET /sobjects/Lead`
pub(super) fn object(state: &State, call: &Call<'_>, object: &str) -> Outcome {
    let object = find_object(&state.org, object)?;
    let head = head(state.org.object(object), call);
    Ok(Answer::ok(
        json!({ "objectDescribe": head, "recentItems": [] }),
    ))
}

/// `GET /sobjects/Lead/describe`
pub(super) fn describe(state: &State, call: &Call<'_>, object: &str) -> Outcome {
    let object = find_object(&state.org, object)?;
    let changed = state.org.schema_changed;
    if let Some(answer) = precondition(call, changed) {
        return Ok(answer);
    }
    let known = state.org.object(object);
    let mut body = head(known, call);
    body["fields"] = known
        .shown_fields()
        .map(|(_, field)| field_json(field))
        .collect();
    body["childRelationships"] = children(&state.org, object);
    body["recordTypeInfos"] = record_types(&state.org, known.name);
    body["supportedScopes"] = json!([
        { "label": format!("All {}", known.label_plural), "name": "everything" },
        { "label": format!("My {}", known.label_plural), "name": "mine" },
    ]);
    let answer = Answer::json(StatusCode::OK, body);
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    let changed = jiff::Timestamp::from_millisecond(changed.0)
        .and_then(|changed| printer.timestamp_to_rfc9110_string(&changed));
    Ok(match changed {
        Ok(changed) => answer.header("Last-Modified", changed),
        Err(_) => answer,
    })
}

fn head(object: &Object, call: &Call<'_>) -> Json {
    let base = format!(
        "/services/data/v{}.0/sobjects/{}",
        call.version, object.name
    );
    let prefix: String = object.prefix.iter().map(|byte| char::from(*byte)).collect();
    json!({
        "name": object.name,
        "label": object.label,
        "labelPlural": object.label_plural,
        "keyPrefix": prefix,
        "createable": object.can_write(),
        "updateable": object.can_write(),
        "deletable": object.can_write(),
        "undeletable": object.can_write(),
        "queryable": true,
        "retrieveable": true,
        "searchable": true,
        "replicateable": true,
        "custom": false,
        "customSetting": false,
        "triggerable": true,
        "mergeable": matches!(object.name, "Lead" | "Contact" | "Account"),
        "urls": {
            "sobject": base,
            "describe": format!("{base}/describe"),
            "rowTemplate": format!("{base}/{{ID}}"),
        },
    })
}

/// The record types of an object, with the master that every object has.
fn record_types(org: &Org, object: &str) -> Json {
    let info = |id: &str, name: &str, developer_name: &str, active: bool, master: bool| {
        json!({
            "active": active, "available": active, "defaultRecordTypeMapping": master,
            "developerName": developer_name, "master": master, "name": name,
            "recordTypeId": id, "urls": {},
        })
    };
    let mut infos = vec![info("012000000000000AAA", "Master", "Master", true, true)];
    if let Some(types) = org.schema.find("RecordType") {
        let known = org.object(types);
        for row in org.table(types).rows() {
            let text = |name: &str| {
                let value = known.field(name).and_then(|ix| row.get(ix)?.as_text());
                value.unwrap_or_default()
            };
            let active = known
                .field("IsActive")
                .is_some_and(|ix| row.get(ix).is_some());
            if text("SobjectType") == object {
                let id = row.id.to_string();
                infos.push(info(
                    &id,
                    text("Name"),
                    text("DeveloperName"),
                    active,
                    false,
                ));
            }
        }
    }
    infos.into()
}

/// The references of other objects to this one.
fn children(org: &Org, object: ObjectIx) -> Json {
    let name = org.object(object).name;
    let references = org.schema.objects.iter().flat_map(|child| {
        child
            .shown_fields()
            .filter_map(move |(_, field)| match &field.kind {
                Kind::Reference { to, .. } if to.contains(&name) => Some((child, field)),
                _ => None,
            })
    });
    references
        .map(|(child, field)| {
            let named = name != "User" && name != "Group";
            json!({
                "childSObject": child.name,
                "field": field.name,
                "relationshipName": named.then(|| child.relation()),
                "cascadeDelete": false,
            })
        })
        .collect()
}

fn field_json(field: &Field) -> Json {
    let length = field.kind.length();
    let (precision, scale, is_int) = match &field.kind {
        Kind::Number {
            kind,
            precision,
            scale,
        } => (*precision, *scale, *kind == "int"),
        _ => (0, 0, false),
    };
    let default = field.default.as_ref().map(Value::to_json);
    let picklist = match &field.kind {
        Kind::Picklist { values, .. } => values
            .iter()
            .map(|value| {
                json!({
                    "active": !field.inactive.contains(value),
                    "defaultValue": default.as_ref().is_some_and(|default| default == &**value),
                    "label": value,
                    "validFor": null,
                    "value": value,
                })
            })
            .collect(),
        _ => json!([]),
    };
    let (reference_to, relationship) = match &field.kind {
        Kind::Reference { to, relationship } => (*to, Some(*relationship)),
        _ => ([].as_slice(), None),
    };
    let restricted = matches!(
        &field.kind,
        Kind::Picklist {
            restricted: true,
            ..
        }
    );
    let soap_type = match &field.kind {
        Kind::Id | Kind::Reference { .. } => "tns:ID",
        Kind::Boolean => "xsd:boolean",
        Kind::Number { kind: "int", .. } => "xsd:int",
        Kind::Number { .. } => "xsd:double",
        Kind::Date => "xsd:date",
        Kind::DateTime => "xsd:dateTime",
        Kind::Address => "urn:address",
        _ => "xsd:string",
    };
    let sortable = !matches!(field.kind, Kind::Address) && field.kind.filterable();
    let id_lookup = field.kind == Kind::Id || field.is_indexed();
    json!({
        "aggregatable": sortable,
        "autoNumber": false,
        "byteLength": length * 3,
        "calculated": false,
        "calculatedFormula": null,
        "caseSensitive": field.case_sensitive,
        "compoundFieldName": field.compound,
        "controllerName": null,
        "createable": field.can_create(),
        "custom": field.is_custom(),
        "defaultValue": default,
        "defaultValueFormula": null,
        "defaultedOnCreate": field.defaulted,
        "dependentPicklist": false,
        "deprecatedAndHidden": false,
        "digits": if is_int { precision } else { 0 },
        "externalId": field.external_id,
        "filterable": field.kind.filterable(),
        "groupable": sortable && !matches!(field.kind, Kind::DateTime | Kind::Number { .. }),
        "idLookup": id_lookup,
        "inlineHelpText": null,
        "label": field.label,
        "length": length,
        "name": field.name,
        "nameField": field.name == "Name",
        "namePointing": reference_to.len() > 1,
        "nillable": field.nillable,
        "permissionable": field.nillable,
        "picklistValues": picklist,
        "polymorphicForeignKey": reference_to.len() > 1,
        "precision": if is_int { 0 } else { precision },
        "referenceTo": reference_to,
        "relationshipName": relationship,
        "restrictedPicklist": restricted,
        "scale": scale,
        "soapType": soap_type,
        "sortable": sortable,
        "type": field.kind.name(),
        "unique": field.unique,
        "updateable": field.can_update(),
    })
}

#[cfg(test)]
mod fitted;
