//! Tables by number: slots by key, and operations by the value that they bring.

use crate::history::{Name, Token};

/// The number of no slot.
pub(super) const NONE: u32 = u32::MAX;

/// Slots by database and number of the key.
#[derive(Debug, Default)]
pub(super) struct ByName(Vec<Vec<u32>>);

impl ByName {
    /// The slot of a key, if it has one.
    pub(super) fn slot(&self, database: u8, name: Name) -> Option<usize> {
        let slot = self.0.get(usize::from(database))?;
        let slot = *slot.get(name.0 as usize)?;
        (slot != NONE).then_some(slot as usize)
    }

    /// Whether a key has a slot in any database.
    pub(super) fn knows(&self, name: Name) -> bool {
        let of = |names: &Vec<u32>| names.get(name.0 as usize).copied();
        self.0
            .iter()
            .any(|names| of(names).is_some_and(|slot| slot != NONE))
    }

    /// Where the key's slot stands: [`NONE`] until it is put there.
    pub(super) fn place(&mut self, database: u8, name: Name) -> &mut u32 {
        let (database, name) = (usize::from(database), name.0 as usize);
        if self.0.len() <= database {
            self.0.resize_with(database + 1, Vec::new);
        }
        let names = &mut self.0[database];
        if names.len() <= name {
            names.resize((name + 1).max(2 * names.len()), NONE);
        }
        &mut names[name]
    }
}

/// Operations by the value that they bring: by client, sorted by number.
#[derive(Debug, Default)]
pub(super) struct Writers {
    clients: Vec<(u32, Vec<(u32, u32)>)>,
    last: usize,
}

impl Writers {
    /// Notes the operation that brings a value.
    pub(super) fn put(&mut self, token: Token, operation: u32) {
        if self.clients.get(self.last).map(|(client, _)| *client) != Some(token.client) {
            let found = self
                .clients
                .binary_search_by_key(&token.client, |(client, _)| *client);
            self.last = found.unwrap_or_else(|place| {
                self.clients.insert(place, (token.client, Vec::new()));
                place
            });
        }
        self.clients[self.last].1.push((token.number, operation));
    }

    /// A client counts upwards: this is one pass unless somebody does not.
    pub(super) fn sort(&mut self) {
        for (_, values) in &mut self.clients {
            if !values.is_sorted() {
                values.sort_unstable();
            }
        }
    }

    /// The operation that brings a value.
    pub(super) fn find(&self, token: Token) -> Option<u32> {
        let client = self
            .clients
            .binary_search_by_key(&token.client, |(client, _)| *client);
        let values = &self.clients[client.ok()?].1;
        let (first, _) = *values.first()?;
        // Where it stands if no number was left out.
        let guess = token.number.checked_sub(first)? as usize;
        if let Some((number, operation)) = values.get(guess)
            && *number == token.number
        {
            return Some(*operation);
        }
        let found = values.binary_search_by_key(&token.number, |(number, _)| *number);
        Some(values[found.ok()?].1)
    }
}
