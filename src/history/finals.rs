//! What the nodes held at the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The data of every node that was asked, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finals {
    /// By node.
    pub nodes: BTreeMap<String, NodeData>,
}

/// What one node held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeData {
    /// By database and key.
    pub keys: BTreeMap<u8, BTreeMap<String, Held>>,
    /// `expires=` of `INFO keyspace`, by database; absent where the node names no such database.
    pub expires: BTreeMap<u8, u64>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its value.
    pub content: Content,
    /// Milliseconds that it still has to live, if it is bound to expire.
    pub ttl: Option<u64>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A string, a counter's included.
    Text(String),
    /// In the order of the list, or of a stream's entries (values only).
    List(Vec<String>),
    /// Sorted.
    Set(Vec<String>),
    /// By field.
    Hash(BTreeMap<String, String>),
    /// By member: its score as KeyDB prints it.
    Ranking(BTreeMap<String, String>),
}
