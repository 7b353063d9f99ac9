use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// Where webhooks come in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port to listen on. Webhooks: POST /hooks/<source name>.
    #[schemars(example = &"127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,
    /// The address at which the outside world reaches this server.
    #[schemars(example = &"https://leads.example.com")]
    pub public_url: Option<Url>,
    /// The largest request body that is taken; larger ones get 413.
    #[schemars(range(min = 1024, max = 104_857_600), example = 1_048_576)]
    pub max_body_bytes: usize,
    /// The longest that a request may take to arrive; slower ones get 408.
    #[schemars(range(min = 1, max = 3600), example = 30)]
    pub request_timeout_seconds: u64,
    /// How many events may wait for the disk before further ones get 503 with Retry-After.
    #[schemars(range(min = 1, max = 1_000_000), example = 10_000)]
    pub max_waiting_events: usize,
    /// How long a shutdown waits for work in hand.
    #[schemars(range(min = 0, max = 3600), example = 20)]
    pub shutdown_timeout_seconds: u64,
    /// Addresses of proxies whose `X-Forwarded-For` is believed.
    #[schemars(example = &["10.0.0.1"])]
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// Refuse to start if any source has an error. Otherwise that source is fenced off and the rest runs.
    #[schemars(example = true)]
    pub strict_start: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            public_url: None,
            max_body_bytes: 1024 * 1024,
            request_timeout_seconds: 30,
            max_waiting_events: 10_000,
            shutdown_timeout_seconds: 20,
            trusted_proxies: Vec::new(),
            strict_start: false,
        }
    }
}
