use serde_json::{Value as Json, json};

use super::org::{Reply, TestOrg};

async fn sosl(org: &TestOrg, sosl: &str) -> Reply {
    let encoded: String = form_urlencoded::byte_serialize(sosl.as_bytes()).collect();
    org.get(&format!("search?q={encoded}")).await
}

fn ids(found: &Reply) -> Vec<String> {
    let body = found.json();
    let records = body["searchRecords"].as_array().expect("a list").iter();
    let id = |record: &Json| record["Id"].as_str().unwrap().to_owned();
    records.map(id).collect()
}

#[tokio::test]
async fn people_are_found_by_words_where_they_are_looked_for() {
    let org = TestOrg::start().await;
    let email = "jane-d@acme.example";
    let jane = org
        .lead(json!({ "FirstName": "Jane", "LastName": "Doe", "Email": email }))
        .await;
    let titled = org
        .lead(json!({ "Title": "Ghost writer of Jane Doe" }))
        .await;
    let contact = json!({ "LastName": "Doe", "Email": email });
    let contact = org.send("POST", "sobjects/Contact", contact).await.id();

    let by_email =
        r"FIND {jane\-d@acme.example} IN EMAIL FIELDS RETURNING Lead(Id, Email), Contact(Id)";
    let found = sosl(&org, by_email).await;
    assert_eq!(ids(&found), [jane.clone(), contact.clone()]);
    assert_eq!(found.json()["searchRecords"][0]["Email"], email);
    let by_name = sosl(&org, "FIND {doe jane} IN NAME FIELDS RETURNING Lead").await;
    assert_eq!(ids(&by_name), std::slice::from_ref(&jane));
    let anywhere = sosl(&org, "FIND {jane doe} RETURNING Lead(Id)").await;
    assert_eq!(ids(&anywhere), [jane.clone(), titled]);
    assert_eq!(ids(&sosl(&org, "FIND {doe} LIMIT 1").await).len(), 1);

    let body = json!({
        "q": email, "in": "EMAIL", "fields": ["Id"], "overallLimit": 20,
        "sobjects": [{ "name": "Lead" }, { "name": "Contact", "fields": ["Id", "AccountId"] }],
    });
    let found = org.send("POST", "parameterizedSearch", body).await;
    assert_eq!(ids(&found), [jane.clone(), contact]);
    assert_eq!(found.json()["searchRecords"][1]["AccountId"], Json::Null);
    let found = org
        .get("parameterizedSearch?q=jane*&in=EMAIL&sobject=Lead&fields=Id,Name")
        .await;
    assert_eq!(ids(&found), [jane]);
    assert_eq!(org.sandbox.calls().count("search"), 6);
}

#[tokio::test]
async fn what_is_no_search_is_refused() {
    let org = TestOrg::start().await;
    for text in [
        "FIND jane",
        "FIND {jane",
        "FIND {x}",
        "FIND {jane} IN NOPE FIELDS",
        "FIND {jane} RETURNING Nope(Id)",
        "FIND {jane} RETURNING Lead(Id WHERE Id = '1')",
        "FIND {jane} AND MORE",
    ] {
        let refused = sosl(&org, text).await;
        refused.assert_refused(400, "MALFORMED_SEARCH", "");
    }
}

#[tokio::test]
async fn the_columns_of_a_query_are_described() {
    let org = TestOrg::start().await;
    let soql = "SELECT+Id,+Owner.Name,+Owner.Email,+IsConverted+FROM+Lead";
    let columns = org
        .get(&format!("query?q={soql}&columns=true"))
        .await
        .json();
    assert_eq!(columns["entityName"], "Lead");
    let name = |column: &Json| column["columnName"].as_str().unwrap().to_owned();
    let names = |list: &Json| {
        list.as_array()
            .unwrap()
            .iter()
            .map(name)
            .collect::<Vec<_>>()
    };
    let list = &columns["columnMetadata"];
    assert_eq!(names(list), ["Id", "Owner", "IsConverted"]);
    assert_eq!(names(&list[1]["joinColumns"]), ["Name", "Email"]);
    assert_eq!(list[2]["booleanType"], true);
}
