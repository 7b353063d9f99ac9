//! `leadstream demo`: the whole of it. With `--once` the program judges itself.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use crate::tools::http_client;
use crate::tools::leadstream;

/// Runs the demo once, with 60 leads; 25 in a row hold every kind.
fn demo(directory: &Path, more: &[&str]) -> Output {
    let free = "127.0.0.1:0";
    leadstream(directory)
        .args(["demo", "--once", "--leads", "60", "--dir", "demo"])
        .args(["--listen", free, "--sandbox", free, "--page", free])
        .args(more)
        .output()
        .unwrap()
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

#[test]
fn every_lead_comes_to_its_end_and_everybody_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(directory.path(), &[]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    for expected in [
        "leadstream demo: ",
        "received 60 · ",
        "\nsynced   ",
        "\nmerged   ",
        " · the same person as before",
        "\nfiltered ",
        " · lead.no_contact: ",
        " · lead.invalid_email: ",
        " · salesforce.invalid_or_null_for_restricted_picklist: ",
        "\nbalanced: ",
        "\nverdict: all is well",
    ] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "colours in a pipe:\n{said}");
    assert_eq!(text(&output.stderr), "");

    // The configuration that it leaves is one that the other commands take.
    let audit = leadstream(directory.path())
        .args(["--config", "demo/leadstream.toml", "audit"])
        .output()
        .unwrap();
    assert!(text(&audit.stdout).contains("balanced"), "{audit:?}");

    // Its store is full of leads that no fresh sandbox has.
    let again = demo(directory.path(), &[]);
    assert!(!again.status.success());
    assert!(
        text(&again.stderr).contains("holds the leads of an earlier demo"),
        "{again:?}"
    );
}

#[test]
fn trouble_in_salesforce_loses_nobody_and_doubles_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(
        directory.path(),
        &[
            "--fault-5xx",
            "0.05",
            "--fault-lock",
            "0.02",
            "--fault-lost",
            "0.05",
        ],
    );
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    assert!(said.contains("\nbalanced: "), "{said}");
}

#[test]
fn a_rate_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = demo(directory.path(), &["--fault-5xx", "2"]);
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("server_error_rate must be from 0 to 1"),
        "{output:?}"
    );
}

/// The demo, until it is stopped.
struct Running {
    process: Child,
    lines: BufReader<ChildStdout>,
    said: String,
}

impl Running {
    fn start(directory: &Path) -> Self {
        let free = "127.0.0.1:0";
        let mut process = leadstream(directory)
            .args(["demo", "--leads", "25", "--dir", "demo"])
            .args(["--listen", free, "--sandbox", free, "--page", free])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            lines,
            said: String::new(),
        }
    }

    /// Reads on to the next line with `text` in it.
    fn until(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let bytes = self.lines.read_line(&mut line).unwrap();
            assert!(bytes > 0, "no {text:?} in\n{}", self.said);
            self.said.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The URL that a line of the welcome gives.
    fn url(&mut self, of: &str) -> String {
        let line = self.until(of);
        line.split_whitespace()
            .find(|word| word.starts_with("http"))
            .unwrap()
            .to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended by itself, if all went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn what_a_person_sends_by_the_landing_page_arrives() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Running::start(directory.path());
    let page = demo.url("  landing page");
    let browser = http_client();
    let html = browser.get(&page).send().await.unwrap();
    let html = html.text().await.unwrap();
    let (_, action) = html.split_once("action=\"").unwrap();
    let (action, _) = action.split_once('"').unwrap();
    for id in ["demo-form", "send", "receipt"] {
        assert!(html.contains(&format!("id=\"{id}\"")), "no {id}");
    }
    for field in [
        "first_name",
        "last_name",
        "email",
        "company",
        "phone",
        "country",
        "message",
    ] {
        assert!(html.contains(&format!("name=\"{field}\"")), "no {field}");
        assert!(html.contains(&format!("<label for=\"{field}\">")));
    }

    // As the page's script sends it.
    let form = "first_name=Zo%C3%AB&last_name=Br%C3%B8wser&email=zoe%40page.example&website2=";
    let post = |body: &'static str| {
        browser
            .post(action)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", page.trim_end_matches('/'))
            .body(body)
    };
    let answer = post(form).send().await.unwrap();
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        page.trim_end_matches('/')
    );
    let answer = answer.text().await.unwrap();
    let receipt: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(receipt["id"].as_str().unwrap().len(), 13);
    demo.until("synced   Zoë Brøwser → 00Q");

    // Who types localhost gets the same page, from another origin.
    let by_name = page.trim_end_matches('/').replace("127.0.0.1", "localhost");
    let preflight = browser
        .request(reqwest::Method::OPTIONS, action)
        .header("origin", &by_name)
        .header("access-control-request-method", "POST");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], by_name);

    // As a browser without scripts sends it, which then follows the redirect.
    let answer = post(form).header("accept", "text/html").send().await;
    let answer = answer.unwrap();
    assert!(answer.url().path().ends_with("/thanks"), "{answer:?}");
    assert!(answer.text().await.unwrap().contains("Thank you"));
    demo.until("merged   Zoë Brøwser → 00Q");

    let pid = demo.process.id().to_string();
    let stopped = Command::new("sh")
        .args(["-c", "kill -s TERM \"$0\"", &pid])
        .status();
    assert!(stopped.unwrap().success());
    demo.until("balanced: ");
    demo.until("its files are in ");
    assert!(demo.process.wait().unwrap().success());
}
