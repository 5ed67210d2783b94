//! The data of a node: databases of keys, each of which remembers its recent writes in the
//! order in which they were made anywhere in the cluster.
//!
//! This is the promise "the newest write will win" (docs active-rep.md, P7, P21) as a rule that
//! also covers commands that change a value in place: what a key holds is what its writes give when
//! they are carried out in the order of their stamps, whatever order they arrived in. Two nodes
//! that know the same writes hold the same data. A delete is a write like any other, so a deleted
//! key stays as a tombstone (P15, P24).

use std::collections::BTreeMap;
use std::collections::btree_map::Range;

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;
use serde::{Deserialize, Serialize};

use super::command::{self, Effect, Refusal};
use super::object::{Object, Slot};
use super::stamp::Stamp;

/// How many writes a key remembers before the older half is folded into its base.
const REMEMBERED: usize = 65536;

/// A write to one key: a command that gives the same result wherever it is carried out on the same
/// value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Write {
    pub(super) stamp: Stamp,
    pub(super) argv: Vec<Bytes>,
}

/// A key: what it held at some time, and the writes since.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) base: Slot,
    /// The newest write that `base` contains.
    pub(super) base_stamp: Stamp,
    /// Newer than `base_stamp`, oldest first.
    pub(super) writes: Vec<Write>,
    /// What the writes make of the base; whoever reads an entry has it settled.
    #[serde(skip)]
    pub(super) now: Slot,
}

impl Entry {
    /// The newest write it knows of.
    pub(super) fn newest(&self) -> Stamp {
        self.writes
            .last()
            .map_or(self.base_stamp, |write| write.stamp)
    }

    /// Takes in a write, however late it comes. Gives back whether it was new.
    pub(super) fn insert(&mut self, write: Write) -> bool {
        if write.stamp <= self.base_stamp {
            return false;
        }
        if write.stamp > self.newest() {
            carry_out(&mut self.now, &write);
            self.remember(write);
            return true;
        }
        let position = match self
            .writes
            .binary_search_by(|known| known.stamp.cmp(&write.stamp))
        {
            Ok(_) => return false,
            Err(position) => position,
        };
        // A value that may expire in between is worked out anew.
        let expires = |slot: &Slot| slot.as_ref().is_some_and(|object| object.expires.is_some());
        let mut known = self.writes.iter();
        let commutes =
            !expires(&self.base) && known.all(|known| command::commute(&known.argv, &write.argv));
        if commutes {
            carry_out(&mut self.now, &write);
        }
        self.writes.insert(position, write);
        if !commutes {
            self.settle();
        }
        true
    }

    /// Takes in a write that has just been carried out on `now`.
    pub(super) fn remember(&mut self, write: Write) {
        if command::overwrites(&write.argv) {
            self.writes.clear();
            self.base = self.now.clone();
            self.base_stamp = write.stamp;
            return;
        }
        self.writes.push(write);
        if self.writes.len() > REMEMBERED {
            for write in self.writes.drain(..REMEMBERED / 2) {
                carry_out(&mut self.base, &write);
                self.base_stamp = write.stamp;
            }
        }
    }

    /// Works out `now` of an entry that was read.
    pub(super) fn settled(mut self) -> Self {
        self.settle();
        self
    }

    /// Carries out all writes anew, and forgets those that a later one overwrote.
    fn settle(&mut self) {
        let overwritten = self
            .writes
            .iter()
            .rposition(|write| command::overwrites(&write.argv));
        if let Some(position) = overwritten {
            for write in self.writes.drain(..=position) {
                carry_out(&mut self.base, &write);
                self.base_stamp = write.stamp;
            }
        }
        self.now = self.base.clone();
        for write in &self.writes {
            carry_out(&mut self.now, write);
        }
    }

    /// Takes in everything another node knows of this key. Gives back whether anything was new.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        if other.base_stamp > self.base_stamp {
            // Our older writes are in the other's base: it had seen them, or they were overwritten.
            self.writes.retain(|write| write.stamp > other.base_stamp);
            self.base = other.base.clone();
            self.base_stamp = other.base_stamp;
            self.settle();
            changed = true;
        }
        for write in &other.writes {
            changed |= self.insert(write.clone());
        }
        changed
    }
}

