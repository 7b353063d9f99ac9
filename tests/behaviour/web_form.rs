//! Forms posted to the daemon's own door, on a loopback port, byte for byte.

mod answers;
mod captcha;
mod cors;
mod door;
mod limits;
mod rates;
mod web_to_lead;
