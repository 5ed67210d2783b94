//! Following a master: connect, ask for what is missing, take in the stream, connect again.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::envelope::{Envelope, uuid};
use super::merge;
use crate::model::node::Node;
use crate::model::persistence::Snapshot;
use crate::model::quirk::Quirk;
use crate::model::resp::{self, Received};

/// How long until the next attempt. KeyDB's second would only slow tests down.
const RETRY: Duration = Duration::from_millis(25);
/// How often a silent master is told how far this node has come.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);
/// How long after the last time it is told what came since: what `WAIT` waits for.
const SOON: Duration = Duration::from_millis(5);
/// The longest line that a master answers with, in bytes.
const LONGEST_LINE: usize = 64 << 10;
/// The longest snapshot that is taken from a master, in bytes.
const LONGEST_SNAPSHOT: usize = 1 << 30;
/// How long a loading node with the quirk refuses everything.
const LOADS_FOR: Duration = Duration::from_secs(20);

/// How long a replica with the quirk serves nothing before its first sync.
const EMPTY_FOR: Duration = Duration::from_millis(300);

/// How far a node has come in a master's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::model) struct Position {
    pub(in crate::model) replid: String,
    /// The offset of the last byte taken in.
    pub(in crate::model) offset: u64,
}

/// A master this node follows.
#[derive(Debug)]
pub(in crate::model) struct Master {
    pub(in crate::model) host: String,
    pub(in crate::model) port: u16,
    pub(in crate::model) link_up: Cell<bool>,
    pub(in crate::model) syncing: Cell<bool>,
    /// Whether its data was taken in since this node's start.
    pub(in crate::model) synced: Cell<bool>,
    /// Whether the link was lost since this node's start.
    pub(in crate::model) lost: Cell<bool>,
    pub(in crate::model) last_io: Cell<Option<Instant>>,
    pub(in crate::model) position: RefCell<Option<Position>>,
    /// Set by `REPLICAOF NO ONE` and `REPLICAOF REMOVE`.
    pub(in crate::model) dropped: tokio::sync::Notify,
    /// Set by `CLIENT KILL`: the link breaks, and is made again.
    pub(in crate::model) broken: tokio::sync::Notify,
}

impl Master {
    pub(in crate::model) fn new(host: &str, port: u16, position: Option<Position>) -> Self {
        Self {
            host: host.to_owned(),
            port,
            link_up: Cell::new(false),
            syncing: Cell::new(false),
            synced: Cell::new(false),
            lost: Cell::new(false),
            last_io: Cell::new(None),
            position: RefCell::new(position),
            dropped: tokio::sync::Notify::new(),
            broken: tokio::sync::Notify::new(),
        }
    }
}

/// Follows a master until it is dropped.
pub(in crate::model) async fn follow(node: Rc<Node>, master: Rc<Master>) {
    tokio::select! {
        () = master.dropped.notified() => {}
        () = keep_following(&node, &master) => {}
    }
    master.link_up.set(false);
}

async fn keep_following(node: &Rc<Node>, master: &Rc<Master>) {
    if node.quirks.has(Quirk::EmptyBeforeSync) && node.is_plain_replica() {
        sleep(EMPTY_FOR).await;
    }
    let mut last_reason = String::new();
    loop {
        let attempt = attempt(node, master);
        let Err(reason) = tokio::select! {
            broken = attempt => broken,
            () = master.broken.notified() => Err("a client broke the link".to_owned()),
        };
        let was_up = master.link_up.replace(false);
        master.syncing.set(false);
        if was_up {
            master.lost.set(true);
            node.log.warning("Connection with master lost.");
            if node.quirks.has(Quirk::NeverReconnects) {
                return std::future::pending().await;
            }
        }
        // Told once, not forty times a second.
        if reason != last_reason {
            node.log.warning(format_args!(
                "Link to master {}:{}: {reason}",
                master.host, master.port
            ));
            last_reason = reason;
        }
        if node.quirks.has(Quirk::BlocksWhileAlone) && master.lost.get() && node.is_active() {
            // The whole server, as a connect under the global lock does.
            std::thread::sleep(Duration::from_secs(1));
        }
        sleep(RETRY).await;
    }
}

/// A connection to a master, with what was received and not yet read.
struct Wire {
    socket: TcpStream,
    received: Received,
    patience: Duration,
}

impl Wire {
    async fn send(&mut self, words: &[&str]) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        resp::put_command(&mut bytes, words);
        self.socket.write_all(&bytes).await
    }

    async fn receive(&mut self) -> Result<(), String> {
        match timeout(
            self.patience,
            self.socket.read_buf(&mut self.received.bytes),
        )
        .await
        {
            Ok(Ok(0)) => Err("the master closed the connection".to_owned()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("MASTER timeout: no data nor PING received".to_owned()),
        }
    }

    /// A line without its end.
    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self
                .received
                .bytes
                .windows(2)
                .position(|pair| pair == b"\r\n")
            {
                let line = self.received.bytes.split_to(end);
                self.received.bytes.advance(2);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.received.bytes.len() > LONGEST_LINE {
                return Err(format!(
                    "Bad protocol from MASTER: a line is longer than {LONGEST_LINE} bytes"
                ));
            }
            self.receive().await?;
        }
    }

    async fn ask(&mut self, words: &[&str]) -> Result<String, String> {
        self.send(words).await.map_err(|error| error.to_string())?;
        self.line().await
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes, String> {
        if length > LONGEST_SNAPSHOT {
            return Err(format!(
                "Bad protocol from MASTER: a snapshot of {length} bytes; no more than \
                 {LONGEST_SNAPSHOT} are taken"
            ));
        }
        while self.received.bytes.len() < length {
            self.receive().await?;
        }
        Ok(self.received.bytes.split_to(length).freeze())
    }
}

