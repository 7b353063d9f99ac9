//! What describe promises, the rows keep: a value that was fitted to it is not refused.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::field_json;
use crate::deliver::salesforce::{Mapping, fit};
use crate::salesforce::Describe;
use crate::sandbox::draft::Draft;
use crate::sandbox::schema::{Object, Schema};

/// One field of each type that an org can have, beside the standard ones.
const CUSTOM: [&str; 9] = [
    "Lead.Text__c:text(5)",
    "Lead.Email__c:email",
    "Lead.Url__c:url",
    "Lead.Flag__c:checkbox",
    "Lead.Int__c:number",
    "Lead.Sum__c:number(2)",
    "Lead.Day__c:date",
    "Lead.At__c:datetime",
    "Lead.Plan__c:picklist(Starter|Web)",
];

/// Refusals that are about other things than the values that are there.
const OF_NO_VALUE: [&str; 1] = ["REQUIRED_FIELD_MISSING"];

fn described(object: &Object) -> Describe {
    let fields: Vec<Json> = object
        .visible()
        .map(|(_, field)| field_json(field))
        .collect();
    let json =
        json!({ "name": object.name, "createable": true, "updateable": true, "fields": fields });
    serde_json::from_value(json).unwrap()
}

fn mapping(object: &Describe, rule: &str) -> Mapping {
    let mut config = crate::salesforce::testing::config();
    let lines: Map<String, Json> = object
        .fields
        .iter()
        .map(|field| {
            let line =
                json!({ "from": "x", "write": "always", "on_invalid": rule, "default": "Web" });
            (field.name.clone(), line)
        })
        .collect();
    config.lead = serde_json::from_value(Json::Object(lines)).unwrap();
    Mapping::new(&config)
}

fn any_value() -> impl Strategy<Value = Json> {
    prop_oneof![
        ".{0,60}".prop_map(Json::from),
        "[a-z@é.-]{0,20}@[a-z.-]{0,12}".prop_map(Json::from),
        "[0-9]{1,4}[.,:T/ -]?[0-9]{0,3}[.,:T/ -]?[0-9]{0,6}Z?".prop_map(Json::from),
        "20[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:00(Z|[+]02:00)?)?"
            .prop_map(Json::from),
        "00Q[0-9A-Za-z]{12,15}".prop_map(Json::from),
        "(web|Banking|Hot|Mr[.]|Other|yes|no|true)".prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<bool>().prop_map(Json::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_fitted_value_is_not_refused(
        values in prop::collection::vec(any_value(), 80),
        creating: bool,
        rule in prop_oneof![Just("drop_field"), Just("default"), Just("hold")],
    ) {
        let custom = CUSTOM.map(|field| field.parse().unwrap());
        let schema = Schema::new("Leadstream_Id__c", &custom);
        let object = &schema.objects[schema.find("Lead").unwrap()];
        let described = described(object);
        let mapping = mapping(&described, rule);
        let names = described.fields.iter().map(|field| field.name.clone());
        let values: Map<String, Json> = names
            .filter(|name| name != "Id")
            .zip(values)
            .collect();
        let fitted = fit(values, &described, &mapping, creating);
        prop_assert!(rule == "hold" || fitted.refused.is_none());
        let draft = Draft::read(object, &fitted.values);
        let refused = match draft {
            Ok(draft) => draft.check(object, creating).err().unwrap_or_default(),
            Err(refusal) => vec![refusal],
        };
        let of_values: Vec<_> = refused
            .iter()
            .filter(|refusal| !OF_NO_VALUE.contains(&refusal.code))
            .map(|refusal| (refusal.code, &refusal.message))
            .collect();
        prop_assert!(of_values.is_empty(), "{:?}", of_values);
    }
}
