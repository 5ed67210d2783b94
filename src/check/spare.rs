//! Clusters that trials are done with, for those that need the same one.
//!
//! A cluster is kept if nothing was found wrong on it, a trial to come starts an equal one, and a reset
//! proves that it is as good as new ([`Cluster::reset`]). Otherwise each trial has a cluster of its own.

use std::sync::{Mutex, PoisonError};

use super::Planned;
use crate::cluster::{Cluster, Fresh, Order};
use crate::lab::Lab;
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
    pub(super) fresh: Option<Fresh>,
    pub(super) served: u32,
}

/// The clusters of a run that wait for another trial.
#[derive(Debug, Default)]
pub(super) struct Spares {
    waiting: Mutex<Vec<(Kind, Used)>>,
    /// One for each trial that has not begun.
    to_come: Mutex<Vec<Kind>>,
}

impl Spares {
    /// For these trials.
    pub(super) fn of(queue: &[(&Lab, Planned)]) -> Self {
        let sharing = queue.iter().filter(|(lab, _)| lab.shares_clusters());
        let kinds = sharing.filter_map(|(lab, planned)| Kind::of(lab, *planned));
        Self {
            waiting: Mutex::default(),
            to_come: Mutex::new(kinds.collect()),
        }
    }

    /// A trial begins: a cluster that is as good as a new one, if there is one.
    pub(super) fn take(&self, lab: &Lab, planned: Planned) -> Option<Used> {
        let kind = Kind::of(lab, planned)?;
        let mut to_come = self.to_come.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = to_come.iter().position(|it| *it == kind) {
            to_come.swap_remove(place);
        }
        drop(to_come);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let place = waiting.iter().position(|(it, _)| *it == kind)?;
        Some(waiting.swap_remove(place).1)
    }

    /// Whether a trial to come could use the cluster of this one.
    pub(super) fn wants(&self, lab: &Lab, planned: Planned) -> bool {
        let Some(kind) = Kind::of(lab, planned) else {
            return false;
        };
        let count =
            |kinds: &mut dyn Iterator<Item = &Kind>| kinds.filter(|it| **it == kind).count();
        let to_come = self.to_come.lock().unwrap_or_else(PoisonError::into_inner);
        let to_come = count(&mut to_come.iter());
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        to_come > count(&mut waiting.iter().map(|(kind, _)| kind))
    }

    /// Takes the cluster of a trial on which nothing was found wrong, or closes it.
    pub(super) async fn keep(&self, lab: &Lab, planned: Planned, mut used: Used) {
        // Who listened waits for the end of what the trial says.
        used.cluster.told_to(None);
        let reset = match &used.fresh {
            Some(fresh) if self.wants(lab, planned) => used.cluster.reset(fresh).await.is_ok(),
            _ => false,
        };
        match Kind::of(lab, planned) {
            Some(kind) if reset => {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.push((kind, used));
            }
            _ => used.cluster.close().await,
        }
    }

    /// Closes those that nobody needed in the end.
    pub(super) async fn close(self) {
        let waiting = self
            .waiting
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for (_, used) in waiting {
            used.cluster.close().await;
        }
    }
}