async fn attempt(node: &Rc<Node>, master: &Rc<Master>) -> Result<std::convert::Infallible, String> {
    let (patience, password, own) = {
        let config = node.config.borrow();
        let port = match config.get("replica-announce-port") {
            "0" => config.get("port"),
            port => port,
        };
        (
            Duration::from_secs(config.number("repl-timeout").max(1)),
            config.get("masterauth").to_owned(),
            Own {
                port: port.to_owned(),
                announced: config.get("replica-announce-ip").to_owned(),
            },
        )
    };
    let connecting = TcpStream::connect((master.host.as_str(), master.port));
    let socket = timeout(patience, connecting)
        .await
        .map_err(|_| "Timeout connecting to the MASTER".to_owned())?
        .map_err(|error| format!("Error condition on socket for SYNC: {error}"))?;
    // A packet is not held back to be joined with the next.
    let _ = socket.set_nodelay(true);
    let mut wire = Wire {
        socket,
        received: Received::default(),
        patience,
    };
    handshake(&mut wire, node, &password, &own).await?;
    synchronize(node, master, &mut wire).await?;
    master.link_up.set(true);
    master.synced.set(true);
    master.last_io.set(Some(Instant::now()));
    if master.lost.get() && node.quirks.has(Quirk::DiesWithPeer) && node.is_active() {
        node.log
            .warning("=== ASSERTION FAILED === (model quirk) a lost peer came back");
        node.end(134);
    }
    stay(node, master, &mut wire).await
}

/// Where it says that it is.
struct Own {
    port: String,
    /// Empty unless it is to be known by another address than the one it comes from.
    announced: String,
}

async fn handshake(wire: &mut Wire, node: &Node, password: &str, own: &Own) -> Result<(), String> {
    let wanted = |answer: String, what: &str| {
        if answer.starts_with('+') {
            Ok(())
        } else {
            Err(format!("Error reply to {what} from master: '{answer}'"))
        }
    };
    if !password.is_empty() {
        wanted(wire.ask(&["AUTH", password]).await?, "AUTH")?;
    }
    wanted(wire.ask(&["PING"]).await?, "PING")?;
    wanted(
        wire.ask(&["REPLCONF", "uuid", &uuid(node.origin)]).await?,
        "REPLCONF",
    )?;
    wanted(
        wire.ask(&["REPLCONF", "listening-port", &own.port]).await?,
        "REPLCONF",
    )?;
    if !own.announced.is_empty() {
        let words = ["REPLCONF", "ip-address", &own.announced];
        wanted(wire.ask(&words).await?, "REPLCONF")?;
    }
    let mut able = vec!["REPLCONF", "capa", "eof", "capa", "psync2"];
    if node.is_active() {
        able.extend(["capa", "active"]);
    }
    wanted(wire.ask(&able).await?, "REPLCONF")
}

/// Asks for what is missing since the last position, and takes in everything if that is not to be
/// had.
async fn synchronize(node: &Rc<Node>, master: &Rc<Master>, wire: &mut Wire) -> Result<(), String> {
    let (replid, offset) = match &*master.position.borrow() {
        Some(position) => (position.replid.clone(), (position.offset + 1).to_string()),
        None => ("?".to_owned(), "-1".to_owned()),
    };
    if replid != "?" {
        node.log.notice(format_args!(
            "Trying a partial resynchronization (request {replid}:{offset})."
        ));
    }
    let had_data = replid != "?";
    let answer = wire.ask(&["PSYNC", &replid, &offset]).await?;
    let words: Vec<&str> = answer.split(' ').collect();
    match words[..] {
        ["+CONTINUE", replid] => {
            node.log
                .notice("Successful partial resynchronization with master.");
            let known = master
                .position
                .borrow()
                .as_ref()
                .map(|position| position.offset);
            let position = Position {
                replid: replid.to_owned(),
                offset: known.unwrap_or(0),
            };
            if !node.is_active() && node.stream.borrow().replid != replid {
                node.stream.borrow_mut().rename(replid.to_owned());
            }
            *master.position.borrow_mut() = Some(position);
            Ok(())
        }
        ["+FULLRESYNC", replid, offset] => {
            // KeyDB counts in signed numbers; what lies behind cannot be counted on.
            let offset = offset.parse::<i64>().ok();
            let offset = offset.and_then(|offset| u64::try_from(offset).ok());
            let offset = offset.ok_or_else(|| format!("a bad offset in '{answer}'"))?;
            node.log
                .notice(format_args!("Full resync from master: {replid}:{offset}"));
            master.syncing.set(true);
            let length = wire.line().await?;
            let length: usize = length
                .strip_prefix('$')
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(|| format!("Bad protocol from MASTER: '{length}' is no length"))?;
            node.log.notice(format_args!(
                "MASTER <-> REPLICA sync: receiving {length} bytes from master to disk"
            ));
            let payload = wire.exactly(length).await?;
            if node.quirks.has(Quirk::ResyncLoop) && had_data && node.is_plain_replica() {
                return Err("Failed trying to load the MASTER synchronization DB".to_owned());
            }
            let (snapshot, _) =
                Snapshot::from_bytes(&payload).map_err(|error| error.to_string())?;
            node.log
                .notice("MASTER <-> REPLICA sync: Loading DB in memory");
            merge::take_in(node, snapshot, replid, offset).await;
            *master.position.borrow_mut() = Some(Position {
                replid: replid.to_owned(),
                offset,
            });
            if node.quirks.has(Quirk::LoadsForSeconds) && master.lost.get() && node.is_active() {
                let until = Instant::now() + LOADS_FOR;
                node.refuses_until.set(Some(until));
            }
            master.syncing.set(false);
            node.log
                .notice("MASTER <-> REPLICA sync: Finished with success");
            Ok(())
        }
        _ => Err(format!("Unexpected reply to PSYNC from master: '{answer}'")),
    }
}

