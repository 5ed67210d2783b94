//! `check --until-fail`: ends a run with the first trial that is broken in a way its expectations do not
//! know.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use keydb_harness::check::{Finished, Planned};
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::{Expectations, judge};

/// Looks at every trial that is over.
pub(super) struct UntilFail<'a> {
    expectations: Option<&'a Expectations>,
    strict: bool,
    failed: Option<Planned>,
}

impl<'a> UntilFail<'a> {
    /// Judges as the run's exit code does.
    pub(super) fn new(expectations: Option<&'a Expectations>, strict: bool) -> Self {
        Self {
            expectations,
            strict,
            failed: None,
        }
    }

    /// Breaks if this one failed. What other trials left is dropped: of a long run it would be too much.
    pub(super) fn look(&mut self, finished: &mut Finished) -> ControlFlow<()> {
        let outcome = &finished.outcome;
        let standing = judge(outcome, self.expectations);
        if exit::code([(outcome, standing)], self.strict) == exit::BROKEN {
            self.failed = Some(finished.planned);
            return ControlFlow::Break(());
        }
        finished.artifacts = Vec::new();
        ControlFlow::Continue(())
    }

    /// What is said at the end: where it stopped, and how many trials were not made.
    pub(super) fn sentence(&self, rounds: u32, left: usize) -> String {
        match self.failed {
            None => "no failure".to_owned(),
            Some(failed) => format!(
                "stopped at the first failure, {} in round {} of {rounds}; trials left: {left}",
                failed.id(),
                failed.round + 1
            ),
        }
    }
}

/// Numbers the trials of each name as they stand: where some were stopped, numbers are missing, and
/// who reads the results counts.
pub(super) fn number(finished: &mut [Finished]) {
    let mut rounds: BTreeMap<String, u32> = BTreeMap::new();
    for Finished { planned, .. } in finished {
        let round = rounds.entry(planned.id()).or_default();
        planned.round = *round;
        *round += 1;
    }
}
