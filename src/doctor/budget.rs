//! How many calls the org has left.

use super::asking::Asking;
use crate::diagnostic::Diagnostic;
use crate::salesforce::{Class, Limit, Usage};

/// The share of the org's daily calls below which what is left is little.
const LITTLE_LEFT: f64 = 0.1;

/// Reads the limits, which also shows whether they may be read.
pub(super) async fn check(asking: &mut Asking<'_>) {
    asking.calls += 1;
    let limits = match asking.client.limits().await {
        Ok(limits) => limits,
        Err(error) if error.class() == Class::FixPermissions => {
            let message = "the integration user may not read the org's limits";
            let hint = "Setup > Permission Sets > the integration user's > System Permissions: \
                        tick View Setup and Configuration";
            asking.problem(Diagnostic::warning("doctor.limits_hidden", message).hint(hint));
            if let Some(usage) = asking.client.usage() {
                tell(asking, usage);
            }
            return;
        }
        Err(error) => {
            asking.unreadable("the org's limits", &error);
            return;
        }
    };
    // The header of the last answer is fresher than /limits, which lags by minutes.
    let usage = asking
        .client
        .usage()
        .or_else(|| usage(limits.get("DailyApiRequests")?));
    if let Some(usage) = usage {
        tell(asking, usage);
    }
}

fn tell(asking: &mut Asking<'_>, usage: Usage) {
    let Usage { used, allowed } = usage;
    let left = allowed.saturating_sub(used);
    asking.note(
        "doctor.api_budget",
        format!(
            "API calls of the rolling 24 hours, of all the org's integrations together: {used} used of \
             {allowed}, {left} left"
        ),
    );
    if left as f64 <= allowed as f64 * LITTLE_LEFT {
        let message = format!("the org has {left} of its {allowed} API calls of 24 hours left");
        let hint = "Setup > System Overview > API Usage shows which integration uses them";
        asking.problem(Diagnostic::warning("doctor.api_budget", message).hint(hint));
    }
}

fn usage(limit: &Limit) -> Option<Usage> {
    Some(Usage {
        used: u64::try_from(limit.max.saturating_sub(limit.remaining)).ok()?,
        allowed: u64::try_from(limit.max).ok()?,
    })
}
