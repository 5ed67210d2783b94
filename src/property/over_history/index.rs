//! A history by key and by value, made in one pass over operations and finals each.

use crate::history::{Action, Content, Fate, Held, History, Name, Operation, Token};

use super::effect::{brings, touched};
use super::exposure::followers;
use super::input::Input;
use super::lookup::{ByName, NONE, Writers};

/// What is known of an operation's effect, the loss table considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Surely not done.
    Failed,
    /// Maybe done.
    Maybe,
    /// Acknowledged, but its node ended so soon after that it may be lost.
    Excused,
    /// Acknowledged, and there for ever.
    Sure,
}

/// What kind of value a key's writers make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody wrote it.
    Unwritten,
    /// Set to values.
    Register,
    /// Incremented.
    Counter,
    /// Appended to.
    Text,
    /// A list.
    List,
    /// A set.
    Set,
    /// A hash.
    Hash,
    /// A sorted set.
    Ranking,
    /// A stream.
    Stream,
    /// Written in more than one way: no property of one kind judges it.
    Mixed,
}

fn kind(action: &Action) -> Kind {
    match action {
        Action::Set(_) | Action::SetFor(..) | Action::SetAll(..) | Action::ScriptSetAll(..) => {
            Kind::Register
        }
        Action::Increment(_) => Kind::Counter,
        Action::Append(_) => Kind::Text,
        Action::Push(_) => Kind::List,
        Action::Add(_) | Action::Remove(_) => Kind::Set,
        Action::PutField(..) => Kind::Hash,
        Action::Score(..) => Kind::Ranking,
        Action::Log(_) => Kind::Stream,
        Action::Delete
        | Action::Expire(_)
        | Action::Get
        | Action::List
        | Action::Members
        | Action::Fields
        | Action::Ranking
        | Action::Entries
        | Action::GetAll(_)
        | Action::Publish(_)
        | Action::Subscribe
        | Action::Hear => Kind::Unwritten,
    }
}

/// A key of one database.
#[derive(Debug, Clone, Copy)]
pub struct Slot<'a> {
    /// The database.
    pub database: u8,
    /// The key.
    pub key: &'a str,
    /// Its number; none if no operation names it.
    pub name: Option<Name>,
    /// What its writers make of it.
    pub kind: Kind,
    start: u32,
    end: u32,
}

/// A history by key and by value.
#[derive(Debug)]
pub struct Index<'a> {
    /// Every key that an operation names or a node holds.
    pub slots: Vec<Slot<'a>>,
    /// The nodes whose data is known.
    pub nodes: Vec<&'a str>,
    /// First invocation, last completion.
    pub window: (crate::history::Moment, crate::history::Moment),
    history: &'a History,
    /// Operations by slot, each slot's in the order of their completion.
    order: Vec<u32>,
    standing: Vec<Standing>,
    /// By slot and node.
    held: Vec<Option<&'a Held>>,
    by_name: ByName,
    writers: Writers,
    older_by: u64,
}

