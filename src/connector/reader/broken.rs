use super::ReadProblem;
use crate::connector::{Connector, ExtractError, Payload, Refusal};
use crate::model::{Event, Extracted};

/// Stands in for the reader of a source whose options do not fit its manifest. What comes in is kept
/// and can be replayed: a vendor that is refused may not send it again.
#[derive(Debug)]
pub struct Broken(pub Vec<ReadProblem>);

impl Connector for Broken {
    fn receive(&self, _: Payload<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn extract(&self, event: &Event) -> Result<Vec<Extracted>, ExtractError> {
        let why = self.0.first().map(ToString::to_string).unwrap_or_default();
        Err(ExtractError {
            code: "record.unusable_path",
            message: format!(
                "the options of `{}` do not fit its connector: {why}",
                event.source
            ),
            hint: format!("mend the option; then `leadstream replay {}`", event.id),
        })
    }
}
