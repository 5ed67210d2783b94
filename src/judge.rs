//! A saved history judged, at the end of its run or later: the same findings.

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{Action, Fate, Moment, Saved};
use crate::property::over_history::{
    Fsync, Input, Judgement, Returns, exposures, judge_all, messages, quiet,
};
use crate::topology::Persistence;

/// What every property says of a saved history, in the order of their table.
pub fn judge(saved: &Saved) -> Vec<Judgement> {
    let finals_at = saved.finals_at.unwrap_or(saved.history.length);
    let exposures = exposures(&saved.history, |node, fault| returns(saved, node, fault));
    let mut judgements = judge_all(Input {
        exposures: &exposures,
        finals_from: match saved.finals_from {
            Moment(0) => finals_at,
            from => from,
        },
        crossings: &saved.crossings,
        forgotten: saved.forgotten,
        later: saved.later.as_ref(),
        finals_at,
        ..Input::new(&saved.history, &saved.finals)
    });
    // Where nodes were read once, whether anything changes later is not asked.
    if saved.later.is_none() {
        judgements.retain(|judgement| judgement.finding.check != quiet::NAME);
    }
    // Nor is it asked what nobody listened for.
    let operations = &saved.history.operations;
    if !operations
        .iter()
        .any(|operation| operation.action == Action::Subscribe)
    {
        judgements.retain(|judgement| judgement.finding.check != messages::NAME);
    }
    judgements
}

/// What a node that was struck came back with: one that held nothing at the end was not asked, and
/// so never came back. A restart says in its name where it leaves nothing to load; else what counts
/// is how the node was to keep its data when it was stopped.
fn returns(saved: &Saved, node: &str, fault: &str) -> Returns {
    if !saved.finals.nodes.contains_key(node) {
        return Returns::Never;
    }
    let restart = fault.strip_prefix(&format!("restart {node} "));
    if matches!(
        restart,
        Some("without its data" | "with an append-only file")
    ) {
        return Returns::Empty;
    }
    let kept = saved.persistence.get(node).copied();
    match kept.unwrap_or_default() {
        Persistence::None => Returns::Empty,
        Persistence::Rdb => Returns::Rdb,
        Persistence::Aof => Returns::Aof(Fsync::Always),
    }
}

/// How many operations of which outcome, by node; faults, changes of state, and keys at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// By node and outcome.
    pub operations: BTreeMap<(String, Fate), usize>,
    /// How many clients there were.
    pub clients: usize,
    /// How many events.
    pub events: usize,
    /// How many writes relays saw, and how many earlier ones they forgot.
    pub crossings: (usize, u64),
    /// How many keys each node held at the end.
    pub keys: BTreeMap<String, usize>,
    /// How long it was recorded, in nanoseconds.
    pub length: crate::history::Moment,
}

impl Statistics {
    /// Those of a history.
    pub fn of(saved: &Saved) -> Self {
        let history = &saved.history;
        let mut counts: BTreeMap<(crate::history::Name, Fate), usize> = BTreeMap::new();
        let mut clients = std::collections::BTreeSet::new();
        for operation in &history.operations {
            *counts
                .entry((operation.node, operation.outcome.fate()))
                .or_default() += 1;
            clients.insert(operation.client);
        }
        let keys = |data: &crate::history::NodeData| data.keys.values().map(BTreeMap::len).sum();
        Self {
            operations: counts
                .into_iter()
                .map(|((node, fate), count)| ((history.names.text(node).to_owned(), fate), count))
                .collect(),
            clients: clients.len(),
            events: history.events.len(),
            crossings: (saved.crossings.len(), saved.forgotten),
            keys: saved
                .finals
                .nodes
                .iter()
                .map(|(node, data)| (node.clone(), keys(data)))
                .collect(),
            length: history.length,
        }
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.operations.values().sum();
        writeln!(
            f,
            "{total} operations of {} clients and {} events in {}",
            self.clients, self.events, self.length
        )?;
        for ((node, fate), count) in &self.operations {
            let fate = match fate {
                Fate::Ok => "acknowledged",
                Fate::Fail => "not done",
                Fate::Unknown => "not answered",
            };
            writeln!(f, "    {node}: {count} {fate}")?;
        }
        match self.crossings {
            (0, 0) => {}
            (crossings, 0) => writeln!(f, "    relays saw {crossings} writes")?,
            (crossings, forgotten) => writeln!(
                f,
                "    relays saw {crossings} writes, and {forgotten} before that they forgot"
            )?,
        }
        for (node, keys) in &self.keys {
            writeln!(f, "    {node} held {keys} keys at the end")?;
        }
        Ok(())
    }
}
