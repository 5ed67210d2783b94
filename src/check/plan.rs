//! Which trials a run makes, and which of them cannot be made here.

use std::collections::BTreeSet;

use crate::lab::Lab;
use crate::scenario::{Cost, Need, Scenario};
use crate::spec::KeydbSpec;
use crate::testbed::Program;
use crate::topology::NodeSpec;
use crate::verdict::trial_id;

/// One variant of one scenario, to be run on a cluster of its own.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// One of its variants.
    pub variant: &'static str,
    /// The how-many-th of several trials of it this is, from 0 on: each draws its own chance.
    pub round: u32,
}

impl Planned {
    /// `scenario`, or `scenario/variant`.
    pub fn id(&self) -> String {
        trial_id(self.scenario.name, self.variant)
    }

    /// The same as the name of a folder, with the round from the second on.
    pub fn folder(&self) -> String {
        let id = self.id();
        match self.round {
            0 => id,
            round => format!("{id}-{}", round + 1),
        }
    }

    /// What it costs.
    pub fn cost(&self) -> Cost {
        self.scenario.cost(self.variant)
    }

    /// This trial so many times.
    pub fn repeated(self, times: u32) -> impl Iterator<Item = Self> {
        (0..times).map(move |round| Self { round, ..self })
    }
}

/// Every variant of every scenario whose id contains one of the filters, all without filters, that
/// costs no more than this.
pub fn plan(filters: &[String], at_most: Cost) -> Vec<Planned> {
    crate::scenario::all()
        .iter()
        .flat_map(|&scenario| {
            let variants = scenario.variants.iter().chain(scenario.long);
            variants.map(move |&variant| Planned {
                scenario,
                variant,
                round: 0,
            })
        })
        .filter(|planned| planned.cost() <= at_most)
        .filter(|planned| {
            filters.is_empty()
                || filters
                    .iter()
                    .any(|filter| planned.id().contains(filter.as_str()))
        })
        .collect()
}

/// Parts what can run from what cannot: the servers lack something that it needs, or a
/// release that it runs beside them cannot be had; with the reason, a sentence each.
pub async fn available(lab: &Lab, planned: Vec<Planned>) -> (Vec<Planned>, Vec<(Planned, String)>) {
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    for planned in planned {
        // One that cannot be built is no lack of the machine: the trial says so.
        let nodes = (planned.scenario.topology)(planned.variant).map(|topology| topology.nodes);
        let nodes = nodes.unwrap_or_default();
        let reason = match lacking(planned.scenario.needs, &nodes, lab.lacks()) {
            Some(what) => Some(format!("it needs {what}, which {} lacks", lab.keydb())),
            None => without_release(lab, &nodes).await,
        };
        match reason {
            None => can.push(planned),
            Some(reason) => cannot.push((planned, reason)),
        }
    }
    (can, cannot)
}

/// The first thing that is needed, or that a node is configured with, and lacking.
pub(super) fn lacking<'a>(
    needs: &[Need],
    nodes: &'a [NodeSpec],
    lacks: &BTreeSet<String>,
) -> Option<&'a str> {
    let needs = needs.iter().map(|need| need.name());
    let options = nodes.iter().flat_map(|node| &node.options);
    let mut all = needs.chain(options.map(|(name, _)| name.as_str()));
    all.find(|name| lacks.contains(*name))
}

/// Why a release that a node is to run beside the run's own cannot be had; `None` if it can, or none
/// is named.
pub(super) async fn without_release(lab: &Lab, nodes: &[NodeSpec]) -> Option<String> {
    let own = KeydbSpec::Version(lab.identity().keydb.version.clone());
    for other in nodes.iter().filter_map(|node| node.keydb.as_ref()) {
        if !lab.identity().is_real() {
            return Some(format!("it runs {other} as a peer, which no model follows"));
        }
        if *other == own || other == lab.keydb() {
            return Some(format!(
                "it runs {other} beside another release, and that is the run's own"
            ));
        }
        if let Err(error) = lab
            .testbed()
            .prepare(&Program::Keydb(lab.keydb_beside(other)))
            .await
        {
            return Some(error.to_string());
        }
    }
    None
}
