//! Serves HTTP/1.1: bounded in connections, and in the time that a request's head may take.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::clock::SharedClock;
use super::shutdown::Shutdown;

/// The most connections at once; further ones wait in the system's queue.
const MOST_CONNECTIONS: usize = 8192;

/// The longest that a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of a request's head.
const MOST_HEAD_BYTES: usize = 64 * 1024;

/// After the system has refused a connection: it is out of something.
const ACCEPT_WAIT: Duration = Duration::from_millis(100);

/// What answers requests. Each connection has a clone.
///
/// A router of axum's is one. It boxes and copies each request several times, which is much of what
/// an acknowledgement costs beside its calls to the system: where that matters, something leaner can
/// stand before it.
pub trait Answer: Clone + Send + Sync + 'static {
    /// The answer to `request`, which came from `peer`.
    fn answer(
        self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Body>> + Send;
}

impl Answer for Router {
    async fn answer(self, request: Request<Incoming>, _peer: SocketAddr) -> Response<Body> {
        match self.oneshot(request.map(Body::new)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        }
    }
}

/// Serves `door` on `listener` until told to stop. Requests in hand are answered first, for at most
/// `patience`.
pub async fn serve(
    listener: TcpListener,
    door: impl Answer,
    clock: SharedClock,
    mut shutdown: Shutdown,
    patience: Duration,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MOST_HEAD_BYTES);
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = shutdown.stopping() => break,
        };
        let (stream, address, permit) = match accepted {
            Ok(Some(accepted)) => accepted,
            Ok(None) => break,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                clock.sleep(ACCEPT_WAIT).await;
                continue;
            }
        };
        // An answer is one small write; waiting to fill a packet only delays it. Where the system
        // refuses, it is slower, and works.
        let _ = stream.set_nodelay(true);
        let door = door.clone();
        let service = service_fn(move |request| {
            let answer = door.clone().answer(request, address);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = clock.sleep(patience) => warn!("requests in hand were cut off: they took too long to end"),
    }
}

type Accepted = (
    tokio::net::TcpStream,
    SocketAddr,
    tokio::sync::OwnedSemaphorePermit,
);

/// None: nothing is accepted any more.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<Option<Accepted>> {
    let Ok(permit) = Arc::clone(connections).acquire_owned().await else {
        return Ok(None);
    };
    let (stream, address) = listener.accept().await?;
    Ok(Some((stream, address, permit)))
}
