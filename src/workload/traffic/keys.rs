//! The keys of one client, with their numbers in the recording's table.

use std::collections::HashMap;
use std::sync::Arc;

use rand::{Rng, RngExt};

use super::mix::{Contention, GROUP, Kind};
use crate::history::{Name, Recording, Token};

/// A key: its number and its text.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: Name,
    pub(super) text: Arc<str>,
}

/// The keys that a client chooses from. Their names: `prefix:family:…`.
#[derive(Debug)]
pub(super) struct Keys {
    recording: Recording,
    contention: Contention,
    /// `prefix`, and what stands after the family.
    prefix: String,
    owner: String,
    /// By family; of a group, its first key.
    made: HashMap<&'static str, Vec<Key>>,
    /// The other keys of a group, by its first.
    groups: HashMap<Name, Vec<Key>>,
    /// How many were made fresh.
    fresh: u32,
    /// What the client added last to a set.
    pub(super) added: HashMap<Name, Token>,
}

impl Keys {
    /// The keys of the client with this number. Numbers of those that it will choose from are given
    /// out now, so that no lock is taken later.
    pub(super) fn new(
        recording: &Recording,
        prefix: &str,
        client: u32,
        contention: Contention,
        kinds: impl Iterator<Item = Kind>,
    ) -> Self {
        let owner = match contention.apart() {
            true => format!("{client}."),
            false => String::new(),
        };
        let mut keys = Self {
            recording: recording.clone(),
            contention,
            prefix: prefix.to_owned(),
            owner,
            made: HashMap::new(),
            groups: HashMap::new(),
            fresh: 0,
            added: HashMap::new(),
        };
        for family in kinds.map(Kind::family) {
            if !keys.made.contains_key(family) {
                let made = (0..contention.choices())
                    .map(|number| keys.make(family, number))
                    .collect();
                keys.made.insert(family, made);
            }
        }
        keys
    }

    fn make(&mut self, family: &str, number: u32) -> Key {
        let text = format!("{}:{family}:{}{number}", self.prefix, self.owner);
        let key = |text: String| Key {
            name: self.recording.name(&text),
            text: text.into(),
        };
        if family == "group" {
            let others: Vec<Key> = (1..GROUP).map(|n| key(format!("{text}:{n}"))).collect();
            let first = key(format!("{text}:0"));
            self.groups.insert(first.name, others);
            return first;
        }
        key(text)
    }

    /// A key for an operation of this kind.
    pub(super) fn draw(&mut self, kind: Kind, rng: &mut impl Rng) -> Key {
        if self.contention == Contention::Fresh {
            self.fresh += 1;
            let number = self.fresh - 1;
            return self.make(kind.family(), number);
        }
        let keys = self.made.get(kind.family()).map_or(&[][..], Vec::as_slice);
        match keys {
            [] => self.make(kind.family(), 0),
            [one] => one.clone(),
            several => several[rng.random_range(0..several.len())].clone(),
        }
    }

    /// The other keys of the group that begins with this one.
    pub(super) fn others(&self, first: Name) -> &[Key] {
        self.groups.get(&first).map_or(&[], Vec::as_slice)
    }
}
