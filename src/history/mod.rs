//! What clients did, what befell the cluster and what it showed, on one monotonic clock.
//!
//! A [`History`] is all that a judge needs besides the data that the nodes held at the end
//! ([`Finals`]). It is compact: names are numbers into a table, unique values are pairs of numbers.

mod command;
mod crossing;
mod event;
mod finals;
mod operation;
mod recording;
mod storage;
mod taps;
mod watch;
mod writes;

pub use crossing::{Crossed, Crossing};
pub use event::{Event, Phase, Subject};
pub use finals::{Content, Finals, Held, NodeData};
pub use operation::{
    Action, Fate, Moment, Name, Names, Operation, Outcome, Reply, Token, UnknownToken,
};
pub use recording::{Record, Recording};
pub use storage::{FILE, FORMAT, Saved, StorageError, WATCHED};
pub use taps::{Crossings, DATA, PASSED, Taps};
pub use watch::{INTERVAL, RESYNCS, RUN, Watch};
pub(crate) use writes::longest_gap;
pub use writes::{Write, WriteLog};

/// Everything that was recorded of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// What the numbers in operations and events stand for.
    pub names: Names,
    /// In the order in which they completed.
    pub operations: Vec<Operation>,
    /// Faults and changes of state, in the order of their time.
    pub events: Vec<Event>,
    /// When the recording ended.
    pub length: Moment,
}
