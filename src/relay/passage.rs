//! How bytes cross a relay.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

/// One of the two directions of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// What the downstream server sends: its handshake and its acknowledgements.
    TowardsUpstream,
    /// What the upstream server sends: the data.
    TowardsDownstream,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::TowardsUpstream, Self::TowardsDownstream];

    /// The other one.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::TowardsUpstream => Self::TowardsDownstream,
            Self::TowardsDownstream => Self::TowardsUpstream,
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::TowardsUpstream => 0,
            Self::TowardsDownstream => 1,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TowardsUpstream => "towards upstream",
            Self::TowardsDownstream => "towards downstream",
        })
    }
}

/// How the bytes of one direction cross.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Passage {
    /// As they come.
    #[default]
    Pass,
    /// Not for now: they wait in the relay, then in the sender's buffers, and so do the ends of
    /// connections. New connections are taken, as the system does that before the relay can, but
    /// nothing answers on them.
    Hold,
    /// Not at all: what comes is thrown away. Once the direction is healed, connections of which
    /// something was thrown away are reset.
    Discard,
    /// Each chunk `by` later than it came, and up to `jitter` more, drawn evenly for each; the
    /// order stays.
    Delay {
        /// What every chunk waits.
        by: Duration,
        /// The most that a chunk may wait besides.
        jitter: Duration,
    },
    /// No faster than this.
    Throttle {
        /// Bytes in a second; 0 counts as 1.
        bytes_per_second: u64,
    },
    /// This many more bytes of each connection that lives, and of each new one; then it is reset.
    CutAfter(u64),
    /// Until these bytes come by: the connection is reset after the first half of them.
    CutInside(Bytes),
}

impl Passage {
    /// Whether nothing crosses at all.
    pub(super) fn is_shut(&self) -> bool {
        matches!(self, Self::Hold | Self::Discard)
    }
}

/// What a relay is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    /// By direction.
    pub(super) standing: [Standing; 2],
    /// Whether new connections are turned away.
    pub(super) refusing: bool,
    /// Grows with every reset.
    pub(super) resets: u64,
    /// Grows with every passage that is set.
    pub(super) generation: u64,
}

impl Orders {
    /// Whether a TCP handshake comes through: it needs both directions.
    pub(super) fn lets_connect(&self) -> bool {
        self.standing.iter().all(|one| !one.passage.is_shut())
    }
}

/// A passage, and which of all that were set it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) passage: Passage,
    pub(super) generation: u64,
}

/// Waits until the orders are so.
pub(super) async fn until(orders: &mut watch::Receiver<Orders>, are: impl Fn(&Orders) -> bool) {
    if orders.wait_for(|orders| are(orders)).await.is_err() {
        // Nobody gives orders any more: the relay is gone, and this with it.
        std::future::pending().await
    }
}