/// What the other nodes also do: an error leaves the value as it is.
fn carry_out(slot: &mut Slot, write: &Write) {
    let _ = command::on_slot(slot, &write.argv, write.stamp.millis());
}

/// One database.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Database {
    pub(super) keys: BTreeMap<Bytes, Entry>,
}

impl Database {
    /// What a key holds at `now` (Unix milliseconds).
    pub(super) fn get(&self, key: &[u8], now: u64) -> Option<&Object> {
        let object = self.keys.get(key)?.now.as_ref()?;
        (!object.is_expired(now)).then_some(object)
    }

    /// The keys that hold something at `now`, in order.
    pub(super) fn alive(&self, now: u64) -> impl Iterator<Item = (&Bytes, &Object)> {
        self.keys.iter().filter_map(move |(key, entry)| {
            let object = entry.now.as_ref()?;
            (!object.is_expired(now)).then_some((key, object))
        })
    }

    /// The entries after `key`, in order.
    pub(super) fn after(&self, key: &[u8]) -> Range<'_, Bytes, Entry> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.keys.range::<[u8], _>((Excluded(key), Unbounded))
    }
}

impl From<BTreeMap<Bytes, Entry>> for Database {
    /// Keys that were read from a link or a file.
    fn from(keys: BTreeMap<Bytes, Entry>) -> Self {
        let settled = |(key, entry): (Bytes, Entry)| (key, entry.settled());
        Self {
            keys: keys.into_iter().map(settled).collect(),
        }
    }
}

/// The data of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Keyspace {
    pub(super) databases: Vec<Database>,
}

impl Default for Keyspace {
    /// As many databases as KeyDB has by default.
    fn default() -> Self {
        Self::of(16)
    }
}

impl Keyspace {
    /// So many empty databases.
    pub(super) fn of(databases: usize) -> Self {
        Self {
            databases: vec![Database::default(); databases],
        }
    }

    /// Puts what was read from a link or a file in the place of everything. Databases that it lacks are
    /// empty: whoever has selected one goes on.
    pub(super) fn replace(&mut self, databases: Vec<BTreeMap<Bytes, Entry>>) {
        let count = self.databases.len().max(databases.len());
        self.databases = databases.into_iter().map(Database::from).collect();
        self.databases.resize_with(count, Database::default);
    }

    /// Carries out a client's command on one key. Gives back its reply and, if it wrote, the write
    /// as it is to be passed on: `stamp` is asked for only then.
    ///
    /// # Errors
    /// The reply of a refused command.
    pub(super) fn run(
        &mut self,
        database: usize,
        key: &Bytes,
        argv: &[Bytes],
        now: u64,
        stamp: impl FnOnce() -> Stamp,
    ) -> Result<(BytesFrame, Option<Write>), Refusal> {
        let keys = &mut self.databases[database].keys;
        let Some(entry) = keys.get_mut(key) else {
            let mut entry = Entry::default();
            let Effect { reply, write } = command::on_slot(&mut entry.now, argv, now)?;
            let write = write.map(|argv| Write {
                stamp: stamp(),
                argv,
            });
            if let Some(write) = &write {
                entry.remember(write.clone());
                keys.insert(key.clone(), entry);
            }
            return Ok((reply, write));
        };
        let Effect { reply, write } = command::on_slot(&mut entry.now, argv, now)?;
        let write = write.map(|argv| Write {
            stamp: stamp(),
            argv,
        });
        if let Some(write) = &write {
            entry.remember(write.clone());
        }
        Ok((reply, write))
    }

    /// Takes in a write that was made elsewhere, unless there is no such database here. Gives back
    /// whether it was new.
    pub(super) fn insert(&mut self, database: usize, key: &Bytes, write: Write) -> bool {
        let Some(database) = self.databases.get_mut(database) else {
            return false;
        };
        let entry = database.keys.entry(key.clone()).or_default();
        entry.insert(write)
    }
}
