//! A TCP proxy that stands in for HAProxy where none is installed.
//!
//! It reads the configuration that is rendered for HAProxy, and behaves, seen from clients,
//! servers and the admin socket, as HAProxy 2.6 does with it. What it does not do: close idle
//! sessions (`timeout client`, `timeout server`).

mod admin;
mod backend;
mod check;
mod config;
mod directive;
mod server;
mod session;
mod stat;
mod syntax;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use self::backend::{Backend, Log};

/// The most connections to the admin socket at a time.
const ADMINS: u32 = 64;

/// How long to leave a listener alone that cannot accept, as when no file descriptor is free.
const RESPITE: Duration = Duration::from_millis(100);

/// Serves until `terminated` resolves; returns the exit code (0; 1 with a logged `[ALERT]` line
/// when the configuration is malformed or a port cannot be bound).
///
/// A configuration that comes over `reloads` is gone on with: new sessions and the admin socket are
/// served by it, with checks that begin anew; sessions that live are served to their end. One that
/// is malformed is logged, and changes nothing.
///
/// It has to run within a [`tokio::task::LocalSet`]; all its sockets close with that.
pub(super) async fn serve(
    config: &str,
    mut reloads: UnboundedReceiver<String>,
    terminated: impl Future<Output = ()>,
    log: impl Fn(&str) + Clone + 'static,
) -> i32 {
    // The loops of every life: those of a former one end with its last session.
    let mut loops = JoinSet::new();
    let alert = |alert: String| log(&format!("[ALERT] {alert}"));
    let mut life = match Life::begin(config, None, Rc::new(log.clone()), &mut loops) {
        Ok(life) => life,
        Err(error) => {
            alert(error);
            return 1;
        }
    };
    tokio::pin!(terminated);
    loop {
        let config = tokio::select! {
            () = &mut terminated => break,
            Some(config) = reloads.recv() => config,
        };
        match Life::begin(&config, Some(&life), Rc::new(log.clone()), &mut loops) {
            Ok(next) => {
                std::mem::replace(&mut life, next).retire();
                log("[NOTICE] Reloaded; sessions that live are served to their end.");
            }
            Err(error) => alert(format!("not reloaded: {error}")),
        }
    }
    life.retire();
    loops.shutdown().await;
    0
}

/// The proxy with one configuration: what is a process in HAProxy.
struct Life {
    /// From one on.
    number: u32,
    clients: Door,
    admins: Door,
    checks: Vec<JoinHandle<()>>,
    /// Tells its loops to take no more connections.
    retired: Rc<Notify>,
}

/// A port, which one life leaves to the next.
#[derive(Clone)]
struct Door {
    address: SocketAddr,
    listener: Rc<TcpListener>,
}

impl Door {
    /// The door that was there before, or a new one where another address is wanted.
    fn at(address: SocketAddr, backlog: u32, before: Option<&Self>) -> Result<Self, String> {
        match before {
            Some(door) if door.address == address => Ok(door.clone()),
            _ => Ok(Self {
                address,
                listener: Rc::new(bind(address, backlog)?),
            }),
        }
    }
}

impl Life {
    /// Takes both ports and sets everything going.
    fn begin(
        config: &str,
        before: Option<&Self>,
        log: Log,
        loops: &mut JoinSet<()>,
    ) -> Result<Self, String> {
        let config = config::parse(config).map_err(|malformed| format!("config: {malformed}"))?;
        let clients = before.map(|life| &life.clients);
        let clients = Door::at(config.bind, config.maxconn, clients)?;
        let admins = Door::at(config.admin, ADMINS, before.map(|life| &life.admins))?;
        let number = before.map_or(1, |life| life.number + 1);
        let backend = Rc::new(Backend::new(config.listen, number, log));
        let checks = (0..backend.servers.len())
            .map(|index| tokio::task::spawn_local(check::watch(Rc::clone(&backend), index)))
            .collect();
        let retired = Rc::new(Notify::new());
        let to_server = Rc::clone(&backend);
        let listener = Rc::clone(&clients.listener);
        loops.spawn_local(accept(
            listener,
            config.maxconn,
            Rc::clone(&retired),
            move |client| session::run(Rc::clone(&to_server), client),
        ));
        let listener = Rc::clone(&admins.listener);
        loops.spawn_local(accept(
            listener,
            ADMINS,
            Rc::clone(&retired),
            move |client| admin::run(Rc::clone(&backend), client),
        ));
        Ok(Self {
            number,
            clients,
            admins,
            checks,
            retired,
        })
    }

    /// Checks no server any more and takes no more connections.
    fn retire(self) {
        for check in &self.checks {
            check.abort();
        }
        self.retired.notify_waiters();
    }
}

fn bind(address: SocketAddr, backlog: u32) -> Result<TcpListener, String> {
    let listen = || -> io::Result<TcpListener> {
        let socket = TcpSocket::new_v4()?;
        // A restart does not have to wait for the last one's connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog)
    };
    listen().map_err(|error| {
        format!("cannot bind {address}: {error}; end what listens there, or choose another port")
    })
}

/// Serves what connects, `most` at a time, until it is told to retire, and then what is open to its
/// end.
async fn accept<F>(
    listener: Rc<TcpListener>,
    most: u32,
    retired: Rc<Notify>,
    run: impl Fn(TcpStream) -> F,
) where
    F: Future<Output = ()> + 'static,
{
    let mut open = JoinSet::new();
    let retired = retired.notified();
    tokio::pin!(retired);
    loop {
        tokio::select! {
            () = &mut retired => break,
            accepted = listener.accept(), if open.len() < most as usize => match accepted {
                Ok((client, _)) => drop(open.spawn_local(run(client))),
                Err(_) => sleep(RESPITE).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}
