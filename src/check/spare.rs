//! Clusters that trials are done with, for those that need the same one.
//!
//! A cluster waits if nothing was found wrong on it and a trial to come starts an equal one. It is taken if
//! a reset proves at that moment that it is as good as new ([`Cluster::reset`]): whatever happened to it
//! while it waited shows then. Otherwise each trial has a cluster of its own.

use std::sync::{Mutex, PoisonError};

use super::Planned;
use crate::cluster::{Cluster, Fresh, Order};
use crate::lab::Lab;
use crate::property::health;
use crate::topology::Topology;

/// What two trials must have in common to share a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    /// Which of the run's labs.
    lab: usize,
    topology: Topology,
    order: Order,
}

impl Kind {
    /// None where the topology cannot be built: the trial tells.
    fn of(lab: &Lab, planned: Planned) -> Option<Self> {
        Some(Self {
            lab: std::ptr::from_ref(lab).addr(),
            topology: (planned.scenario.topology)(planned.variant).ok()?,
            order: planned.scenario.order,
        })
    }
}

/// A cluster, what it looked like when it was new, and how many trials it has served.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) cluster: Cluster,
    pub(super) fresh: Fresh,
    pub(super) served: u32,
}

/// The clusters of a run that wait for another trial.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Vec<(Kind, Used)>,
    /// One for each trial that has not begun.
    to_come: Vec<Kind>,
}

/// The most that wait: beside those that are at work.
const MOST: usize = 3;

impl State {
    fn wants(&self, kind: &Kind) -> bool {
        let to_come = self.to_come.iter().filter(|it| *it == kind).count();
        let waiting = self.waiting.iter().filter(|(it, _)| it == kind).count();
        self.waiting.len() < MOST && to_come > waiting
    }
}

impl Spares {
    /// For these trials.
    pub(super) fn of(queue: &[(&Lab, Planned)]) -> Self {
        let sharing = queue.iter().filter(|(lab, _)| lab.shares_clusters());
        let kinds = sharing.filter_map(|(lab, planned)| Kind::of(lab, *planned));
        Self(Mutex::new(State {
            waiting: Vec::new(),
            to_come: kinds.collect(),
        }))
    }

    /// A trial begins: a cluster that was proven just now to be as good as a new one, if there is one.
    pub(super) async fn take(&self, lab: &Lab, planned: Planned) -> Option<Used> {
        let used = self.next(&Kind::of(lab, planned)?)?;
        let reset = used.cluster.reset(&used.fresh).await;
        if reset.is_ok() && health::logs_are_quiet(&used.cluster).await {
            return Some(used);
        }
        used.cluster.close().await;
        None
    }

    fn next(&self, kind: &Kind) -> Option<Used> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = state.to_come.iter().position(|it| it == kind) {
            state.to_come.swap_remove(place);
        }
        let place = state.waiting.iter().position(|(it, _)| it == kind)?;
        Some(state.waiting.swap_remove(place).1)
    }

    /// Whether a trial to come could use the cluster of this one.
    pub(super) fn wants(&self, lab: &Lab, planned: Planned) -> bool {
        let kind = Kind::of(lab, planned);
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kind.is_some_and(|kind| state.wants(&kind))
    }

    /// Takes the cluster of a trial on which nothing was found wrong, or closes it.
    pub(super) async fn keep(&self, lab: &Lab, planned: Planned, mut used: Used) {
        // Who listened waits for the end of what the trial says.
        used.cluster.told_to(None);
        let kind = Kind::of(lab, planned).filter(|_| used.cluster.can_be_reset().is_ok());
        if let Some(used) = self.kept(kind, used) {
            used.cluster.close().await;
        }
    }

    /// Gives it back if it is not wanted.
    fn kept(&self, kind: Option<Kind>, used: Used) -> Option<Used> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kind {
            Some(kind) if state.wants(&kind) => {
                state.waiting.push((kind, used));
                None
            }
            _ => Some(used),
        }
    }

    /// Closes those that nobody needed in the end.
    pub(super) async fn close(self) {
        let state = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (_, used) in state.waiting {
            used.cluster.close().await;
        }
    }
}
