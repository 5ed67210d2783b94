//! What befell the cluster, and what it showed.

use serde::{Deserialize, Serialize};

use super::{Moment, Name};

/// Something that happened at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Moment,
    /// What it is about.
    pub subject: Subject,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A fault reached a phase of its life.
    Fault {
        /// Its name, for example `cut primary1->primary2`.
        fault: Name,
        /// The nodes that it strikes.
        nodes: Box<[Name]>,
        /// Which phase.
        phase: Phase,
        /// What was seen of it.
        seen: Name,
    },
    /// A node, or the proxy, shows something new.
    State {
        /// Who.
        node: Name,
        /// Which of its properties: `role`, `replid`, `link primary2`, `loading`, `server primary1`.
        what: Name,
        /// What it shows from now on.
        value: Name,
    },
}

/// The phases of a fault's life, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// It is being injected.
    Injected,
    /// It was seen to bite.
    Bites,
    /// It was not seen to bite in time.
    Toothless,
    /// It is being taken back.
    Recovering,
    /// What it struck is well again.
    Healed,
}
