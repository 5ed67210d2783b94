//! What a connection remembers between commands, and whether a command may run.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::channels;
use super::command::{self, Command, Refusal, View};
use super::introspection as server;
use super::keyspace::Write;
use super::node::Node;
use super::quirk::Quirk;
use super::resp::{self, bulk, error, simple};
use super::stamp::{Stamp, an_hour_before, millis, now_millis};

/// What follows a command.
pub(super) enum Next {
    Reply(BytesFrame),
    /// `REPLCONF ACK` has no reply.
    Silence,
    /// The connection ends behind this reply.
    Close(BytesFrame),
    /// The connection listens to channels from this command on.
    Listen,
    /// The connection becomes a replication link.
    Follow {
        replid: String,
        offset: u64,
    },
}

/// A transaction that is being put together.
#[derive(Debug, Default)]
struct Transaction {
    queued: Vec<Vec<Bytes>>,
    /// A command in it was refused.
    spoilt: bool,
}

/// What a connection remembers.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) name: Bytes,
    pub(super) database: usize,
    /// What `REPLCONF` announced: the port it listens on, the address if it names one, and whether
    /// it is an active replica.
    pub(super) listening_port: u16,
    /// Since `DEBUG FORCE-MASTER`: it may replay commands.
    pub(super) poses_as_master: bool,
    pub(super) announced_ip: Option<IpAddr>,
    pub(super) is_active: bool,
    authenticated: bool,
    transaction: Option<Transaction>,
    /// Keys that EXEC depends on, and the newest write each had.
    watched: Vec<(usize, Bytes, Stamp)>,
}

const MASTERDOWN: &str =
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
const LOADING: &str = "LOADING KeyDB is loading the dataset in memory";

impl Session {
    pub(super) fn new(id: u64, from: SocketAddr, to: SocketAddr) -> Self {
        Self {
            id,
            from,
            to,
            name: Bytes::new(),
            database: 0,
            listening_port: 0,
            poses_as_master: false,
            announced_ip: None,
            is_active: false,
            authenticated: false,
            transaction: None,
            watched: Vec::new(),
        }
    }

