//! The life of a node, from its start to its end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::spawn_local;

use super::Node;
use crate::model::KEYDB;
use crate::model::config::Config;
use crate::model::connection;
use crate::model::log::Log;
use crate::model::persistence::{self, MasterMemory};
use crate::model::quirk::{Quirk, Quirks};
use crate::model::replication::{Position, Stream, carry_out, follow};

/// The command that a stream carries when nothing else is to be said.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// Runs a node until it is told to end, or ends by itself; gives back its exit code.
pub(in crate::model) async fn run(
    config: Config,
    quirks: Quirks,
    terminated: impl Future<Output = ()>,
    log: Log,
) -> i32 {
    log.warning("oO0OoO0OoO0Oo KeyDB model is starting oO0OoO0OoO0Oo");
    log.warning(format_args!(
        "KeyDB model version={} of KeyDB version={}, pid={}, just started",
        env!("CARGO_PKG_VERSION"),
        KEYDB,
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
        if (node.quirks.has(Quirk::PongWhileLoading) || node.quirks.has(Quirk::LoadingUnnamed))
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
            self.keyspace.borrow_mut().replace(found.snapshot.databases);
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
    pub(in crate::model) fn end(&self, code: i32) {
        self.code.set(Some(code));
        self.ending.notify_one();
    }

    /// Ends the node as SIGTERM and `SHUTDOWN` do; `save` as `SHUTDOWN NOSAVE` does not.
    pub(in crate::model) fn shut_down(&self, save: bool) -> i32 {
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
}
