//! The program, and a client for it.

use std::path::Path;
use std::process::Command;

/// The variables that the cases may count on.
const VARIABLES: &[(&str, &str)] = &[
    ("SF_CLIENT_ID", "consumer-key"),
    ("SF_CLIENT_SECRET", "s3cr3t-of-the-app"),
    ("TURNSTILE_SECRET", "s3cr3t-of-turnstile"),
    ("EMPTY", ""),
    (
        "SF_PRIVATE_KEY",
        "-----BEGIN PRIVATE KEY-----\nMIIs3cr3t\n-----END PRIVATE KEY-----\n",
    ),
    (
        "SF_LOCKED_KEY",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIs3cr3t\n-----END ENCRYPTED PRIVATE KEY-----\n",
    ),
];

/// The program with only the variables above.
pub fn leadstream(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leadstream"));
    command
        .current_dir(directory)
        .env_clear()
        .envs(VARIABLES.iter().copied());
    command
}

/// A client without proxies: everything here is on loopback.
#[expect(
    clippy::disallowed_methods,
    reason = "tests stand outside of the program and its door for outgoing requests"
)]
pub fn http_client() -> reqwest::Client {
    // An error means that another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