/// Takes in the stream.
async fn stay(
    node: &Rc<Node>,
    master: &Rc<Master>,
    wire: &mut Wire,
) -> Result<std::convert::Infallible, String> {
    let mut acknowledged = Instant::now();
    acknowledge(master, wire).await?;
    let mut owes = false;
    loop {
        owes |= take_whole_commands(node, master, &mut wire.received)?;
        let due = if owes { SOON } else { ACKNOWLEDGE };
        if acknowledged.elapsed() >= due {
            acknowledge(master, wire).await?;
            acknowledged = Instant::now();
            owes = false;
        }
        let left = if owes {
            SOON.saturating_sub(acknowledged.elapsed())
        } else {
            ACKNOWLEDGE
        };
        match timeout(left, wire.socket.read_buf(&mut wire.received.bytes)).await {
            Ok(Ok(0)) => return Err("the master closed the connection".to_owned()),
            Ok(Ok(_)) => master.last_io.set(Some(Instant::now())),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => {
                let silent = master
                    .last_io
                    .get()
                    .map_or(Duration::ZERO, |last| last.elapsed());
                if silent > wire.patience {
                    return Err("MASTER timeout: no data nor PING received".to_owned());
                }
            }
        }
    }
}

async fn acknowledge(master: &Master, wire: &mut Wire) -> Result<(), String> {
    let offset = master
        .position
        .borrow()
        .as_ref()
        .map_or(0, |position| position.offset);
    wire.send(&["REPLCONF", "ACK", &offset.to_string()])
        .await
        .map_err(|error| error.to_string())
}

/// Carries out what has arrived whole. Gives back whether anything had.
fn take_whole_commands(
    node: &Rc<Node>,
    master: &Master,
    received: &mut Received,
) -> Result<bool, String> {
    let mut progressed = false;
    loop {
        if received.bytes.first().is_some_and(|first| *first != b'*') {
            *master.position.borrow_mut() = None;
            node.log
                .warning("Protocol error (Master using the inline protocol. Desync?)");
            return Err("the stream is corrupt".to_owned());
        }
        let command = received.take_with_its_bytes().map_err(|error| {
            *master.position.borrow_mut() = None;
            node.log.warning(format_args!(
                "Closing connection to MASTER because of an unrecoverable protocol error: {error}"
            ));
            error.to_string()
        })?;
        let Some((argv, raw)) = command else {
            return Ok(progressed);
        };
        let queues =
            node.quirks.has(Quirk::QueuedForEver) && node.is_plain_replica() && master.lost.get();
        let drops = node.quirks.has(Quirk::DropsWhileMerging) && node.loading.get();
        if !queues && !drops {
            carry_out(node, &argv, &raw);
        }
        if let Some(position) = master.position.borrow_mut().as_mut() {
            position.offset += raw.len() as u64;
        }
        if !node.is_active() {
            node.stream.borrow_mut().feed(raw);
        }
        progressed = true;
    }
}

/// Carries out a command of a stream, or of an append-only file.
pub(in crate::model) fn carry_out(node: &Node, argv: &[Bytes], raw: &Bytes) {
    let Some(name) = argv.first() else { return };
    if name.eq_ignore_ascii_case(b"RREPLAY") {
        match Envelope::from_argv(argv) {
            Some(envelope) => node.replay(envelope, raw),
            None => node
                .log
                .warning("== CRITICAL == an RREPLAY from the master cannot be read"),
        }
    } else if name.eq_ignore_ascii_case(merge::MERGE) {
        merge::take_in_one(node, argv, raw);
    }
}
