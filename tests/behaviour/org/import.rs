use leadstream::model::End;
use serde_json::{Value, json};

use super::LATER;
use crate::harness::{ANNA, Setup, TestDaemon};

fn rows(output: &std::process::Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_org_is_read_by_a_command_and_by_the_daemon_for_one() {
    let mut test = TestDaemon::with(Setup {
        salesforce: "mirror = { interval_seconds = 5 }",
        ..Setup::default()
    })
    .await;
    test.mirrored().await;
    test.stop().await;
    for number in 0..3 {
        let email = format!("person{number}@acme.example");
        test.makes(
            "Lead",
            &json!({ "LastName": "Lee", "Company": "Acme", "Email": email }),
        );
    }
    test.makes(
        "Contact",
        &json!({ "LastName": "Berg", "Email": "anna.berg@acme.example" }),
    );
    let before = test.calls("bulk_query_create");
    let output = test.command(&["salesforce", "import", "--json"]).await;
    assert_eq!(rows(&output), json!({ "Lead": 3, "Contact": 1 }));
    assert_eq!(
        test.calls("bulk_query_create"),
        before + 2,
        "{:?}",
        test.sandbox.calls()
    );

    // Who was read is found, though the daemon need not ask for a while.
    test.run().await;
    test.post_and_end(ANNA, End::Synced).await;
    assert_eq!(test.all("Lead").len(), 3);

    // With a daemon that holds the index, it is the daemon that reads.
    test.clock.advance(LATER);
    let command = test.command(&["salesforce", "import", "--json"]);
    let mut command = std::pin::pin!(command);
    let output = loop {
        tokio::select! {
            output = &mut command => break output,
            () = test.until_at_once("a moment", async || { test.clock.advance(LATER / 60); true }) => {}
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(rows(&output), json!({ "Lead": 3, "Contact": 1 }));
}
