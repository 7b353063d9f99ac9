//! What is missing in the Salesforce org: signs in, reads, writes nothing, and says where to click.
//!
//! What hides the rest is said alone. A part that cannot be read, for want of a permission or because
//! the org has no such thing, becomes a note: it never fails the whole.

mod asking;
mod budget;
mod expect;
mod external_id;
mod lead;
mod named;
mod objects;
mod rules;
mod sharing;
#[cfg(test)]
mod tests;

pub use asking::{Examination, Note};
pub use expect::{Expectations, ExpectedValue, NeededObject, expected_values};
pub use external_id::check_external_id;

use self::asking::Asking;
use crate::config::SalesforceAuth;
use crate::deliver::salesforce::Mapping;
use crate::diagnostic::Diagnostic;
use crate::salesforce::Client;

const LEAD: &str = "Lead";

/// Everything that keeps leads from reaching the org, or will. Stops at what hides the rest.
pub async fn examine(client: &Client, mapping: &Mapping, expected: &Expectations) -> Examination {
    let mut asking = Asking::new(client);
    if let Err(error) = client.sign_in().await {
        let problem = Diagnostic::error("doctor.sign_in", error.to_string());
        asking.problem(problem.hint(error.hint));
        return asking.done();
    }
    check_clock(&mut asking);
    match client.versions().await {
        Ok(versions) => asking.problems(check_version(&client.config().api_version, &versions)),
        Err(error) => asking.unreadable("the list of API versions", &error),
    }
    if asking.found.problems.iter().any(Diagnostic::is_error) {
        return asking.done();
    }
    asking.calls += 1;
    match client.describe(LEAD).await {
        Ok(described) => {
            let key = &client.config().external_id_field;
            asking.problems(lead::check_object(&described));
            asking.problems(check_external_id(&described, key));
            asking.problems(lead::check_fields(&described, mapping));
            asking.problems(lead::check_values(&described, &expected.values));
            asking.problems(lead::check_required(&described, mapping, key));
        }
        Err(error) => asking.unreadable("what a Lead is made of", &error),
    }
    objects::check(&mut asking, expected).await;
    objects::check_contact(&mut asking, expected).await;
    sharing::check(&mut asking).await;
    rules::check_duplicates(&mut asking).await;
    rules::check_assignment(&mut asking).await;
    rules::check_validation(&mut asking).await;
    named::check(&mut asking, expected).await;
    budget::check(&mut asking).await;
    asking.done()
}

/// An assertion tells the time: Salesforce grants three minutes.
fn check_clock(asking: &mut Asking<'_>) {
    let by_jwt = asking.client.config().auth == SalesforceAuth::JwtBearer;
    if let Some(ahead) = asking.client.clock_ahead_seconds().filter(|_| by_jwt) {
        let (by, way) = (ahead.abs(), if ahead > 0 { "ahead" } else { "behind" });
        let message = format!("this machine's clock is {by} seconds {way} of Salesforce's");
        let hint = "set it by NTP: at 180 seconds Salesforce refuses to be signed in to by JWT";
        asking.problem(Diagnostic::warning("doctor.clock", message).hint(hint));
    }
}

fn check_version(version: &str, known: &[String]) -> Option<Diagnostic> {
    if known.iter().any(|known| known == version) {
        return None;
    }
    let message = format!("the org does not have API version {version}");
    let hint = match known.last() {
        Some(latest) => format!("set api_version = \"{latest}\" in [salesforce], its latest"),
        None => "check login_url in [salesforce]: no API version is there".to_owned(),
    };
    Some(Diagnostic::error("doctor.api_version", message).hint(hint))
}

/// "; did you mean `X`?" if one of `known` is near.
fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let folded = name.to_lowercase();
    known
        .map(|known| (strsim::jaro_winkler(&folded, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}
