//! What the clients of a traffic do, as data: kinds of operations with weights, and which keys.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use rand::{Rng, RngExt};

use crate::history::Action;

/// How many keys one transaction writes, and one sample reads.
pub(super) const GROUP: usize = 3;
/// How many fields the hashes have.
pub(super) const FIELDS: u16 = 4;
/// Milliseconds that mortal keys live: longer than any run, so that one that is gone was lost.
pub(super) const LONG_LIFE: u32 = 3_600_000;
/// Milliseconds that brief keys live, at least and at most: their time is over within the run.
pub(super) const BRIEF_LIFE: RangeInclusive<u32> = 200..=2000;
/// Milliseconds that are left of a brief key's life when it is cut short.
pub(super) const CUT_SHORT: RangeInclusive<u32> = 50..=400;

/// A kind of operation on a family of keys: each family holds one type, so that no operation is
/// refused for the type of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `SET` of a register.
    Set,
    /// `GET` of a register.
    Get,
    /// `DEL` of a register.
    Delete,
    /// `SET … PX` of a key with a time to live.
    SetFor,
    /// `PEXPIRE` of a key with a time to live.
    Expire,
    /// `GET` of a key with a time to live.
    GetMortal,
    /// `SET … PX` of a key that expires within the run.
    SetBriefly,
    /// `PEXPIRE` of such a key, which mostly cuts its life short.
    CutShort,
    /// `GET` of such a key.
    GetBrief,
    /// `INCRBY 1` of a counter.
    Increment,
    /// `GET` of a counter.
    GetCounter,
    /// `APPEND`.
    Append,
    /// `GET` of a key of appends.
    GetAppends,
    /// `RPUSH`.
    Push,
    /// `LRANGE`.
    List,
    /// `SADD`.
    Add,
    /// `SREM` of a value that the same client added last.
    Remove,
    /// `SMEMBERS`.
    Members,
    /// `HSET`.
    PutField,
    /// `HGETALL`.
    Fields,
    /// `ZADD`.
    Score,
    /// `ZRANGE`.
    Ranking,
    /// `XADD`.
    Log,
    /// `XRANGE`.
    Entries,
    /// `MULTI`, several `SET`, `EXEC`.
    SetAll,
    /// The same by a Lua script.
    ScriptSetAll,
    /// `MGET` of what transactions write.
    GetAll,
    /// `PUBLISH`.
    Publish,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 28] = [
        Self::Set,
        Self::Get,
        Self::Delete,
        Self::SetFor,
        Self::Expire,
        Self::GetMortal,
        Self::SetBriefly,
        Self::CutShort,
        Self::GetBrief,
        Self::Increment,
        Self::GetCounter,
        Self::Append,
        Self::GetAppends,
        Self::Push,
        Self::List,
        Self::Add,
        Self::Remove,
        Self::Members,
        Self::PutField,
        Self::Fields,
        Self::Score,
        Self::Ranking,
        Self::Log,
        Self::Entries,
        Self::SetAll,
        Self::ScriptSetAll,
        Self::GetAll,
        Self::Publish,
    ];

    /// The family of keys that it works on; it stands in their names.
    pub fn family(self) -> &'static str {
        match self {
            Self::Set | Self::Get | Self::Delete => "register",
            Self::SetFor | Self::Expire | Self::GetMortal => "mortal",
            Self::SetBriefly | Self::CutShort | Self::GetBrief => "brief",
            Self::Increment | Self::GetCounter => "counter",
            Self::Append | Self::GetAppends => "appends",
            Self::Push | Self::List => "list",
            Self::Add | Self::Remove | Self::Members => "set",
            Self::PutField | Self::Fields => "hash",
            Self::Score | Self::Ranking => "ranking",
            Self::Log | Self::Entries => "stream",
            Self::SetAll | Self::ScriptSetAll | Self::GetAll => "group",
            Self::Publish => "channel",
        }
    }

    /// The command that a server must have for it.
    pub fn command(self) -> &'static str {
        match self {
            Self::Set | Self::SetFor | Self::SetBriefly => "SET",
            Self::Get | Self::GetMortal | Self::GetBrief | Self::GetCounter | Self::GetAppends => {
                "GET"
            }
            Self::Delete => "DEL",
            Self::Expire | Self::CutShort => "PEXPIRE",
            Self::Increment => "INCRBY",
            Self::Append => "APPEND",
            Self::Push => "RPUSH",
            Self::List => "LRANGE",
            Self::Add => "SADD",
            Self::Remove => "SREM",
            Self::Members => "SMEMBERS",
            Self::PutField => "HSET",
            Self::Fields => "HGETALL",
            Self::Score => "ZADD",
            Self::Ranking => "ZRANGE",
            Self::Log => "XADD",
            Self::Entries => "XRANGE",
            Self::SetAll => "MULTI",
            Self::ScriptSetAll => "EVAL",
            Self::GetAll => "MGET",
            Self::Publish => "PUBLISH",
        }
    }

    /// Whether it changes data.
    pub fn writes(self) -> bool {
        !matches!(
            self,
            Self::Get
                | Self::GetMortal
                | Self::GetBrief
                | Self::GetCounter
                | Self::GetAppends
                | Self::List
                | Self::Members
                | Self::Fields
                | Self::Ranking
                | Self::Entries
                | Self::GetAll
                | Self::Publish
        )
    }

    /// The kind of an action on a key of this name; none if no traffic does such a thing.
    pub fn of(action: &Action, key: &str) -> Option<Self> {
        let family = key.split(':').nth(1)?;
        Some(match action {
            Action::Get => match family {
                "register" => Self::Get,
                "mortal" => Self::GetMortal,
                "brief" => Self::GetBrief,
                "counter" => Self::GetCounter,
                "appends" => Self::GetAppends,
                _ => return None,
            },
            Action::Set(_) => Self::Set,
            Action::SetFor(..) if family == "brief" => Self::SetBriefly,
            Action::SetFor(..) => Self::SetFor,
            Action::Delete => Self::Delete,
            Action::Expire(_) if family == "brief" => Self::CutShort,
            Action::Expire(_) => Self::Expire,
            Action::Increment(_) => Self::Increment,
            Action::Append(_) => Self::Append,
            Action::Push(_) => Self::Push,
            Action::List => Self::List,
            Action::Add(_) => Self::Add,
            Action::Remove(_) => Self::Remove,
            Action::Members => Self::Members,
            Action::PutField(..) => Self::PutField,
            Action::Fields => Self::Fields,
            Action::Score(..) => Self::Score,
            Action::Ranking => Self::Ranking,
            Action::Log(_) => Self::Log,
            Action::Entries => Self::Entries,
            Action::SetAll(..) => Self::SetAll,
            Action::ScriptSetAll(..) => Self::ScriptSetAll,
            Action::GetAll(_) => Self::GetAll,
            Action::Publish(_) => Self::Publish,
            Action::Subscribe | Action::Hear => return None,
        })
    }
}

