//! What a key holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A value of one of KeyDB's types. Members are kept in order, so that equal contents are equal
/// bytes wherever they are printed, saved or digested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Data {
    String(Bytes),
    List(VecDeque<Bytes>),
    Set(BTreeSet<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    SortedSet(BTreeMap<Bytes, f64>),
}

impl Data {
    /// As `TYPE` names it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::SortedSet(_) => "zset",
        }
    }

    /// Whether nothing is left of it: KeyDB then removes the key.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::String(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
            Self::SortedSet(sorted) => sorted.is_empty(),
        }
    }
}

/// A key's value and when it expires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) data: Data,
    /// Unix time in milliseconds.
    pub(super) expires: Option<u64>,
}

impl Object {
    /// A value without a TTL.
    pub(super) fn new(data: Data) -> Self {
        Self {
            data,
            expires: None,
        }
    }

    /// Whether its time is over at `now` (Unix milliseconds).
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// What a key holds, or nothing.
pub(super) type Slot = Option<Object>;
