//! A node: what it knows, and its life from start to end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::channels::{self, Channels};
use super::config::Config;
use super::connection;
use super::keyspace::{Keyspace, Write};
use super::log::Log;
use super::object::Object;
use super::persistence::{self, Aof, MasterMemory, Snapshot};
use super::quirk::{Quirk, Quirks};
use super::replication::{
    Envelope, Master, Position, Stream, altered, appends, carry_out, deletes, follow,
};
use super::stamp::{Clock, Origin, Stamp, now_millis};
use super::stats::Stats;

/// The command that a stream carries when nothing else is to be said.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

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

/// Runs a node until it is told to end, or ends by itself; gives back its exit code.
pub(super) async fn run(
    config: Config,
    quirks: Quirks,
    terminated: impl Future<Output = ()>,
    log: Log,
) -> i32 {
    log.warning("oO0OoO0OoO0Oo KeyDB model is starting oO0OoO0OoO0Oo");
    log.warning(format_args!(
        "KeyDB model version={} of KeyDB version={}, pid={}, just started",
        env!("CARGO_PKG_VERSION"),
        super::KEYDB,
        std::process::id()
    ));
    if !quirks.is_empty() {
        log.warning(format_args!("with the quirks {quirks}"));
    }
    let dir = config.dir();
    if !dir.is_dir() {
        log.warning(format_args!(
            "Can't chdir to '{}': it is no directory",
            dir.display()
        ));
        return 1;
    }
    let bound = config.address().and_then(Bound::to);
    let mut bound = match bound {
        Ok(bound) => Some(bound),
        Err(reason) => {
            log.warning(reason);
            return 1;
        }
    };
    log.notice(format_args!(
        "Running mode=standalone, port={}.",
        config.get("port")
    ));
    log.warning("Server initialized");
    let node = Rc::new(Node::new(config, quirks, log));
    let life = async {
        if node.quirks.has(Quirk::PongWhileLoading)
            && let Some(bound) = bound.take()
            && let Err(code) = node.take_connections(bound)
        {
            return code;
        }
        if let Err(reason) = node.boot().await {
            node.log.warning(format_args!(
                "Fatal error loading the DB: {reason}. Exiting."
            ));
            return 1;
        }
        // Not before: whoever can connect is served, so that no check of a proxy is mistaken.
        if let Some(bound) = bound.take()
            && let Err(code) = node.take_connections(bound)
        {
            return code;
        }
        for master in node.masters.borrow().iter() {
            spawn_local(follow(Rc::clone(&node), Rc::clone(master)));
        }
        spawn_local(Rc::clone(&node).keep_talking());
        tokio::select! {
            () = terminated => node.shut_down(true),
            () = node.ending.notified() => node.code.get().unwrap_or(0),
        }
    };
    life.await
}

