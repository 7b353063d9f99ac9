//! `leadstream healthcheck`, as a container runs it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::thread;

/// Answers one request with `status` and returns the request's first line.
fn answer_once(status: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap();
        String::from_utf8(request)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    });
    (address, server)
}

fn healthcheck(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leadstream"))
        .arg("healthcheck")
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_daemon_that_answers_is_healthy_and_another_is_not() {
    for (status, expect) in [("200 OK", 0), ("503 Service Unavailable", 1)] {
        let (address, server) = answer_once(status);
        let output = healthcheck(&["--address", &address.to_string()]);
        assert_eq!(output.status.code(), Some(expect), "{output:?}");
        assert_eq!(server.join().unwrap(), "GET /healthz HTTP/1.1");
    }
}

#[test]
fn nobody_there_is_not_healthy() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = healthcheck(&["--address", &free.to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("does not answer"),
        "{output:?}"
    );
}

#[test]
fn the_address_comes_from_the_configuration() {
    let (address, server) = answer_once("200 OK");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("leadstream.toml");
    let text = format!(
        "[server]\nlisten = \"{address}\"\n\n[salesforce]\nlogin_url = \"http://127.0.0.1:9\"\nauth = \
         \"client_credentials\"\nclient_id = \"x\"\nclient_secret = {{ file = \"secret\" }}\n"
    );
    std::fs::write(folder.path().join("secret"), "only a test").unwrap();
    std::fs::write(&config, text).unwrap();
    let output = healthcheck(&["--config", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    server.join().unwrap();
}