    /// Carries out a command, or says why not.
    pub(super) async fn execute(&mut self, node: &Rc<Node>, argv: &[Bytes]) -> Next {
        node.stats.commands.add(1);
        let name = String::from_utf8_lossy(&argv[0]).to_ascii_uppercase();
        let next = match self.admit(node, &name, argv) {
            Ok(None) => self.run(node, &name, argv).await,
            Ok(Some(_)) if self.transaction.is_some() => self.queue(argv),
            Ok(Some(data)) => Next::Reply(self.run_alone(node, data, argv)),
            // A refused EXEC ends its transaction.
            Err(refusal) if name == "EXEC" => {
                if self.transaction.take().is_some() {
                    self.watched.clear();
                }
                let reason = refusal.strip_prefix("ERR ").unwrap_or(&refusal);
                Next::Reply(error(format!(
                    "EXECABORT Transaction discarded because of: {reason}"
                )))
            }
            Err(refusal) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.spoilt = true;
                }
                Next::Reply(error(refusal))
            }
        };
        if let Next::Reply(BytesFrame::Error(_)) = next {
            node.stats.errors.add(1);
        }
        next
    }

    /// Whether a command may run now: a data command is given back, any other is the server's.
    fn admit(
        &self,
        node: &Node,
        name: &str,
        argv: &[Bytes],
    ) -> Result<Option<&'static Command>, Refusal> {
        let data = command::find(name);
        let arity = data
            .map(|command| command.arity)
            .or_else(|| server::arity(name))
            .ok_or_else(|| command::unknown_command(argv))?;
        let count = i32::try_from(argv.len()).unwrap_or(i32::MAX);
        if count != arity && (arity > 0 || count < -arity) {
            return Err(command::wrong_arity(name));
        }
        if !self.authenticated
            && !node.config.borrow().get("requirepass").is_empty()
            && !matches!(name, "AUTH" | "QUIT")
        {
            return Err("NOAUTH Authentication required.".to_owned());
        }
        let refuses = node
            .refuses_until
            .get()
            .is_some_and(|until| Instant::now() < until);
        let served_while_loading = server::is_served_while_loading(name)
            || (name == "PING" && node.quirks.has(Quirk::PongWhileLoading));
        if (node.is_booting() || refuses) && !served_while_loading {
            if node.quirks.has(Quirk::LoadingUnnamed) {
                return Err("ERR not now".to_owned());
            }
            return Err(LOADING.to_owned());
        }
        let Some(data) = data else { return Ok(None) };
        // keydb.conf: active replicas allow reads while they load a peer's data (P55).
        if data.writes && node.loading.get() {
            return Err(LOADING.to_owned());
        }
        if node.is_plain_replica() {
            self.admit_on_replica(node, data)?;
        } else {
            admit_on_primary(node, data)?;
        }
        Ok(Some(data))
    }

    fn admit_on_replica(&self, node: &Node, data: &Command) -> Result<(), Refusal> {
        let masters = node.masters.borrow();
        // A replica has nothing to serve before its first sync: an empty data set would be older
        // than any.
        let has_data = masters.iter().any(|master| master.synced.get());
        if !has_data && !node.quirks.has(Quirk::EmptyBeforeSync) {
            return Err(LOADING.to_owned());
        }
        let down = !masters.iter().any(|master| master.link_up.get());
        let serves_stale = node.config.borrow().is_set("replica-serve-stale-data");
        if down && (!serves_stale || node.quirks.has(Quirk::RefusesWhileDown)) {
            return Err(MASTERDOWN.to_owned());
        }
        if data.writes
            && node.config.borrow().is_set("replica-read-only")
            && !node.quirks.has(Quirk::WritableReplica)
        {
            return Err("READONLY You can't write against a read only replica.".to_owned());
        }
        Ok(())
    }

    fn queue(&mut self, argv: &[Bytes]) -> Next {
        if let Some(transaction) = &mut self.transaction {
            transaction.queued.push(argv.to_vec());
        }
        Next::Reply(simple("QUEUED"))
    }

    async fn run(&mut self, node: &Rc<Node>, name: &str, argv: &[Bytes]) -> Next {
        let reply = match name {
            "MULTI" if self.transaction.is_some() => error("ERR MULTI calls can not be nested"),
            "MULTI" => {
                self.transaction = Some(Transaction::default());
                simple("OK")
            }
            "EXEC" => self.exec(node),
            "DISCARD" if self.transaction.is_none() => error("ERR DISCARD without MULTI"),
            "DISCARD" => {
                self.transaction = None;
                self.watched.clear();
                simple("OK")
            }
            "WATCH" if self.transaction.is_some() => error("ERR WATCH inside MULTI is not allowed"),
            "WATCH" => self.watch(node, &argv[1..]),
            "QUIT" => return Next::Close(simple("OK")),
            _ if self.transaction.is_some() => return self.queue(argv),
            "UNWATCH" => {
                self.watched.clear();
                simple("OK")
            }
            "RREPLAY" if self.poses_as_master => self.replay(node, argv),
            "AUTH" => self.authenticate(node, argv),
            "SELECT" => self.select(node, &argv[1]),
            "SUBSCRIBE" | "PSUBSCRIBE" => return Next::Listen,
            "UNSUBSCRIBE" | "PUNSUBSCRIBE" => channels::listens_to_nothing(name, argv),
            "PUBLISH" => channels::publish(node, argv),
            "PSYNC" => return server::psync(node, argv),
            "REPLCONF" => return server::replconf(node, self, argv),
            _ => server::run(node, self, name, argv).await,
        };
        Next::Reply(reply)
    }

    fn authenticate(&mut self, node: &Node, argv: &[Bytes]) -> BytesFrame {
        let config = node.config.borrow();
        let wanted = config.get("requirepass");
        if argv.len() > 3 {
            return error("ERR syntax error");
        }
        if wanted.is_empty() && argv.len() == 3 && &argv[1][..] == b"default" {
            return simple("OK");
        }
        if wanted.is_empty() && argv.len() == 2 {
            return error(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
            );
        }
        let user_fits = argv.len() == 2 || &argv[1][..] == b"default";
        self.authenticated =
            user_fits && argv.last().is_some_and(|given| given == wanted.as_bytes());
        if self.authenticated {
            simple("OK")
        } else {
            error("WRONGPASS invalid username-password pair or user is disabled.")
        }
    }

    /// `RREPLAY uuid command [database …]`: one command on data, in that database or the current one.
    fn replay(&mut self, node: &Rc<Node>, argv: &[Bytes]) -> BytesFrame {
        let inner = argv.get(2).map(|inner| resp::first_command(inner));
        let Some(Ok(Some(inner))) = inner else {
            return error("ERR Invalid command");
        };
        let name = inner.first().cloned().unwrap_or_default();
        let name = String::from_utf8_lossy(&name).to_ascii_uppercase();
        let Some(data) = command::find(&name) else {
            return error(command::unknown_command(&inner));
        };
        if let Err(refusal) = data.check_arity(&inner) {
            return error(refusal);
        }
        let current = self.database;
        if let Some(database) = argv.get(3)
            && let refused @ BytesFrame::Error(_) = self.select(node, database)
        {
            return refused;
        }
        self.run_alone(node, data, &inner);
        self.database = current;
        simple("OK")
    }

    fn select(&mut self, node: &Node, index: &Bytes) -> BytesFrame {
        let index: Option<i64> = std::str::from_utf8(index)
            .ok()
            .and_then(|text| text.parse().ok());
        let databases = node.keyspace.borrow().databases.len();
        match index.map(usize::try_from) {
            None => error("ERR value is not an integer or out of range"),
            Some(Ok(index)) if index < databases => {
                self.database = index;
                simple("OK")
            }
            Some(_) => error("ERR DB index is out of range"),
        }
    }

    fn watch(&mut self, node: &Node, keys: &[Bytes]) -> BytesFrame {
        for key in keys {
            let newest = newest(node, self.database, key);
            self.watched.push((self.database, key.clone(), newest));
        }
        simple("OK")
    }

    fn exec(&mut self, node: &Node) -> BytesFrame {
        let Some(transaction) = self.transaction.take() else {
            return error("ERR EXEC without MULTI");
        };
        let watched = std::mem::take(&mut self.watched);
        if transaction.spoilt {
            return error("EXECABORT Transaction discarded because of previous errors.");
        }
        if watched
            .iter()
            .any(|(database, key, then)| newest(node, *database, key) != *then)
        {
            return BytesFrame::Null;
        }
        let mut group = Group::default();
        let mut replies = Vec::new();
        for argv in &transaction.queued {
            let name = String::from_utf8_lossy(&argv[0]).to_ascii_uppercase();
            replies.push(match (command::find(&name), name.as_str()) {
                (Some(data), _) => self.run_one(node, data, argv, &mut group),
                (None, "SELECT") => self.select(node, &argv[1]),
                (None, "UNWATCH") => simple("OK"),
                (None, "CLIENT") => server::client(node, self, argv),
                (None, "DEBUG") => server::debug(node, self, argv),
                (None, "AUTH") => self.authenticate(node, argv),
                (None, "ECHO") => bulk(argv[1].clone()),
                (None, "PING") if argv.len() > 1 => bulk(argv[1].clone()),
                (None, "PING") => simple("PONG"),
                (None, _) => error("ERR the model runs no such command within a transaction"),
            });
        }
        node.publish(group.writes);
        BytesFrame::Array(replies)
    }

    fn run_alone(&self, node: &Node, data: &Command, argv: &[Bytes]) -> BytesFrame {
        let mut group = Group::default();
        let reply = self.run_one(node, data, argv, &mut group);
        node.publish(group.writes);
        reply
    }

    fn run_one(
        &self,
        node: &Node,
        data: &Command,
        argv: &[Bytes],
        group: &mut Group,
    ) -> BytesFrame {
        let Group { last, writes } = group;
        // The command runs at the time that its stamp will have: it then finds here what it finds
        // everywhere else.
        let now = now_millis();
        let mvcc = last.map_or_else(
            || node.clock.borrow().peek(now),
            |last| last.saturating_add(1),
        );
        let mut stamp = || {
            let mvcc = last.map_or_else(
                || node.clock.borrow_mut().tick(now),
                |last| last.saturating_add(1),
            );
            *last = Some(mvcc);
            if node.quirks.has(Quirk::OldStampsAfterLoss) && node.is_active() && node.lost_a_peer()
            {
                return node.stamp(an_hour_before(mvcc));
            }
            node.stamp(mvcc)
        };
        // The quirk: nothing is over for who asks at the beginning of time.
        let keeps_expired = node.quirks.has(Quirk::ExpiredOnReplica)
            && node.is_plain_replica()
            && !data.name.ends_with("TTL");
        let mut keyspace = node.keyspace.borrow_mut();
        let mut view = View {
            keyspace: &mut keyspace,
            database: self.database,
            now: if keeps_expired { 0 } else { millis(mvcc) },
            stamp: &mut stamp,
            writes: Vec::new(),
        };
        let reply = command::run(&mut view, data, argv);
        writes.append(&mut view.writes);
        reply.unwrap_or_else(error)
    }
}

