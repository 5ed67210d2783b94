//! Where connections come in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Shared;
use super::carry::carry;
use super::passage::{Orders, until};

const BACKLOG: u32 = 128;
/// Between two tries to have the port back.
const AGAIN: Duration = Duration::from_millis(5);

/// A port that is listened on, or kept while nothing listens on it.
#[derive(Debug)]
pub(super) struct Door {
    address: SocketAddr,
    listener: TcpListener,
}

impl Door {
    pub(super) fn open(on: SocketAddr) -> io::Result<Self> {
        let listener = bound(on)?.listen(BACKLOG)?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes connections as it is ordered to, for ever.
    pub(super) async fn keep(self, shared: Arc<Shared>) {
        let mut orders = shared.orders.subscribe();
        let mut connections = JoinSet::new();
        let mut listener = self.listener;
        loop {
            listen(&listener, &mut orders, &mut connections, &shared).await;
            // Closing it turns away whoever waits to be taken. Nobody else gets the port meanwhile.
            drop(listener);
            let mut kept = bound(self.address).ok();
            until(&mut orders, |orders| !orders.refusing).await;
            listener = loop {
                let socket = kept.take().map_or_else(|| bound(self.address), Ok);
                match socket.and_then(|socket| socket.listen(BACKLOG)) {
                    Ok(listener) => break listener,
                    Err(_) => sleep(AGAIN).await,
                }
            };
        }
    }
}

/// Takes connections until they are to be refused.
async fn listen(
    listener: &TcpListener,
    orders: &mut watch::Receiver<Orders>,
    connections: &mut JoinSet<()>,
    shared: &Arc<Shared>,
) {
    loop {
        tokio::select! {
            biased;
            () = until(orders, |orders| orders.refusing) => return,
            Some(_) = connections.join_next() => {}
            taken = listener.accept() => match taken {
                Ok((socket, _)) => {
                    connections.spawn(carry(Arc::clone(shared), socket));
                }
                // No descriptor is free, say: the next one may be luckier.
                Err(_) => sleep(AGAIN).await,
            },
        }
    }
}

/// A socket that has the port, but does not listen: who connects is turned away.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