impl<'a> Index<'a> {
    /// Reads operations and finals once each.
    pub fn new(input: &Input<'a>) -> Self {
        let history = input.history;
        let operations = &history.operations;
        let mut by_name = ByName::default();
        let mut slots: Vec<Slot<'a>> = Vec::new();
        let mut writers = Writers::default();
        let mut window = (u64::MAX, 0);
        for (number, operation) in (0u32..).zip(operations) {
            window.0 = window.0.min(operation.invoked.0);
            window.1 = window.1.max(operation.completed.0);
            let fails = operation.outcome.fate() == Fate::Fail;
            let kind = kind(&operation.action);
            for name in touched(operation) {
                let place = by_name.place(operation.database, name);
                if *place == NONE {
                    *place = u32::try_from(slots.len()).unwrap_or(NONE);
                    slots.push(Slot {
                        database: operation.database,
                        key: history.names.text(name),
                        name: Some(name),
                        kind: Kind::Unwritten,
                        start: 0,
                        end: 0,
                    });
                }
                let slot = &mut slots[*place as usize];
                slot.end += 1;
                if !fails && kind != Kind::Unwritten && kind != slot.kind {
                    slot.kind = match slot.kind {
                        Kind::Unwritten => kind,
                        _ => Kind::Mixed,
                    };
                }
            }
            if let Some(token) = brings(&operation.action) {
                writers.put(token, number);
            }
        }
        writers.sort();
        let mut sum = 0;
        for slot in &mut slots {
            let count = slot.end;
            (slot.start, slot.end) = (sum, sum);
            sum += count;
        }
        let mut order = vec![0; sum as usize];
        for (number, operation) in (0u32..).zip(operations) {
            for name in touched(operation) {
                let place = *by_name.place(operation.database, name);
                let slot = &mut slots[place as usize];
                order[slot.end as usize] = number;
                slot.end += 1;
            }
        }
        let nodes: Vec<&str> = input.finals.nodes.keys().map(|node| &**node).collect();
        let held = Self::held_by_all(input, &mut slots, &mut by_name, nodes.len());
        Self {
            slots,
            nodes,
            window: if operations.is_empty() {
                Default::default()
            } else {
                (
                    crate::history::Moment(window.0),
                    crate::history::Moment(window.1),
                )
            },
            history,
            order,
            standing: standing(input),
            held,
            by_name,
            writers,
            older_by: u64::try_from(input.older_by.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Goes through the nodes' sorted keys side by side, so that each key is looked up once.
    fn held_by_all(
        input: &Input<'a>,
        slots: &mut Vec<Slot<'a>>,
        by_name: &mut ByName,
        nodes: usize,
    ) -> Vec<Option<&'a Held>> {
        let mut held: Vec<Option<&'a Held>> = vec![None; slots.len() * nodes];
        let databases: std::collections::BTreeSet<u8> = input
            .finals
            .nodes
            .values()
            .flat_map(|data| data.keys.keys().copied())
            .collect();
        for database in databases {
            let mut readers: Vec<_> = input
                .finals
                .nodes
                .values()
                .map(|data| data.keys.get(&database).into_iter().flatten().peekable())
                .collect();
            while let Some(key) = readers
                .iter_mut()
                .filter_map(|reader| reader.peek().map(|(key, _)| key.as_str()))
                .min()
            {
                // A text may have a number for other reasons: a relay saw it, say.
                let name = input.history.names.find(key);
                let name = name.filter(|name| by_name.knows(*name));
                let known = name.map(|name| *by_name.place(database, name));
                let slot = match known {
                    Some(slot) if slot != NONE => slot as usize,
                    _ => {
                        let number = slots.len();
                        if let Some(name) = name {
                            *by_name.place(database, name) = u32::try_from(number).unwrap_or(NONE);
                        }
                        slots.push(Slot {
                            database,
                            key,
                            name,
                            kind: Kind::Unwritten,
                            start: 0,
                            end: 0,
                        });
                        held.resize(slots.len() * nodes, None);
                        number
                    }
                };
                for (node, reader) in readers.iter_mut().enumerate() {
                    if let Some((_, value)) = reader.next_if(|(other, _)| *other == key) {
                        held[slot * nodes + node] = Some(value);
                    }
                }
            }
        }
        held
    }

    /// The numbers of the operations that touch a key, in the order of their completion.
    pub fn operations(&self, slot: usize) -> &[u32] {
        let Slot { start, end, .. } = self.slots[slot];
        &self.order[start as usize..end as usize]
    }

    /// An operation by its number.
    pub fn operation(&self, number: u32) -> &'a Operation {
        &self.history.operations[number as usize]
    }

    /// What is known of an operation's effect.
    pub fn standing(&self, number: u32) -> Standing {
        self.standing[number as usize]
    }

    /// What each node holds of a key, in the order of [`Self::nodes`].
    pub fn held(&self, slot: usize) -> &[Option<&'a Held>] {
        &self.held[slot * self.nodes.len()..(slot + 1) * self.nodes.len()]
    }

    /// The different values that nodes hold of a key, each with the first node that holds it.
    pub fn contents(&self, slot: usize) -> impl Iterator<Item = (usize, Option<&'a Content>)> {
        let held = self.held(slot);
        let content = |held: Option<&'a Held>| held.map(|held| &held.content);
        held.iter().enumerate().filter_map(move |(node, value)| {
            let value = content(*value);
            let seen = held[..node].iter().any(|other| content(*other) == value);
            (!seen).then_some((node, value))
        })
    }

    /// The names of the nodes that hold the same as `node`.
    pub(super) fn nodes_like(&self, slot: usize, node: usize) -> String {
        let held = self.held(slot);
        let content = |held: Option<&'a Held>| held.map(|held| &held.content);
        let alike = self.nodes.iter().zip(held);
        let alike = alike.filter(|(_, other)| content(**other) == content(held[node]));
        alike.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }

    /// The slot of a key.
    pub fn slot(&self, database: u8, name: Name) -> Option<usize> {
        self.by_name.slot(database, name)
    }

    /// The slot of a key by its text, if an operation names the key.
    pub(super) fn slots_of(&self, database: u8, key: &str) -> Option<usize> {
        self.slot(database, self.history.names.find(key)?)
    }

    /// The operation that brought a value into the world, if it wrote this key.
    pub fn writer(&self, slot: usize, token: Token) -> Option<u32> {
        let number = self.writers.find(token)?;
        let operation = self.operation(number);
        let Slot { database, name, .. } = self.slots[slot];
        let name = name?;
        (operation.database == database && touched(operation).any(|key| key == name))
            .then_some(number)
    }

    /// When an operation had surely ended, in nanoseconds; never, if it was not answered.
    pub(super) fn ended(&self, number: u32) -> u64 {
        match self.standing(number) {
            Standing::Maybe => u64::MAX,
            _ => self.operation(number).completed.0,
        }
    }

    /// Whether something that ended at `ended` is surely before what was invoked at `invoked`.
    pub(super) fn before(&self, ended: u64, invoked: u64) -> bool {
        ended.saturating_add(self.older_by) <= invoked
    }

    /// Whether one operation is surely before another.
    pub fn surely_before(&self, one: u32, other: u32) -> bool {
        self.before(self.ended(one), self.operation(other).invoked.0)
    }

    /// `SET v1.2 by client 1 on primary1, 0.100 s to 0.101 s`.
    pub(super) fn told(&self, number: u32) -> String {
        let operation = self.operation(number);
        let node = self.history.names.text(operation.node);
        let fate = match self.standing(number) {
            Standing::Sure => "acknowledged",
            Standing::Excused => "acknowledged, may be lost with its node",
            Standing::Maybe => "unanswered",
            Standing::Failed => "refused",
        };
        let (client, from, to) = (operation.client, operation.invoked, operation.completed);
        let what = operation.action.told();
        let via = match operation.proxied && node != "proxy" {
            true => " through the proxy",
            false => "",
        };
        format!("{what} ({fate}; client {client} on {node}{via}, {from} to {to})")
    }

    /// `key` or `key (database 3)`.
    pub(super) fn key(&self, slot: usize) -> String {
        let Slot { database, key, .. } = self.slots[slot];
        match database {
            0 => key.to_owned(),
            _ => format!("{key} (database {database})"),
        }
    }
}

/// Each operation's standing: acknowledged ones are looked up in the windows of the loss table.
fn standing(input: &Input<'_>) -> Vec<Standing> {
    let names = &input.history.names;
    let proxy = names.find(crate::topology::PROXY);
    let windows: Vec<(Option<Name>, u64, u64)> = input
        .exposures
        .iter()
        .filter_map(|exposure| {
            let (from, to) = exposure.window(input.lag_window)?;
            Some((names.find(&exposure.node), from.0, to.0))
        })
        .collect();
    // `WAIT` counts replicas as well, which take over what another primary has once theirs is gone.
    let replicas = followers(input.history).len();
    let may_be_lost = |operation: &Operation| {
        usize::from(operation.confirmed) <= replicas
            && windows.iter().any(|(node, from, to)| {
                (*from..=*to).contains(&operation.completed.0)
                    && (*node == Some(operation.node) || Some(operation.node) == proxy)
            })
    };
    let of = |operation: &Operation| match operation.outcome.fate() {
        Fate::Fail => Standing::Failed,
        Fate::Unknown => Standing::Maybe,
        Fate::Ok if may_be_lost(operation) => Standing::Excused,
        Fate::Ok => Standing::Sure,
    };
    input.history.operations.iter().map(of).collect()
}