/// The writes of a command or transaction, with stamps one after the other: they are passed on
/// together (P40).
#[derive(Debug, Default)]
struct Group {
    last: Option<u64>,
    writes: Vec<(usize, Bytes, Write)>,
}

fn newest(node: &Node, database: usize, key: &Bytes) -> Stamp {
    let keyspace = node.keyspace.borrow();
    let entry = keyspace.databases[database].keys.get(key);
    entry
        .map(super::keyspace::Entry::newest)
        .unwrap_or_default()
}

/// What keydb.conf says of a primary: it serves nothing with fewer primaries than its quorum if it
/// may not serve stale data (P57), and takes no writes with too few replicas (P50).
fn admit_on_primary(node: &Node, data: &Command) -> Result<(), Refusal> {
    let config = node.config.borrow();
    let masters = node.masters.borrow();
    let up = masters.iter().filter(|master| master.link_up.get()).count();
    let quorum: i64 = config.get("replica-quorum").parse().unwrap_or(-1);
    let quorum = usize::try_from(quorum).unwrap_or(masters.len());
    if !config.is_set("replica-serve-stale-data") && up < quorum {
        return Err(MASTERDOWN.to_owned());
    }
    let wanted = config.number("min-replicas-to-write");
    if data.writes && (node.stream.borrow().followers.len() as u64) < wanted {
        return Err("NOREPLICAS Not enough good replicas to write.".to_owned());
    }
    Ok(())
}
