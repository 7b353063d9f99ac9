//! As much of HTTP as a stand-in needs to misbehave in it: an answer may end in its middle, or never
//! begin.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};

/// A request.
#[derive(Debug)]
pub struct Sent {
    pub method: String,
    /// As it was sent.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub authorization: String,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// For messages.
    pub fn query_text(&self) -> String {
        format!("{:?}", self.query)
    }
}

/// An answer, or none.
#[derive(Debug)]
pub struct Reply {
    status: u16,
    retry_after: Option<u64>,
    body: String,
    /// So many bytes of the body are sent before the connection ends.
    ends_after: Option<usize>,
    is_given: bool,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
            body: String::new(),
            ends_after: None,
            is_given: true,
        }
    }

    pub fn json(body: &Value) -> Self {
        Self {
            body: body.to_string(),
            ..Self::status(200)
        }
    }

    pub fn of_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// The connection ends in the middle of it.
    pub fn torn(self) -> Self {
        Self {
            ends_after: Some(self.body.len() / 2),
            ..self
        }
    }

    /// The connection ends before it.
    pub fn dropped() -> Self {
        Self {
            is_given: false,
            ..Self::status(200)
        }
    }
}

/// Answers all requests, for as long as the test runs.
pub async fn serve(listener: TcpListener, answer: impl Fn(Sent) -> Reply + Send + Sync + 'static) {
    let answer = Arc::new(answer);
    while let Ok((stream, _)) = listener.accept().await {
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            // Who asks may be gone at any moment.
            let _ = connection(stream, &*answer).await;
        });
    }
}

async fn connection(
    stream: TcpStream,
    answer: &(impl Fn(Sent) -> Reply + Sync),
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    while let Some(sent) = request(&mut stream).await? {
        let reply = answer(sent);
        if !reply.is_given {
            return Ok(());
        }
        let mut head = format!(
            "HTTP/1.1 {} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        if let Some(seconds) = reply.retry_after {
            write!(head, "retry-after: {seconds}\r\n").unwrap();
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let end = reply.ends_after.unwrap_or(reply.body.len());
        stream.write_all(&reply.body.as_bytes()[..end]).await?;
        stream.flush().await?;
        if reply.ends_after.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

async fn request(stream: &mut BufStream<TcpStream>) -> std::io::Result<Option<Sent>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut sent = Sent {
        method: method.to_owned(),
        path: path.to_owned(),
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        authorization: String::new(),
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => value.trim().clone_into(&mut sent.authorization),
            _ => {}
        }
    }
    sent.body.resize(length, 0);
    stream.read_exact(&mut sent.body).await?;
    Ok(Some(sent))
}
