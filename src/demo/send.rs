use std::time::Duration;

use bytes::Bytes;

use super::leads::Post;
use crate::edge::http::{AllowedHosts, Http, HttpError, Limits, ReqwestHttp};
use crate::model::EventId;

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(30),
    max_response_bytes: 64 * 1024,
};

/// Why a post got no receipt.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The target is no address.
    #[error("cannot post: {0}")]
    Request(#[from] http::Error),
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The daemon refused it.
    #[error("the daemon answered {status} in place of a receipt: {body}")]
    Refused {
        /// The answer's status.
        status: http::StatusCode,
        /// The answer.
        body: String,
    },
}

/// Posts to the daemon as outsiders do.
#[derive(Debug)]
pub struct Sender {
    http: ReqwestHttp,
    daemon: String,
}

impl Sender {
    /// Posts to the daemon at `daemon`, a URL without a slash at its end.
    pub fn new(daemon: String) -> Self {
        Self {
            http: ReqwestHttp::new(AllowedHosts::default().loopback()),
            daemon,
        }
    }

    /// Posts and returns the receipt.
    pub async fn post(&self, post: &Post) -> Result<EventId, SendError> {
        let request = http::Request::post(format!("{}{}", self.daemon, post.target))
            .header(http::header::CONTENT_TYPE, post.content_type)
            .body(Bytes::from(post.body.clone()))?;
        let answer = self.http.send(request, LIMITS).await?;
        receipt(answer.body()).ok_or_else(|| SendError::Refused {
            status: answer.status(),
            body: String::from_utf8_lossy(answer.body()).into_owned(),
        })
    }
}

fn receipt(body: &[u8]) -> Option<EventId> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    answer["id"].as_str()?.parse().ok()
}