/// Kinds of operations, each with how often it comes up relative to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    weights: Vec<(Kind, u32)>,
}

impl Mix {
    /// These kinds with these weights. A weight of nothing leaves a kind out.
    pub fn new(weights: impl IntoIterator<Item = (Kind, u32)>) -> Self {
        let weights = weights.into_iter().filter(|(_, weight)| *weight > 0);
        Self {
            weights: weights.collect(),
        }
    }

    /// Every kind alike.
    pub fn everything() -> Self {
        Self::new(Kind::ALL.map(|kind| (kind, 1)))
    }

    /// Registers, written and read alike often.
    pub fn registers() -> Self {
        Self::new([(Kind::Set, 1), (Kind::Get, 1)])
    }

    /// The same without the kinds whose command a server lacks, such as
    /// [`Lab::lacks`](crate::lab::Lab::lacks) says. A scenario names them among its needs.
    #[must_use]
    pub fn without(mut self, lacks: &BTreeSet<String>) -> Self {
        self.weights
            .retain(|(kind, _)| !lacks.contains(kind.command()));
        self
    }

    /// The kinds in it.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.weights.iter().map(|(kind, _)| *kind)
    }

    /// One of them by chance; none if there are none.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Option<Kind> {
        let total: u32 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut left = if total > 0 {
            rng.random_range(0..total)
        } else {
            return None;
        };
        for (kind, weight) in &self.weights {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return Some(*kind),
            }
        }
        None
    }
}

/// Who shares keys with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contention {
    /// Every client has this many keys of its own in each family.
    Own(u32),
    /// All clients share this many keys of each family.
    Shared(u32),
    /// All clients share one key of each family.
    One,
    /// Every operation has a key that no other ever has.
    Fresh,
}

impl Contention {
    /// How many keys of a family a client chooses from; nothing where each is new.
    pub(super) fn choices(self) -> u32 {
        match self {
            Self::Own(keys) | Self::Shared(keys) => keys.max(1),
            Self::One => 1,
            Self::Fresh => 0,
        }
    }

    /// Whether clients have keys of their own.
    pub(super) fn apart(self) -> bool {
        matches!(self, Self::Own(_) | Self::Fresh)
    }
}
