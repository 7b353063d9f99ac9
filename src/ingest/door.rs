use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;

use super::webhook::WEB_TO_LEAD_PATH;
use super::{Append, HooksState, Inbox};
use crate::edge::serve::Answer;

/// The whole address: events come in by `/hooks/<source>`, `/hooks/<source>/<secret>` and [`WEB_TO_LEAD_PATH`], the rest is a
/// router's.
#[derive(Debug)]
pub struct Door<A = Inbox> {
    hooks: HooksState<A>,
    rest: Router,
}

impl<A> Clone for Door<A> {
    fn clone(&self) -> Self {
        Self {
            hooks: self.hooks.clone(),
            rest: self.rest.clone(),
        }
    }
}

impl<A: Append> Door<A> {
    /// Takes events for `hooks`.
    pub fn new(hooks: HooksState<A>, rest: Router) -> Self {
        Self { hooks, rest }
    }
}

impl<A: Append> Answer for Door<A> {
    async fn answer(self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let path = request.uri().path();
        if self.hooks.takes(path) {
            return self.hooks.hook(request, peer).await;
        }
        // Boxed, so that acknowledgements do not carry their room.
        if path == WEB_TO_LEAD_PATH {
            return Box::pin(self.hooks.web_to_lead(request, peer)).await;
        }
        Box::pin(self.rest.answer(request, peer)).await
    }
}
