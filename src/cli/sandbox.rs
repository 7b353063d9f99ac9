//! `leadstream sandbox`: the Salesforce org in memory by itself.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::{Exit, output};
use crate::config::Secret;
use crate::edge::clock::SystemClock;
use crate::edge::shutdown::{self, Signals};
use crate::sandbox::{
    CustomField, DuplicateMatch, DuplicateRule, Faults, RsaPublicKey, Sandbox, SandboxOptions,
};

/// Serve a Salesforce org in memory: for trying things out, tests and dry runs
#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The only consumer key that signs in; without it any does
    #[arg(long, value_name = "KEY")]
    client_id: Option<String>,
    /// The only consumer secret that signs in; without it any does
    #[arg(
        long,
        value_name = "SECRET",
        env = "SANDBOX_CLIENT_SECRET",
        hide_env_values = true
    )]
    client_secret: Option<String>,
    /// The integration user's username
    #[arg(long, value_name = "NAME", default_value = "leadstream@example.com")]
    username: String,
    /// A public key in PEM form that JWTs must be signed for; without it only claims are checked
    #[arg(long, value_name = "FILE")]
    jwt_public_key: Option<PathBuf>,
    /// The external id field on Lead and Contact
    #[arg(long, value_name = "FIELD", default_value = "Leadstream_Id__c")]
    external_id_field: String,
    /// A further field: Lead.Plan__c, Lead.Plan__c:picklist(Starter|Pro), Lead.Score__c:number
    #[arg(long = "field", value_name = "OBJECT.FIELD")]
    fields: Vec<CustomField>,
    /// API calls allowed in 24 hours
    #[arg(long, value_name = "CALLS", default_value_t = 100_000)]
    daily_limit: u64,
    /// A duplicate rule of leads and contacts
    #[arg(long, value_name = "ACTION")]
    duplicate_rule: Option<DuplicateAction>,
    /// What the duplicate rule takes for the same person
    #[arg(long, value_name = "MATCH", default_value = "email")]
    duplicate_match: MatchedBy,
    /// A campaign that is there and active
    #[arg(long = "campaign", value_name = "NAME")]
    campaigns: Vec<String>,
    /// Keep field history of leads
    #[arg(long)]
    lead_history: bool,
    /// A lead assignment rule that gives leads to a queue of this name
    #[arg(long, value_name = "QUEUE")]
    assignment_queue: Option<String>,
    /// The part of requests that are answered 500 or 503, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_5xx: f64,
    /// The part of rows that are locked, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_lock: f64,
    /// The part of requests that are carried out but never answered, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_lost: f64,
    /// The part of refreshes of a token that are told to wait, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_busy_refresh: f64,
    /// The part of bulk uploads that are taken but never answered, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_lost_upload: f64,
    /// The part of bulk jobs that fail on the way, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0)]
    fault_job: f64,
    /// Polls of a bulk job before it is complete
    #[arg(long, value_name = "POLLS", default_value_t = 2)]
    bulk_polls: u32,
    /// How long every request waits
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    latency_ms: u64,
    /// Requests after which a token expires
    #[arg(long, value_name = "REQUESTS")]
    token_requests: Option<u32>,
    /// Decides which requests meet a fault
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
}

/// What the duplicate rule does.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum DuplicateAction {
    /// Stops creates unless the client says allowSave.
    Alert,
    /// Stops creates and edits.
    Block,
}

/// What is a duplicate.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum MatchedBy {
    /// An equal e-mail address.
    Email,
    /// Salesforce's standard equation of names, e-mail address, phone, title and company.
    Standard,
}

impl SandboxArgs {
    fn options(self) -> Result<SandboxOptions, String> {
        let faults = Faults {
            server_error_rate: self.fault_5xx,
            row_lock_rate: self.fault_lock,
            lost_answer_rate: self.fault_lost,
            latency_ms: self.latency_ms,
            late_commit_ms: 0,
            late_commit_rate: 0.0,
            requests_per_token: self.token_requests,
            busy_refresh_rate: self.fault_busy_refresh,
            lost_upload_rate: self.fault_lost_upload,
            job_failure_rate: self.fault_job,
            ..Faults::default()
        };
        faults.check()?;
        let jwt_public_key = self.jwt_public_key.map(|file| {
            let pem = std::fs::read_to_string(&file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            RsaPublicKey::from_pem(&pem)
                .ok_or_else(|| format!("{} holds no RSA public key in PEM form", file.display()))
        });
        Ok(SandboxOptions {
            client_id: self.client_id,
            client_secret: self.client_secret.map(Secret::new),
            username: self.username,
            jwt_public_key: jwt_public_key.transpose()?,
            daily_limit: self.daily_limit,
            external_id_field: self.external_id_field,
            custom_fields: self.fields,
            duplicate_rule: self.duplicate_rule.map(|action| match action {
                DuplicateAction::Alert => DuplicateRule::Alert,
                DuplicateAction::Block => DuplicateRule::Block,
            }),
            duplicate_match: match self.duplicate_match {
                MatchedBy::Email => DuplicateMatch::Email,
                MatchedBy::Standard => DuplicateMatch::Standard,
            },
            campaigns: self.campaigns,
            lead_history: self.lead_history,
            assignment_queue: self.assignment_queue,
            faults,
            bulk_polls: self.bulk_polls,
            seed: self.seed,
            ..SandboxOptions::default()
        })
    }
}

/// Serves until Ctrl-C or SIGTERM; a second one ends at once.
pub async fn run(args: SandboxArgs) -> Exit {
    match serve(args).await {
        Ok(()) => Exit::Success,
        Err(message) => {
            output::error_line(&format!("error: {message}"));
            Exit::Failure
        }
    }
}

async fn serve(args: SandboxArgs) -> Result<(), String> {
    let listen = args.listen;
    let external_id_field = args.external_id_field.clone();
    let client_id = args
        .client_id
        .clone()
        .unwrap_or_else(|| "sandbox".to_owned());
    let sandbox = Sandbox::new(args.options()?, Arc::new(SystemClock));
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("cannot tell where it listens: {error}"))?;
    let mut signals =
        Signals::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
    announce(address, &client_id, &external_id_field)
        .map_err(|error| format!("cannot write to standard output: {error}"))?;
    if !address.ip().is_loopback() {
        let mut err = anstream::stderr();
        // The sandbox is of use even if nobody reads this.
        let _ = writeln!(
            err,
            "warning: whoever reaches {address} can read and change its records"
        );
    }

    let (trigger, shutdown) = shutdown::channel();
    let serving = sandbox.serve(listener, shutdown);
    let stopping = async {
        signals.next().await;
        trigger.stop();
        signals.next().await;
    };
    tokio::select! {
        served = serving => served.map_err(|error| format!("cannot serve: {error}")),
        () = stopping => Ok(()),
    }
}

/// The address for scripts, on the first line; the rest is to paste.
fn announce(address: SocketAddr, client_id: &str, external_id_field: &str) -> io::Result<()> {
    let mut out = anstream::stdout();
    writeln!(out, "sandbox: http://{address}")?;
    writeln!(
        out,
        "\n\
         [salesforce]\n\
         login_url = \"http://{address}\"\n\
         auth = \"client_credentials\"\n\
         client_id = \"{client_id}\"\n\
         client_secret = {{ env = \"SF_CLIENT_SECRET\" }}  # unless told otherwise, any that is not blank\n\
         external_id_field = \"{external_id_field}\"\n"
    )?;
    writeln!(out, "records: http://{address}/    stop: Ctrl-C")?;
    out.flush()
}
