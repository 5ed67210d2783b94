//! What reads showed of writes.

use super::index::{Index, Standing};
use super::input::Case;
use crate::history::{Action, Fate, Operation, Outcome, Reply, Token};

/// Whether an operation is a read that was answered.
pub(super) fn answered(operation: &Operation) -> bool {
    operation.outcome.fate() == Fate::Ok
        && matches!(
            operation.action,
            Action::Get
                | Action::List
                | Action::Members
                | Action::Fields
                | Action::Ranking
                | Action::Entries
        )
}

/// The values of an answer.
pub(super) fn values(operation: &Operation) -> impl Iterator<Item = Token> + '_ {
    let (one, several): (Option<Token>, &[Option<Token>]) = match &operation.outcome {
        Outcome::Ok(Reply::Value(token)) => (Some(*token), &[]),
        Outcome::Ok(Reply::Values(tokens)) => (None, tokens),
        _ => (None, &[]),
    };
    one.into_iter().chain(several.iter().flatten().copied())
}

/// When the answered reads of a key were invoked, sorted.
pub(super) fn reads(index: &Index<'_>, slot: usize) -> Vec<u64> {
    let operations = index.operations(slot).iter();
    let operations = operations.map(|number| index.operation(*number));
    let mut reads: Vec<u64> = operations
        .filter(|operation| answered(operation))
        .map(|read| read.invoked.0)
        .collect();
    reads.sort_unstable();
    reads
}

/// For each write: when it was first seen elsewhere, and by how many reads after it.
#[derive(Debug)]
pub(super) struct Sightings {
    /// Nanoseconds; never if no read showed it at another node than its own.
    elsewhere: Vec<u64>,
    /// Reads that were invoked after it and showed it.
    after: Vec<u32>,
    read: Vec<bool>,
}

/// Goes through all reads once.
pub(super) fn sightings(case: &Case<'_>) -> Sightings {
    let index = &case.index;
    let operations = &case.input.history.operations;
    let mut seen = Sightings {
        elsewhere: vec![u64::MAX; operations.len()],
        after: vec![0; operations.len()],
        read: vec![false; operations.len()],
    };
    for operation in operations.iter().filter(|operation| answered(operation)) {
        let Some(slot) = index.slot(operation.database, operation.key) else {
            continue;
        };
        for number in values(operation).filter_map(|token| index.writer(slot, token)) {
            let place = number as usize;
            let write = index.operation(number);
            seen.read[place] = true;
            if write.completed <= operation.invoked {
                seen.after[place] += 1;
            }
            if write.node != operation.node {
                let first = &mut seen.elsewhere[place];
                *first = (*first).min(operation.completed.0);
            }
        }
    }
    seen
}

impl Sightings {
    /// Whether a read that was invoked after this write's completion did not show it. `reads` are
    /// those of its key.
    pub fn missed(&self, index: &Index<'_>, number: u32, reads: &[u64]) -> bool {
        let completed = index.operation(number).completed.0;
        let after = reads.len() - reads.partition_point(|invoked| *invoked < completed);
        after > self.after[number as usize] as usize
    }

    /// How many acknowledged writes no read showed.
    pub fn never(&self, case: &Case<'_>) -> usize {
        let operations = (0u32..).zip(&case.input.history.operations);
        let writes = operations.filter(|(number, operation)| {
            case.index.standing(*number) == Standing::Sure
                && super::effect::brings(&operation.action).is_some()
        });
        writes
            .filter(|(number, _)| !self.read[*number as usize])
            .count()
    }

    /// How long after its acknowledgement each write was first seen at another node.
    pub fn delays(&self, case: &Case<'_>) -> Vec<u64> {
        let operations = &case.input.history.operations;
        let writes = self.elsewhere.iter().zip(operations);
        writes
            .filter(|(first, _)| **first != u64::MAX)
            .map(|(first, write)| first.saturating_sub(write.completed.0))
            .collect()
    }
}
