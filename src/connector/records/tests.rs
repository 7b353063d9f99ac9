use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::connector::manifest::Join;

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn records(page: &str, at: &str) -> Result<Vec<String>, RecordsError> {
    let page = Page::new(page.as_bytes());
    let found = page.records(&path(at))?;
    Ok(found.into_iter().map(Cow::into_owned).collect())
}

#[test]
fn records_are_as_they_were_sent() {
    for (page, at, expect) in [
        (
            r#"{"items":[{"a": 1.0},{"b":"\u00e9"}],"n":2}"#,
            "items[*]",
            vec![r#"{"a": 1.0}"#, r#"{"b":"\u00e9"}"#],
        ),
        (r#"{"items":[{"a":1},null]}"#, "items", vec![r#"{"a":1}"#]),
        (r#"{"one":{"a":1}}"#, "one", vec![r#"{"a":1}"#]),
        (
            r#"{"by":{"x":{"a":1},"y":{"a":2}}}"#,
            "by[*]",
            vec![r#"{"a":1}"#, r#"{"a":2}"#],
        ),
        (
            r#"[{"results":[{"a":1}]},{"results":[{"a":2}]},{}]"#,
            "[*].results[*]",
            vec![r#"{"a":1}"#, r#"{"a":2}"#],
        ),
        (
            r#"{"entry":[{"changes":[{"a":1}]},{"changes":[{"a":2}]}]}"#,
            "entry[1].changes",
            vec![r#"{"a":2}"#],
        ),
        (r#" {"a":1} "#, "$", vec![r#"{"a":1}"#]),
        (r#"[{"a":1},{"a":2}]"#, "", vec![r#"{"a":1}"#, r#"{"a":2}"#]),
        (
            r#"{"items":[{"t":"x","a":1},{"t":"y"}]}"#,
            "items[?@.t == 'x']",
            vec![r#"{"t":"x","a":1}"#],
        ),
        ("{}", "responses[*]", vec![]),
        (r#"{"responses":null}"#, "responses[*]", vec![]),
        (r#"{"responses":[]}"#, "responses", vec![]),
    ] {
        assert_eq!(records(page, at).unwrap(), expect, "{at} of {page}");
    }
}

#[test]
fn what_is_no_record_is_an_error_that_names_its_place_only() {
    for (page, at) in [
        (r#"{"items":"secret"}"#, "items[*]"),
        (r#"{"items":"secret"}"#, "items"),
        (r#"{"items":["secret"]}"#, "items[*]"),
        (r#"{"items":[["secret"]]}"#, "items"),
        (r#"{"a":{"items":[]}}"#, "a[0].items"),
        (r#"[{"items":[]}]"#, "items"),
        (r#"{"items":[7]}"#, "items[?@ == 7]"),
    ] {
        let error = records(page, at).unwrap_err();
        assert_eq!(
            error,
            RecordsError::WrongType {
                path: at.to_owned()
            },
            "{page}"
        );
    }
    let error = records("{\"items\":[{\"a\":\n secret}]}", "items").unwrap_err();
    assert_eq!(error, RecordsError::Malformed { line: 2, column: 2 });
    let many = format!("[{}{{}}]", "{},".repeat(MOST_RECORDS));
    assert_eq!(
        records(&many, "").unwrap_err(),
        RecordsError::TooMany { most: MOST_RECORDS }
    );
}

#[test]
fn how_deep_a_record_is_does_not_matter_before_it_is_read() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let page = format!(r#"{{"skip":{deep},"items":[{{"id":"7","deep":{deep}}}]}}"#);
    let found = records(&page, "items[*]").unwrap();
    assert_eq!(pick(&found[0], &[&path("id")]), [Some("7".to_owned())]);
}

#[test]
fn one_bad_byte_does_not_hold_up_a_page() {
    let page = Page::new(b"\xef\xbb\xbf{\"items\":[{\"a\":\"\xff\"},{\"a\":\"b\"}]}");
    assert_eq!(page.records(&path("items[*]")).unwrap().len(), 2);
}

#[test]
fn texts_are_picked_as_the_whole_record_would_give_them() {
    let record = r#"{"id":9007199254740995,"t":"a\u00e9","s":"plain","n":{"id":18446744073709551615,"x":[{"y":"1"},{"y":"2"},{"y":"1"}]},
        "b":true,"blank":" ","nil":null,"zero":0,"f":1.50,"o":{}}"#;
    let value: Value = serde_json::from_str(record).unwrap();
    let texts = [
        "id", "t", "s", "n.id", "n.x[*].y", "n.x[1].y", "b", "blank", "nil", "zero", "f", "o",
        "none", "n",
    ];
    let paths: Vec<Path> = texts.iter().map(|text| path(text)).collect();
    let picked = pick(record, &paths.iter().collect::<Vec<_>>());
    for (path, picked) in paths.iter().zip(&picked) {
        assert_eq!(*picked, pick::joined(path.all(&value)), "{path}");
    }
    assert_eq!(picked[0].as_deref(), Some("9007199254740995"));
    assert_eq!(picked[3].as_deref(), Some("18446744073709551615"));
    assert_eq!(picked[4].as_deref(), Some("1;2"));
    let query = path("n.x[?@.y == '2'].y");
    assert_eq!(
        pick(record, &[&query, &paths[2]]),
        [Some("2".to_owned()), Some("plain".to_owned())]
    );
    assert_eq!(pick("{\"id\":1", &[&paths[0]]), [None]);
}

#[test]
fn a_page_tells_its_token_without_a_value_of_it() {
    let page = Page::new(br#"{"items":[{"token":"x"}],"next":{"token":"T1"},"page_count":3}"#);
    let paths = [
        path("next.token"),
        path("page_count"),
        path("items[0].token"),
    ];
    let picked = page.pick(&paths.iter().collect::<Vec<_>>());
    assert_eq!(
        picked,
        [
            Some("T1".to_owned()),
            Some("3".to_owned()),
            Some("x".to_owned())
        ]
    );
}

#[test]
fn entries_beside_the_records_join_them() {
    let page = Page::new(
        br#"{"contacts":[{"id":"1","fieldValues":["7","8"]},{"id":"2"},{}],
            "fieldValues":[{"contact":"1","field":"5","value":"a"},{"contact":"1","field":"6","value":"b"}]}"#,
    );
    let joiner = Joiner::new(&Join {
        list: "fieldValues".to_owned(),
        key: "contact".to_owned(),
        equals: "id".to_owned(),
        name: "fieldValues".to_owned(),
    })
    .unwrap();
    let joiners = [joiner];
    let joins = Joins::of(&joiners, &page).unwrap();
    let joined: Vec<Value> = page
        .records(&path("contacts[*]"))
        .unwrap()
        .iter()
        .map(|record| serde_json::from_str(&joins.joined(record)).unwrap())
        .collect();
    assert_eq!(joined[0]["fieldValues"][1]["value"], "b");
    assert_eq!(joined[1], json!({ "id": "2", "fieldValues": [] }));
    assert_eq!(joined[2], json!({ "fieldValues": [] }));
}

#[test]
fn rows_are_objects_by_their_header() {
    let page = Page::new(
        r##"{"range":"'Leads 2026'!A1:H1000","values":[
        ["Exported"],
        ["Timestamp"," Full\n name","Email","Phone","","Email","email"],
        [46083.38480324,"Søren","soren@a.example","+4589123456","A/S","","x@a.example"],
        [],
        [46083.4,"#N/A","s@w.example",81335551234],
        ["","",""],
        [46083.5,"","n@h.example","","","",false,"more"]]}"##
            .as_bytes(),
    );
    let rows = RowsReader { header_row: 2 };
    for at in ["values", "values[*]"] {
        let records: Vec<Value> = page
            .rows(&path(at), &rows)
            .unwrap()
            .iter()
            .map(|record| serde_json::from_str(record).unwrap())
            .collect();
        assert_eq!(
            records,
            [
                json!({ "Timestamp": 46_083.384_803_24, "Full name": "Søren", "Email": "soren@a.example",
                    "Phone": "+4589123456", "Column E": "A/S", "email (3)": "x@a.example" }),
                json!({ "Timestamp": 46_083.4, "Email": "s@w.example", "Phone": 81_335_551_234_i64 }),
                json!({ "Timestamp": 46_083.5, "Email": "n@h.example", "email (3)": false, "Column H": "more" }),
            ]
        );
    }
    let none = Page::new(br#"{"range":"A1:H1"}"#);
    assert!(none.rows(&path("values"), &rows).unwrap().is_empty());
    let short = Page::new(br#"{"values":[["a"]]}"#);
    assert_eq!(
        short.rows(&path("values"), &rows),
        Err(RecordsError::NoHeader { row: 2 })
    );
    let objects = Page::new(br#"{"values":[{"a":1}]}"#);
    assert!(objects.rows(&path("values"), &rows).is_err());
}

#[test]
fn a_row_is_the_same_wherever_its_columns_stand() {
    let hash = |row: Value| row_hash(&row);
    let row = json!({ "Email": "a@b.example", "Phone": 12 });
    assert_eq!(
        hash(row.clone()),
        hash(json!({ "Tel": 12, "E-mail": "a@b.example" }))
    );
    assert_ne!(
        hash(row.clone()),
        hash(json!({ "Email": "a@b.example", "Phone": 13 }))
    );
    assert_ne!(
        hash(json!({ "a": "x", "b": "yz" })),
        hash(json!({ "a": "xy", "b": "z" }))
    );
}

proptest! {
    #[test]
    fn no_page_makes_it_panic(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]{}\":,a01 ne.\\\\u-]{0,60}".prop_map(String::into_bytes),
        ],
        at in "(a|a\\[\\*\\]|\\[\\*\\]|\\[0\\]|a\\.a|\\$|)",
    ) {
        let page = Page::new(&bytes);
        let at = path(&at);
        let _ = page.records(&at);
        let _ = page.rows(&at, &RowsReader { header_row: 1 });
        let _ = page.pick(&[&at, &path("a"), &path("a.a")]);
    }

    #[test]
    fn what_is_picked_is_what_the_value_holds(
        ids in proptest::collection::vec((any::<u64>(), any::<i64>(), ".{0,12}"), 1..4),
    ) {
        let record = json!({ "list": ids.iter().map(|(a, b, c)| json!({ "a": a, "b": b, "c": c })).collect::<Vec<_>>() });
        let text = record.to_string();
        for at in ["list[*].a", "list[*].b", "list[*].c", "list[0].c", "list[1].a"] {
            let at = path(at);
            let picked = pick(&text, &[&at]).pop().flatten();
            prop_assert_eq!(picked, pick::joined(at.all(&record)));
        }
    }
}
