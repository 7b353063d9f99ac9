use super::{Exit, output};
use crate::config;

pub(super) fn run() -> Exit {
    output::line(&format!("{:#}", config::schema()));
    Exit::Success
}
