//! Acknowledged writes survive, but for what asynchronous replication allows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::history::{Write, WriteLog};

/// How long before a stop a write may have been acknowledged and still be lost with the node that
/// acknowledged it. Replication is asynchronous; the slowest propagation that was measured under a
/// paced load is 36 ms.
pub const LAG_WINDOW: Duration = Duration::from_secs(1);

/// What an event at the node that acknowledged a write allows to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Nothing: the node kept its data, or was merely paused.
    Nothing,
    /// What was under way while the node was being stopped, or acknowledged within [`LAG_WINDOW`] before:
    /// the node is gone, or came back without its memory.
    LostWith {
        /// When it was told to stop.
        from: Duration,
        /// When it was seen to be gone.
        to: Duration,
    },
}

impl Allowance {
    fn covers(self, write: &Write) -> bool {
        match self {
            Self::Nothing => false,
            Self::LostWith { from, to } => {
                // A reply may be read long after it was sent: the node took what was sent to it before
                // it was gone.
                write.invoked <= to && write.completed + LAG_WINDOW >= from
            }
        }
    }
}

/// The acknowledged writes that are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// How many writes were acknowledged.
    pub acknowledged: usize,
    /// Missing somewhere, as asynchronous replication allows.
    pub allowed: BTreeSet<String>,
    /// Missing although nothing allows it, with the nodes that lack them.
    pub forbidden: BTreeMap<String, Vec<String>>,
}

/// Looks for every acknowledged write among the keys that each node has.
pub fn losses(
    history: &WriteLog,
    present: &BTreeMap<String, BTreeSet<String>>,
    allowances: &[Allowance],
) -> Losses {
    let mut losses = Losses {
        acknowledged: history.acknowledged().count(),
        ..Losses::default()
    };
    for (node, keys) in present {
        for write in history.missing(keys) {
            if allowances.iter().any(|allowance| allowance.covers(write)) {
                losses.allowed.insert(write.key.clone());
            } else {
                losses
                    .forbidden
                    .entry(write.key.clone())
                    .or_default()
                    .push(node.clone());
            }
        }
    }
    losses
}

impl Losses {
    /// `Ok` if nothing is missing that must be there; else the first few keys and where.
    ///
    /// # Errors
    /// The sentence that says what is missing.
    pub fn verdict(&self) -> Result<String, String> {
        if self.forbidden.is_empty() {
            let allowed = match self.allowed.len() {
                0 => String::new(),
                n => format!(", {n} lost within the lag window before the stop"),
            };
            return Ok(format!(
                "0 of {} acknowledged writes missing{allowed}",
                self.acknowledged
            ));
        }
        let first: Vec<_> = self
            .forbidden
            .iter()
            .take(3)
            .map(|(key, nodes)| format!("{key} not on {}", nodes.join(" ")))
            .collect();
        Err(format!(
            "{} of {} acknowledged writes missing: {}",
            self.forbidden.len(),
            self.acknowledged,
            first.join("; ")
        ))
    }
}

#[cfg(test)]
mod tests;
