//! What befell a node, and what asynchronous replication allows to be lost with it.
//!
//! What the table allows is decided once and for all: KeyDB's documentation promises no more (replication:
//! 'Redis uses by default asynchronous replication'; `WAIT` for what must not be lost).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::history::{History, Moment, Name, Phase, Subject};

/// What struck a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strike {
    /// It was frozen, and went on.
    Pause,
    /// A link of it, its peer or the proxy was struck; or it was synchronised anew.
    Elsewhere,
    /// It was told to end (`SIGTERM`, `SHUTDOWN`).
    Told,
    /// It was ended without a word (`SIGKILL`).
    Killed,
}

/// How often an append-only file is brought to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fsync {
    /// `appendfsync always`.
    Always,
    /// `appendfsync everysec`.
    EverySecond,
    /// `appendfsync no`.
    Never,
}

/// What a node that was struck comes back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Returns {
    /// It does not come back.
    Never,
    /// It comes back without data of its own.
    Empty,
    /// With the snapshot that it wrote (when told to end), or that it last wrote.
    Rdb,
    /// With its append-only file.
    Aof(Fsync),
}

/// What may be lost of the acknowledged writes that no `WAIT` confirmed. Confirmed ones never, where one
/// of those that did must have been a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing.
    Forbidden,
    /// What was acknowledged within the lag window before the strike, and so much longer.
    WithinLag(Duration),
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct LossRow {
    /// What struck the node.
    pub strike: Strike,
    /// What it returned with; none stands for anything.
    pub returns: Option<Returns>,
    /// What may be lost.
    pub loss: Loss,
}

const fn row(strike: Strike, returns: Option<Returns>, loss: Loss) -> LossRow {
    LossRow {
        strike,
        returns,
        loss,
    }
}

/// The table; the first row that fits counts. What was acknowledged after the node was gone (a
/// restart in progress) is in no window, and so must never be lost.
pub const TABLE: &[LossRow] = &{
    use {Fsync::*, Loss::*, Strike::*};
    const LAG: Loss = WithinLag(Duration::ZERO);
    [
        row(Pause, None, Forbidden),
        row(Elsewhere, None, Forbidden),
        row(Told, Some(Returns::Rdb), Forbidden),
        row(Told, Some(Returns::Aof(Always)), Forbidden),
        row(Told, Some(Returns::Aof(EverySecond)), Forbidden),
        row(Told, Some(Returns::Aof(Never)), Forbidden),
        row(Told, None, LAG),
        row(Killed, Some(Returns::Aof(Always)), Forbidden),
        row(
            Killed,
            Some(Returns::Aof(EverySecond)),
            WithinLag(Duration::from_secs(1)),
        ),
        row(Killed, None, LAG),
    ]
};

/// What befell one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// The node.
    pub node: String,
    /// What struck it.
    pub strike: Strike,
    /// When it was struck.
    pub from: Moment,
    /// When it was seen to be gone.
    pub to: Moment,
    /// When it was healed, its links included; the end of the history if it never was.
    pub healed: Moment,
    /// What it came back with.
    pub returns: Returns,
}

impl Exposure {
    /// What may be lost with it.
    pub fn loss(&self) -> Loss {
        let fits = |row: &&LossRow| {
            row.strike == self.strike && row.returns.is_none_or(|returns| returns == self.returns)
        };
        TABLE
            .iter()
            .find(fits)
            .map_or(Loss::Forbidden, |row| row.loss)
    }

    /// Whether it returns with an older state than it had, which it serves until it is healed.
    pub fn rewinds(&self, at: Moment) -> bool {
        self.loss() != Loss::Forbidden && (self.from..=self.healed).contains(&at)
    }

    /// The first and the last moment of acknowledgements that may be lost; none if none may be.
    pub fn window(&self, lag: Duration) -> Option<(Moment, Moment)> {
        match self.loss() {
            Loss::Forbidden => None,
            Loss::WithinLag(longer) => {
                let from = Duration::from_nanos(self.from.0).saturating_sub(lag + longer);
                Some((Moment::from(from), self.to))
            }
        }
    }
}

