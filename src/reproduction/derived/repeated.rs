//! What of a history's faults Docker alone can repeat, and on which node.

use crate::topology::{Role, Topology};

/// How a fault is repeated with Docker alone.
#[derive(Debug)]
pub(super) enum Repeated {
    Partition,
    Pause,
    Kill,
    Stop,
}

/// By the name that a fault has in a history. What a network cannot do by being gone, and what
/// befalls the proxy, is not repeated.
pub(super) fn repeated(fault: &str) -> Option<Repeated> {
    let begins = |words: &[&str]| words.iter().any(|word| fault.starts_with(word));
    if begins(&["cut ", "black hole", "one way", "refuse new", "delay by"]) {
        Some(Repeated::Partition)
    } else if begins(&["pause "]) {
        Some(Repeated::Pause)
    } else if begins(&["kill "]) {
        Some(Repeated::Kill)
    } else if begins(&["stop "]) {
        Some(Repeated::Stop)
    } else {
        None
    }
}

/// The node that is struck: of a link, a replica rather than a primary, and the last one else.
pub(super) fn struck<'t>(nodes: &[&str], topology: &'t Topology) -> Option<&'t str> {
    let known = || {
        topology
            .nodes
            .iter()
            .filter(|node| nodes.contains(&&*node.name))
    };
    let replica = known().find(|node| node.role == Role::Replica);
    replica
        .or_else(|| known().next_back())
        .map(|node| &*node.name)
}
