//! What a judge is given.

use std::collections::HashMap;
use std::time::Duration;

use super::exposure::{Exposure, moves};
use super::index::Index;
use crate::history::{Crossing, Finals, History, Moment, Name, Operation};
use crate::property::survival::LAG_WINDOW;

/// How much earlier a write must have completed than another was invoked to be older than it. KeyDB
/// stamps with a clock of milliseconds, which two nodes on one machine share.
const OLDER_BY: Duration = Duration::from_millis(2);

/// How far times to live may be apart: nodes are read one after the other.
const TTL_TOLERANCE: Duration = Duration::from_secs(1);

/// How long before or after a replica is seen to follow another primary it may show what that one has and
/// not more, in nanoseconds: servers under load are looked at late, and hear of each other late.
const MOVING: u64 = 5_000_000_000;

/// Bounds that the caller sets on what is otherwise only measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// The longest time without an acknowledgement to anyone through the proxy.
    pub gap: Option<Duration>,
    /// The same for one and the same client.
    pub client_gap: Option<Duration>,
    /// The share of operations through the proxy that may fail.
    pub errors: Option<f64>,
}

/// A history, what the nodes held at the end, and what is known of both.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What happened.
    pub history: &'a History,
    /// What the nodes held after it.
    pub finals: &'a Finals,
    /// What they held some time after that, if they were asked twice.
    pub later: Option<&'a Finals>,
    /// When the reading of `finals` began: the end of the history, if not told. It takes seconds
    /// where there is much to read, or a machine has much to do.
    pub finals_from: Moment,
    /// When `finals` were read: the end of the history, if not told.
    pub finals_at: Moment,
    /// What befell nodes that acknowledged writes.
    pub exposures: &'a [Exposure],
    /// What relays saw, in the order of its arrival.
    pub crossings: &'a [Crossing],
    /// How many earlier crossings are not told any more.
    pub forgotten: u64,
    /// What the caller demands of measures.
    pub bounds: Bounds,
    /// How long before its node's end an acknowledged write may be lost with it.
    pub lag_window: Duration,
    /// How far completion and invocation must be apart to be in an order.
    pub older_by: Duration,
    /// How far times to live may be apart.
    pub ttl_tolerance: Duration,
}

impl<'a> Input<'a> {
    /// A history and its end, with no exposures, crossings and bounds.
    pub fn new(history: &'a History, finals: &'a Finals) -> Self {
        Self {
            history,
            finals,
            later: None,
            finals_from: history.length,
            finals_at: history.length,
            exposures: &[],
            crossings: &[],
            forgotten: 0,
            bounds: Bounds::default(),
            lag_window: LAG_WINDOW,
            older_by: OLDER_BY,
            ttl_tolerance: TTL_TOLERANCE,
        }
    }
}

/// What properties judge.
#[derive(Debug)]
pub struct Case<'a> {
    /// What was given.
    pub input: Input<'a>,
    /// The same by key, and by value.
    pub index: Index<'a>,
    /// When each plain replica was seen to follow another history than before.
    moves: HashMap<Name, Vec<Moment>>,
}

impl<'a> Case<'a> {
    /// Makes the index: the only costly step.
    pub fn new(input: Input<'a>) -> Self {
        Self {
            input,
            index: Index::new(&input),
            moves: moves(input.history),
        }
    }

    /// Whether a plain replica was read as it came to follow another primary, which may not have heard by
    /// then of what the first one had told it: nobody promises that two primaries have heard of the same at
    /// any moment.
    pub(super) fn was_moving(&self, read: &Operation) -> bool {
        let around = |at: &Moment| {
            at.0.saturating_add(MOVING) >= read.invoked.0
                && at.0 <= read.completed.0.saturating_add(MOVING)
        };
        let moves = self.moves.get(&read.node);
        moves.is_some_and(|moves| moves.iter().any(around))
    }
}