/// The nodes that showed to be plain replicas. What is published there goes nowhere, and what one of
/// them alone has confirmed with `WAIT` is thrown away when it follows another primary.
pub(super) fn followers(history: &History) -> HashSet<Name> {
    let names = &history.names;
    let roles = history
        .events
        .iter()
        .filter_map(|event| match &event.subject {
            Subject::State { node, what, value } if names.text(*what) == "role" => {
                Some((*node, names.text(*value)))
            }
            _ => None,
        });
    roles
        .filter(|(_, role)| matches!(*role, "slave" | "replica"))
        .map(|(node, _)| node)
        .collect()
}

/// When each plain replica showed another `replid` than before: it follows another primary, or the same
/// with another history.
pub(super) fn moves(history: &History) -> HashMap<Name, Vec<Moment>> {
    let followers = followers(history);
    let mut shown: HashMap<Name, Name> = HashMap::new();
    let mut moves: HashMap<Name, Vec<Moment>> = HashMap::new();
    for event in &history.events {
        let Subject::State { node, what, value } = &event.subject else {
            continue;
        };
        if history.names.text(*what) != "replid" || !followers.contains(node) {
            continue;
        }
        let before = shown.insert(*node, *value);
        if before.is_some_and(|before| before != *value) {
            moves.entry(*node).or_default().push(event.at);
        }
    }
    moves
}

/// What the verb in a fault's name, its first word or its second, says of the nodes that it strikes. What
/// has none of these strikes something else than a node's life.
const WORDS: &[(&str, Strike)] = &[
    ("pause", Strike::Pause),
    ("stop", Strike::Told),
    ("restart", Strike::Told),
    ("becomes", Strike::Told),
    ("terminate", Strike::Told),
    ("slow", Strike::Told),
    ("kill", Strike::Killed),
    ("crash", Strike::Killed),
    ("crash-loop", Strike::Killed),
];

/// The exposures that a history's faults make, in the order of their time; `returns` says what a
/// node comes back with after a fault (node, the fault's name). A node is gone when the fault was
/// seen to bite, or, of a fault that strikes repeatedly, when it is healed.
pub fn exposures(history: &History, returns: impl Fn(&str, &str) -> Returns) -> Vec<Exposure> {
    let names = &history.names;
    let mut found: Vec<Exposure> = Vec::new();
    for (position, event) in history.events.iter().enumerate() {
        let Subject::Fault {
            fault,
            nodes,
            phase: Phase::Injected,
            ..
        } = &event.subject
        else {
            continue;
        };
        let name = names.text(*fault);
        let mut words = name.split_whitespace().take(2);
        let known = words.find_map(|word| WORDS.iter().find(|(known, _)| *known == word));
        let strike = known.map_or(Strike::Elsewhere, |(_, strike)| *strike);
        let repeats = name.starts_with("crash");
        let last = history.events[position..].iter().find(|later| {
            matches!(&later.subject, Subject::Fault { fault: other, phase, .. }
            if other == fault && match phase {
                Phase::Injected | Phase::Recovering => false,
                Phase::Bites => !repeats,
                Phase::Toothless | Phase::Healed => true,
            })
        });
        let to = last.map_or(history.length, |event| event.at);
        let healed = history.events[position..].iter().find(|later| {
            matches!(&later.subject, Subject::Fault { fault: other, phase: Phase::Healed, .. }
            if other == fault)
        });
        let healed = healed.map_or(history.length, |event| event.at);
        found.extend(nodes.iter().map(|node| {
            let node = names.text(*node);
            Exposure {
                node: node.to_owned(),
                strike,
                from: event.at,
                to,
                healed,
                returns: returns(node, name),
            }
        }));
    }
    found
}
