//! Reads a request's body within its bounds of size and time.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use futures_util::poll;
use hyper::body::{Body as _, Incoming};

use super::held::Share;
use super::refused::Refused;
use crate::edge::clock::SharedClock;

/// How much of a body that is too large is read and thrown away: a sender that is cut off while it
/// still sends never sees the answer.
const DRAINED_BYTES: usize = 4 * 1024 * 1024;

/// The bounds of one body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The most bytes.
    pub bytes: usize,
    /// The longest time.
    pub seconds: u64,
}

/// The whole body, whose bytes are added to `share`. Most arrive in one piece, together with the
/// head: then nothing is copied and no timer is set.
pub async fn read(
    body: Incoming,
    limits: BodyLimits,
    share: &mut Share<'_>,
    clock: &SharedClock,
) -> Result<Bytes, Refused> {
    let mut reading = pin!(collect(body, limits.bytes, share));
    if let std::task::Poll::Ready(read) = poll!(&mut reading) {
        return read;
    }
    match select(reading, clock.sleep(Duration::from_secs(limits.seconds))).await {
        Either::Left((read, _)) => read,
        Either::Right(((), _)) => Err(Refused::body_too_slow(limits.seconds)),
    }
}

async fn collect(
    mut chunks: Incoming,
    limit: usize,
    share: &mut Share<'_>,
) -> Result<Bytes, Refused> {
    let Some(first) = next(&mut chunks).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > limit {
        return Err(too_large(chunks, limit).await);
    }
    share.grow(first.len())?;
    let Some(second) = next(&mut chunks).await? else {
        return Ok(first);
    };
    let mut all = BytesMut::from(first);
    let mut chunk = second;
    loop {
        if chunk.len() > limit - all.len() {
            return Err(too_large(chunks, limit).await);
        }
        share.grow(chunk.len())?;
        all.extend_from_slice(&chunk);
        match next(&mut chunks).await? {
            Some(another) => chunk = another,
            None => return Ok(all.freeze()),
        }
    }
}

async fn next(chunks: &mut Incoming) -> Result<Option<Bytes>, Refused> {
    loop {
        match poll_fn(|context| Pin::new(&mut *chunks).poll_frame(context)).await {
            None => return Ok(None),
            // Trailers say nothing that matters here.
            Some(Ok(frame)) => {
                if let Ok(chunk) = frame.into_data() {
                    return Ok(Some(chunk));
                }
            }
            Some(Err(_)) => return Err(Refused::body_broken()),
        }
    }
}

async fn too_large(mut chunks: Incoming, limit: usize) -> Refused {
    let mut drained = 0;
    while drained < DRAINED_BYTES
        && let Ok(Some(chunk)) = next(&mut chunks).await
    {
        drained += chunk.len();
    }
    Refused::body_too_large(limit)
}
