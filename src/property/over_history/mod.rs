//! Properties that are pure functions of a history and of what the nodes held at the end: one file
//! each, and one line in the table below.
//!
//! A [`Case`] is an [`Input`] with its [`Index`], made once; [`judge_all`] judges every property of
//! it. 'Surely before' means everywhere: completed at least [`Input::older_by`] before the other was
//! invoked. What may not have happened (unanswered, or lost with its node as asynchronous
//! replication allows) never makes anything broken.

mod breach;
mod effect;
mod elements;
mod exposure;
mod index;
mod input;
mod judgement;
mod lives;
mod lookup;
mod reading;
mod register;
pub mod trace;
mod way;

pub use exposure::{Exposure, Fsync, Loss, LossRow, Returns, Strike, TABLE, exposures};
pub use index::{Index, Kind, Slot, Standing};
pub use input::{Bounds, Case, Input};
pub use judgement::{Judgement, Power};

/// A property: its name, what it promises, and who judges it.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// The name of its file, with `-` for `_`.
    pub name: &'static str,
    /// The promise, as a sentence.
    pub promise: &'static str,
    /// Judges it.
    pub judge: fn(&Case<'_>) -> Judgement,
}

/// Declares the files, and puts each into [`ALL`].
macro_rules! properties {
    ($($module:ident $name:literal,)*) => {
        $(pub mod $module;)*

        /// Every property of a history, in the order of a report.
        pub const ALL: &[Property] = &[$(Property {
            name: $name,
            promise: $module::PROMISE,
            judge: $module::judge,
        }),*];
    };
}

properties! {
    convergence "convergence",
    explainable "explainable",
    acknowledged "acknowledged",
    deletes_stay "deletes-stay",
    expires "expires",
    exactly_once "exactly-once",
    transactions "transactions",
    reads "reads",
    messages "messages",
    availability "availability",
    topology_states "topology-states",
    quiet "quiet",
}

/// The property of this name.
pub fn named(name: &str) -> Option<&'static Property> {
    ALL.iter().find(|property| property.name == name)
}

/// What a scenario calls the check of a property: its name, but where another check has that name,
/// which looks at counts only.
pub fn check_of(property: &str) -> &str {
    match property {
        "expires" => "expiries",
        other => other,
    }
}

/// Judges every property.
pub fn judge_all(input: Input<'_>) -> Vec<Judgement> {
    let case = Case::new(input);
    ALL.iter().map(|property| (property.judge)(&case)).collect()
}

#[cfg(test)]
mod tests;
