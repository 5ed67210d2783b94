//! A node: what it knows. Its [`life`], its [`files`] and what is [`passing`] through it have rooms of
//! their own.

mod files;
mod life;
mod passing;

pub(super) use life::run;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;

use super::channels::Channels;
use super::config::Config;
use super::keyspace::Keyspace;
use super::log::Log;
use super::object::Object;
use super::persistence::Aof;
use super::quirk::Quirks;
use super::replication::{Master, Stream};
use super::stamp::{Clock, Origin, Stamp, now_millis};
use super::stats::Stats;

/// All that a node knows. It lives on one thread; no borrow is held while it waits for something.
pub(super) struct Node {
    pub(super) config: RefCell<Config>,
    pub(super) quirks: Quirks,
    pub(super) log: Log,
    /// This life of the process.
    pub(super) origin: Origin,
    pub(super) run_id: String,
    pub(super) started: Instant,
    /// The same in Unix milliseconds.
    pub(super) born: u64,
    pub(super) keyspace: RefCell<Keyspace>,
    pub(super) channels: RefCell<Channels>,
    pub(super) clock: RefCell<Clock>,
    pub(super) stream: RefCell<Stream>,
    pub(super) masters: RefCell<Vec<Rc<Master>>>,
    /// Whether it is taking in a file or a peer's data.
    pub(super) loading: Cell<bool>,
    /// Whether its own files have been read.
    pub(super) booted: Cell<bool>,
    /// A quirk: nothing but errors until then.
    pub(super) refuses_until: Cell<Option<Instant>>,
    pub(super) aof: RefCell<Option<Aof>>,
    pub(super) last_save: Cell<u64>,
    pub(super) stats: Stats,
    /// How many links to followers have ended.
    pub(super) lost_followers: Cell<u64>,
    /// A follower acknowledged something.
    pub(super) acknowledged: Notify,
    /// A quirk's count of what it passed on.
    passed_on: Cell<u64>,
    /// A quirk's count of transactions.
    transactions: Cell<u64>,
    /// A quirk's memory.
    first_replid: RefCell<Option<String>>,
    ids: Cell<u64>,
    ending: Notify,
    code: Cell<Option<i32>>,
}

/// Forty hexadecimal digits, drawn.
pub(super) fn new_replid() -> String {
    let (high, low): (u128, u32) = (rand::random(), rand::random());
    format!("{high:032x}{low:08x}")
}

impl Node {
    pub(super) fn new(config: Config, quirks: Quirks, log: Log) -> Self {
        let stream = Stream::new(new_replid(), 0, config.number("repl-backlog-size"));
        let databases = usize::try_from(config.number("databases")).unwrap_or(1);
        let masters = config.upstreams.iter();
        // Without multi-master a second replicaof replaces the first.
        let multi_master = config.is_set("multi-master");
        let mut masters: Vec<_> = masters
            .map(|(host, port)| Rc::new(Master::new(host, *port, None)))
            .collect();
        if !multi_master && masters.len() > 1 {
            masters.drain(..masters.len() - 1);
        }
        Self {
            quirks,
            log,
            origin: Origin(rand::random()),
            run_id: new_replid(),
            started: Instant::now(),
            born: now_millis(),
            keyspace: RefCell::new(Keyspace::of(databases.max(1))),
            channels: RefCell::default(),
            clock: RefCell::default(),
            stream: RefCell::new(stream),
            masters: RefCell::new(masters),
            loading: Cell::new(true),
            booted: Cell::new(false),
            refuses_until: Cell::new(None),
            aof: RefCell::new(None),
            last_save: Cell::new(now_millis() / 1000),
            stats: Stats::default(),
            lost_followers: Cell::new(0),
            acknowledged: Notify::new(),
            passed_on: Cell::new(0),
            transactions: Cell::new(0),
            first_replid: RefCell::new(None),
            ids: Cell::new(0),
            ending: Notify::new(),
            code: Cell::new(None),
            config: RefCell::new(config),
        }
    }

    /// Whether it is one of several primaries.
    pub(super) fn is_active(&self) -> bool {
        self.config.borrow().is_set("active-replica")
    }

    /// Whether it follows a primary without being one.
    pub(super) fn is_plain_replica(&self) -> bool {
        !self.is_active() && !self.masters.borrow().is_empty()
    }

    /// The quirk: the first replication id that was asked about.
    pub(super) fn first_replid(&self, now: &str) -> Option<String> {
        let mut first = self.first_replid.borrow_mut();
        if first.is_none()
            && self
                .masters
                .borrow()
                .iter()
                .any(|master| master.synced.get())
        {
            *first = Some(now.to_owned());
        }
        first.clone()
    }

    /// The quirks: whether a link to a peer broke since this node's start.
    pub(super) fn lost_a_peer(&self) -> bool {
        self.masters.borrow().iter().any(|master| master.lost.get())
    }

    /// The quirk: what is there stays for ever.
    fn forget_ttls(&self) {
        let now = now_millis();
        for database in &mut self.keyspace.borrow_mut().databases {
            let objects = database.keys.values_mut().filter_map(|e| e.now.as_mut());
            for object in objects.filter(|object| !object.is_expired(now)) {
                object.expires = None;
            }
        }
    }

    /// A number that no other connection of this node has.
    pub(super) fn next_id(&self) -> u64 {
        self.ids.set(self.ids.get() + 1);
        self.ids.get()
    }

    /// One of this node's own stamps.
    pub(super) fn stamp(&self, mvcc: u64) -> Stamp {
        Stamp {
            mvcc,
            origin: self.origin,
        }
    }

    /// Makes the clock go on behind everything that the node holds.
    pub(super) fn saw_everything(&self) {
        let keyspace = self.keyspace.borrow();
        let entries = keyspace
            .databases
            .iter()
            .flat_map(|database| database.keys.values());
        let newest = entries.map(|entry| entry.newest().mvcc).max();
        self.clock.borrow_mut().saw(newest.unwrap_or(0));
    }

    /// The quirk: nothing is left of what was deleted.
    pub(super) fn forget_tombstones(&self) {
        let now = now_millis();
        let alive = |object: &Option<Object>| object.as_ref().is_some_and(|o| !o.is_expired(now));
        for database in &mut self.keyspace.borrow_mut().databases {
            database.keys.retain(|_, entry| alive(&entry.now));
        }
    }

    /// Whether its own files are still being read.
    pub(super) fn is_booting(&self) -> bool {
        !self.booted.get()
    }
}
