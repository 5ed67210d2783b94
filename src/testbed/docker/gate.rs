//! Keeps a cluster's end and the making of its parts apart.
//!
//! Removing all that bears a cluster's label misses what the engine is just making. So whoever
//! makes something passes the gate, and the end waits until nobody is inside.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the engine may still be at work on a request whose sender was cancelled.
const AFTERMATH: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    shut: bool,
    inside: usize,
    interrupted: Option<Instant>,
}

impl Gate {
    /// None once the gate is shut.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let mut state = self.state();
        if state.shut {
            return None;
        }
        state.inside += 1;
        Some(Pass {
            gate: self,
            finished: false,
        })
    }

    /// Lets nobody in any more.
    pub(super) fn shut(&self) {
        self.state().shut = true;
    }

    pub(super) fn is_shut(&self) -> bool {
        self.state().shut
    }

    /// Whether nothing is being made.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.state();
        state.inside == 0
            && state
                .interrupted
                .is_none_or(|moment| moment.elapsed() >= AFTERMATH)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while something is being made. Dropped without [`Pass::finish`], its holder was cancelled,
/// maybe with a request under way.
#[derive(Debug)]
pub(super) struct Pass<'gate> {
    gate: &'gate Gate,
    finished: bool,
}

impl Pass<'_> {
    /// The engine has answered every request.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.inside -= 1;
        if !self.finished {
            state.interrupted = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shut_gate_lets_nobody_in_and_is_quiet_when_all_are_out() {
        let gate = Gate::default();
        let pass = gate.enter().expect("open");
        gate.shut();
        assert!(gate.enter().is_none());
        assert!(!gate.is_quiet());
        pass.finish();
        assert!(gate.is_quiet());
    }

    #[test]
    fn a_cancelled_request_may_still_be_at_work() {
        let gate = Gate::default();
        drop(gate.enter().expect("open"));
        assert!(!gate.is_quiet());
    }
}