/// An address that is taken and refuses connections.
struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Bound {
    fn to(address: SocketAddr) -> Result<Self, String> {
        let bound = || {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            // A restart takes the address of the life before.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        };
        match bound() {
            Ok(socket) => Ok(Self { socket, address }),
            Err(error) => Err(not_created(address, "bind", &error)),
        }
    }

    fn listen(self) -> Result<TcpListener, String> {
        let listening = self.socket.listen(511);
        listening.map_err(|error| not_created(self.address, "listen", &error))
    }
}

fn not_created(address: SocketAddr, step: &str, error: &std::io::Error) -> String {
    format!("Could not create server TCP listening socket {address}: {step}: {error}")
}

impl Node {
    fn new(config: Config, quirks: Quirks, log: Log) -> Self {
        let stream = Stream::new(new_replid(), 0, config.number("repl-backlog-size"));
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
            keyspace: RefCell::default(),
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

    /// Takes connections from now on; the exit code where it cannot.
    fn take_connections(self: &Rc<Self>, bound: Bound) -> Result<(), i32> {
        let listener = bound.listen().map_err(|reason| {
            self.log.warning(reason);
            1
        })?;
        spawn_local(connection::accept(Rc::clone(self), listener));
        Ok(())
    }

    /// Reads what an earlier life left, as slowly as `key-load-delay` (microseconds a key) says.
    async fn boot(self: &Rc<Self>) -> Result<(), String> {
        let (dir, aof) = {
            let config = self.config.borrow();
            (config.dir(), config.is_set("appendonly"))
        };
        if let Some(found) = persistence::read(&dir, aof)? {
            let began = Instant::now();
            let keys: usize = found.snapshot.databases.iter().map(BTreeMap::len).sum();
            let delay = self.config.borrow().number("key-load-delay");
            let delay = delay.saturating_mul(u64::try_from(keys).unwrap_or(u64::MAX));
            if delay > 0 {
                tokio::time::sleep(Duration::from_micros(delay)).await;
            }
            self.keyspace.borrow_mut().databases = found
                .snapshot
                .databases
                .into_iter()
                .map(super::keyspace::Database::from)
                .collect();
            self.saw_everything();
            for (argv, raw) in &found.commands {
                carry_out(self, argv, raw);
            }
            if self.quirks.has(Quirk::RestartForgetsTtls) {
                self.forget_ttls();
            }
            self.log.notice(format_args!(
                "DB loaded from {}: {:.3} seconds",
                found.source,
                began.elapsed().as_secs_f64()
            ));
            if found.complete || self.quirks.has(Quirk::RewindsOffset) && !aof {
                let size = self.config.borrow().number("repl-backlog-size");
                let (replid, offset) = (found.snapshot.replid, found.snapshot.offset);
                *self.stream.borrow_mut() = Stream::new(replid, offset, size);
                self.recall(&found.snapshot.masters);
            }
        }
        self.rewrite_aof();
        self.booted.set(true);
        self.loading.set(false);
        Ok(())
    }

    /// Goes on in the masters' streams where an earlier life stopped.
    fn recall(&self, memories: &[MasterMemory]) {
        for master in self.masters.borrow().iter() {
            let memory = memories
                .iter()
                .find(|memory| memory.host == master.host && memory.port == master.port);
            *master.position.borrow_mut() = memory.map(|memory| Position {
                replid: memory.replid.clone(),
                offset: memory.offset,
            });
            master.synced.set(memory.is_some());
        }
    }

    /// Says something now and then, so that followers can tell silence from death (P63).
    async fn keep_talking(self: Rc<Self>) {
        loop {
            let period = self
                .config
                .borrow()
                .number("repl-ping-replica-period")
                .max(1);
            tokio::time::sleep(Duration::from_secs(period)).await;
            // A plain replica's stream is its primary's, byte for byte (P47).
            if self.is_active() || self.masters.borrow().is_empty() {
                self.feed(Bytes::from_static(PING));
            }
        }
    }

    /// Ends the node with this code.
    pub(super) fn end(&self, code: i32) {
        self.code.set(Some(code));
        self.ending.notify_one();
    }

    /// Ends the node as SIGTERM and `SHUTDOWN` do; `save` as `SHUTDOWN NOSAVE` does not.
    pub(super) fn shut_down(&self, save: bool) -> i32 {
        self.log.warning("User requested shutdown...");
        if self.quirks.has(Quirk::DiesAtShutdown) {
            return 134;
        }
        if save && self.config.borrow().saves() {
            self.log
                .notice("Saving the final RDB snapshot before exiting.");
            if let Err(reason) = self.save(true) {
                self.log.warning(reason);
                return 1;
            }
            self.log.notice("DB saved on disk");
        }
        self.log.warning("KeyDB is now ready to exit, bye bye...");
        0
    }

    /// Writes a dump; `complete` says that nothing will follow it.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub(super) fn save(&self, complete: bool) -> Result<(), String> {
        let mut snapshot = self.snapshot();
        if self.quirks.has(Quirk::StaleRdb) {
            let horizon = now_millis().saturating_sub(1000);
            for keys in &mut snapshot.databases {
                keys.retain(|_, entry| entry.newest().millis() < horizon);
            }
        }
        if self.quirks.has(Quirk::DumpOfDatabase0) {
            snapshot
                .databases
                .iter_mut()
                .skip(1)
                .for_each(BTreeMap::clear);
        }
        persistence::write_dump(&self.config.borrow().dir(), &snapshot, complete)?;
        self.last_save.set(now_millis() / 1000);
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        let stream = self.stream.borrow();
        let masters = self.masters.borrow();
        let memories = masters.iter().filter_map(|master| {
            let position = master.position.borrow();
            position.as_ref().map(|position| MasterMemory {
                host: master.host.clone(),
                port: master.port,
                replid: position.replid.clone(),
                offset: position.offset,
            })
        });
        Snapshot {
            replid: stream.replid.clone(),
            offset: stream.offset,
            masters: memories.collect(),
            ..Snapshot::of(&self.keyspace.borrow())
        }
    }

    /// Begins the append-only file anew with all that is known, if there is to be one.
    pub(super) fn rewrite_aof(&self) {
        let config = self.config.borrow();
        if !config.is_set("appendonly") {
            return;
        }
        match Aof::rewrite(&config.dir(), &self.snapshot()) {
            Ok(aof) => *self.aof.borrow_mut() = Some(aof),
            Err(reason) => {
                self.log.warning(reason);
                self.end(1);
            }
        }
    }

    fn append_to_aof(&self, bytes: &[u8]) {
        if let Some(aof) = self.aof.borrow_mut().as_mut()
            && let Err(reason) = aof.append(bytes)
        {
            self.log.warning(reason);
            self.end(1);
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

    /// Adds to the node's own stream.
    pub(super) fn feed(&self, bytes: Bytes) {
        self.stream.borrow_mut().feed(bytes);
    }

    /// Passes on what a client wrote.
    pub(super) fn publish(&self, writes: Vec<(usize, Bytes, Write)>) {
        if writes.is_empty() {
            return;
        }
        self.clock
            .borrow_mut()
            .saw(writes[writes.len() - 1].2.stamp.mvcc);
        let envelope = Envelope {
            origin: self.origin,
            writes,
        };
        self.append_to_aof(&envelope.to_bytes());
        if self.quirks.has(Quirk::DiesOfTransactions) && envelope.writes.len() > 1 {
            self.transactions.set(self.transactions.get() + 1);
            if self.transactions.get() >= 20 {
                self.log.warning(
                    "=== ASSERTION FAILED === (model quirk) !g_pserver->propagate_in_transaction",
                );
                self.end(134);
            }
        }
        let early = self.started.elapsed() < Duration::from_millis(500);
        if early && self.quirks.has(Quirk::EarlyWritesLost) && self.is_active() {
            return;
        }
        self.passed_on.set(self.passed_on.get() + 1);
        if self.quirks.has(Quirk::OneInAThousand) && self.passed_on.get().is_multiple_of(1000) {
            return;
        }
        let bytes = match altered(self, &envelope) {
            Some(altered) => altered.to_bytes(),
            None => envelope.to_bytes(),
        };
        self.feed(bytes);
    }

    /// Takes in what another node wrote, once: what is known already, or was written here, changes
    /// nothing and goes no further, so nothing runs in circles (P11, P12, P25).
    pub(super) fn replay(&self, envelope: Envelope, raw: &Bytes) {
        let echo = envelope.origin == self.origin;
        if echo && !self.quirks.has(Quirk::EchoesCount) {
            return;
        }
        let (mut new, mut written) = (false, false);
        let mut keyspace = self.keyspace.borrow_mut();
        for (mut database, key, mut write) in envelope.writes {
            self.clock.borrow_mut().saw(write.stamp.mvcc);
            if echo {
                // Only with the quirk: no longer known as its own.
                write.stamp.origin.0 ^= 1;
            }
            if channels::is_message(&write) {
                new |= channels::hear(self, &write);
                continue;
            }
            if self.quirks.has(Quirk::WrongDatabase) {
                database = 0;
            }
            if self.quirks.has(Quirk::CrossingWritesSwap) && self.is_active() {
                let mvcc = self.clock.borrow_mut().tick(now_millis());
                write.stamp = self.stamp(mvcc);
            }
            if deletes(&write) {
                if self.quirks.has(Quirk::DeletesInDatabase0) {
                    database = 0;
                }
                if self.quirks.has(Quirk::ReplicaKeepsDeleted) && self.is_plain_replica() {
                    continue;
                }
            }
            let twice = self.quirks.has(Quirk::AppendsTwiceAfterLoss)
                && self.lost_a_peer()
                && appends(&write);
            if database >= keyspace.databases.len() {
                self.log
                    .warning("== CRITICAL == a write from the master is for no database");
                continue;
            }
            if twice || self.quirks.has(Quirk::AppliesTwice) {
                let mut again = write.clone();
                again.stamp.origin.0 ^= 1;
                keyspace.insert(database, &key, again);
            }
            let earlier_life = write.stamp.millis() < self.born;
            let again = write.clone();
            let is_new = keyspace.insert(database, &key, write);
            if !is_new && earlier_life && self.quirks.has(Quirk::ForgetsItself) {
                let mvcc = self.clock.borrow_mut().tick(now_millis());
                let stamp = self.stamp(mvcc);
                keyspace.insert(database, &key, Write { stamp, ..again });
            }
            written |= is_new;
        }
        drop(keyspace);
        if !new && !written {
            return;
        }
        // Messages are not kept.
        if written && !self.quirks.has(Quirk::AofWithoutPeer) {
            self.append_to_aof(raw);
        }
        let forwards = !self.config.borrow().is_set("multi-master-no-forward");
        if self.is_active() && forwards && !self.quirks.has(Quirk::ForwardsNothing) {
            self.feed(raw.clone());
        }
    }

    /// Whether its own files are still being read.
    pub(super) fn is_booting(&self) -> bool {
        !self.booted.get()
    }
}
