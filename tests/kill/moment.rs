//! When something is done to a daemon under load.

use std::time::Duration;

use super::dice::Dice;
use super::load::Burst;
use super::program::DaemonProcess;
use super::wait;

/// The longest that a moment is waited for.
const MOMENT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// Some milliseconds after the burst began.
    After(Duration),
    /// As soon as so many posts are acknowledged: the next are being committed.
    Ingest(u64),
    /// When deliveries are decided and others are not yet.
    Process,
    /// While a call to Salesforce is under way.
    Call,
}

impl Moment {
    /// All kinds come in turn, so that every run covers each.
    pub fn of(turn: u64, dice: &mut Dice) -> Self {
        match turn % 4 {
            0 => Self::Ingest(1 + dice.roll(200)),
            1 => Self::Call,
            2 => Self::Process,
            _ => Self::After(Duration::from_millis(dice.roll(400))),
        }
    }

    /// Waits for it; returns which of the daemons it has come for, where it is one's own.
    pub fn wait(self, daemons: &[&DaemonProcess], burst: &Burst<'_>) -> Option<usize> {
        match self {
            Self::After(time) => {
                wait::pass(time);
                None
            }
            Self::Ingest(count) => {
                wait::until("posts are acknowledged", MOMENT, || {
                    (burst.answered() >= count).then_some(())
                });
                None
            }
            Self::Process => Some(wait::until("deliveries are decided", MOMENT, || {
                daemons.iter().position(|daemon| {
                    let pending = daemon.metric("leadstream_outbox_pending", "");
                    pending.is_some_and(|pending| pending > 0.0)
                })
            })),
            Self::Call => {
                // Counted before it is sent; the sandbox answers a while later. Of any kind: who is there
                // already is asked before anybody is written.
                let calls =
                    |daemon: &DaemonProcess| daemon.metric("leadstream_salesforce_calls_total", "");
                let before: Vec<f64> = daemons
                    .iter()
                    .map(|daemon| calls(daemon).unwrap_or(0.0))
                    .collect();
                Some(wait::until("a call is under way", MOMENT, || {
                    daemons
                        .iter()
                        .zip(&before)
                        .position(|(daemon, before)| calls(daemon).is_some_and(|now| now > *before))
                }))
            }
        }
    }
}
