//! One connection through a relay.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::passage::{Direction, Orders, until};
use super::pump::{Pump, Stop};
use super::{MakeFilter, Shared};

/// How long the upstream server may take to be reached.
const PATIENCE: Duration = Duration::from_secs(5);

/// Carries a connection to its end, or until it is to be reset.
pub(super) async fn carry(shared: Arc<Shared>, mut downstream: TcpStream) {
    let number = shared.ledger.made();
    let _live = Live(&shared);
    let mut orders = shared.orders.subscribe();
    let resets = orders.borrow().resets;
    let _ = downstream.set_nodelay(true);
    let mut upstream = tokio::select! {
        () = until(&mut orders, |orders| orders.resets > resets) => {
            shared.ledger.cut();
            return reset(&downstream);
        }
        reached = reach(&shared) => match reached {
            Ok(upstream) => upstream,
            Err(_) => {
                shared.ledger.unreachable();
                return reset(&downstream);
            }
        }
    };
    let _ = upstream.set_nodelay(true);

    let filters = shared.filters().clone();
    let filter = |direction: Direction| filters[direction.index()].as_ref().map(MakeFilter::make);
    let pump = |direction| Pump::new(&shared, direction, number, filter(direction));
    let (up, down) = (
        pump(Direction::TowardsUpstream),
        pump(Direction::TowardsDownstream),
    );
    let stopped = {
        let (down_reads, down_writes) = downstream.split();
        let (up_reads, up_writes) = upstream.split();
        let both = async {
            tokio::try_join!(
                up.run(down_reads, up_writes),
                down.run(up_reads, down_writes)
            )
        };
        tokio::select! {
            biased;
            () = until(&mut orders, |orders| orders.resets > resets) => Err(Stop::Cut),
            done = both => done.map(drop),
        }
    };
    if let Err(stop) = stopped {
        if stop == Stop::Cut {
            shared.ledger.cut();
        }
        reset(&downstream);
        reset(&upstream);
    }
}

/// Connects to the upstream server, once a handshake comes through.
async fn reach(shared: &Shared) -> io::Result<TcpStream> {
    let mut orders = shared.orders.subscribe();
    until(&mut orders, Orders::lets_connect).await;
    timeout(PATIENCE, TcpStream::connect(shared.upstream)).await?
}

/// Has the connection end with RST once it is dropped.
fn reset(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}

/// Counts a connection as live.
struct Live<'a>(&'a Shared);

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.0.ledger.ended();
    }
}
