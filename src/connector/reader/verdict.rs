//! Whether a record is a lead.

use super::compile::Compiler;
use crate::connector::manifest::Record;
use crate::connector::select::{Scope, Test};
use crate::model::Verdict;

/// The record's tests, made ready.
#[derive(Debug)]
pub struct Verdicts {
    withdrawn: Vec<Test>,
    opt_out: Vec<Test>,
    skip: Vec<Test>,
    test: Vec<Test>,
}

impl Verdicts {
    /// Parses their paths.
    pub fn new(record: &Record, compiler: &mut Compiler<'_>) -> Self {
        Self {
            withdrawn: compiler.tests("withdrawn_when", &record.withdrawn_when),
            opt_out: compiler.tests("opt_out_when", &record.opt_out_when),
            skip: compiler.tests("skip_when", &record.skip_when),
            test: compiler.tests("test_when", &record.test_when),
        }
    }

    /// What is taken back comes first, then what must be heeded, then what is no lead.
    pub fn of(&self, scope: &Scope<'_>) -> Verdict {
        let holds = |tests: &[Test]| {
            let test = tests.iter().find(|test| test.holds(scope))?;
            Some(test.reason().to_owned())
        };
        holds(&self.withdrawn)
            .map(Verdict::Withdrawn)
            .or_else(|| holds(&self.opt_out).map(Verdict::OptOut))
            .or_else(|| holds(&self.skip).map(Verdict::Skipped))
            .or_else(|| holds(&self.test).map(Verdict::Test))
            .unwrap_or_default()
    }
}
