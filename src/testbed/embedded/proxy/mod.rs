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
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::backend::{Backend, Log};

/// The most connections to the admin socket at a time.
const ADMINS: u32 = 64;

/// How long to leave a listener alone that cannot accept, as when no file descriptor is free.
const RESPITE: Duration = Duration::from_millis(100);

/// Serves until `terminated` resolves; returns the exit code (0; 1 with a logged `[ALERT]` line
/// when the configuration is malformed or a port cannot be bound).
///
/// It has to run within a [`tokio::task::LocalSet`]; all its sockets close with that.
pub(super) async fn serve(
    config: &str,
    terminated: impl Future<Output = ()>,
    log: impl Fn(&str) + Clone + 'static,
) -> i32 {
    let mut tasks = match start(config, Rc::new(log.clone())) {
        Ok(tasks) => tasks,
        Err(alert) => {
            log(&format!("[ALERT] {alert}"));
            return 1;
        }
    };
    terminated.await;
    tasks.shutdown().await;
    0
}

/// Binds both ports and sets everything going.
fn start(config: &str, log: Log) -> Result<JoinSet<()>, String> {
    let config = config::parse(config).map_err(|malformed| format!("config: {malformed}"))?;
    let clients = bind(config.bind, config.maxconn)?;
    let admins = bind(config.admin, ADMINS)?;
    let backend = Rc::new(Backend::new(config.listen, log));
    let mut tasks = JoinSet::new();
    for index in 0..backend.servers.len() {
        tasks.spawn_local(check::watch(Rc::clone(&backend), index));
    }
    let to_server = Rc::clone(&backend);
    tasks.spawn_local(accept(clients, config.maxconn, move |client| {
        session::run(Rc::clone(&to_server), client)
    }));
    tasks.spawn_local(accept(admins, ADMINS, move |client| {
        admin::run(Rc::clone(&backend), client)
    }));
    Ok(tasks)
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

/// Serves what connects, `most` at a time, until it is dropped.
async fn accept<F>(listener: TcpListener, most: u32, run: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if open.len() < most as usize => match accepted {
                Ok((client, _)) => drop(open.spawn_local(run(client))),
                Err(_) => sleep(RESPITE).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
}
