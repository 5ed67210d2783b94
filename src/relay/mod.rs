//! Relays: TCP in between two servers, which the harness can delay, hold, cut and change.
//!
//! A [`Relay`] stands in one *directed link*: the TCP connections by which one server, the
//! *downstream* one, replicates from another, the *upstream* one. The downstream server connects to
//! the relay, the relay to the upstream server. Data flows from upstream to downstream, handshakes
//! and acknowledgements the other way; each [`Direction`] has a [`Passage`] of its own, which can be
//! changed at any moment, for live connections too.
//!
//! What is held is delivered later in its order, as TCP does after packets were lost: a relay loses
//! no byte of a connection that lives on, unless it is told to ([`Passage::Discard`], [`Filter`]).

mod carry;
mod door;
mod envelope;
mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod hostile;
pub mod mutation;
mod passage;
mod pump;
pub mod stream;
mod tap;
mod traffic;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::door::Door;
pub use self::filter::{Filter, MakeFilter};
pub use self::passage::{Direction, Passage};
use self::passage::{Orders, Standing};
pub use self::tap::Tap;
use self::traffic::Ledger;
pub use self::traffic::{Connections, Crossing, Traffic};

/// Who stands at the two ends of a relay, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ends {
    /// The server that replicates.
    pub downstream: String,
    /// The server that is replicated.
    pub upstream: String,
}

/// A relay in one directed link. It ends, and closes every connection, when it is dropped.
#[derive(Debug)]
pub struct Relay {
    ends: Ends,
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What a relay and its connections have in common.
#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    /// Of what is drawn by chance.
    seed: u64,
    orders: watch::Sender<Orders>,
    ledger: Ledger,
    filters: Mutex<[Option<MakeFilter>; 2]>,
    tap: Mutex<Option<Tap>>,
}

impl Relay {
    /// Opens a relay that listens on a free port of `on` and leads to `upstream`. Its tasks run in
    /// the runtime that this is called in; `seed` is that of the jitter.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn open(ends: Ends, on: SocketAddr, upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let door = Door::open(on)?;
        let address = door.address();
        let shared = Arc::new(Shared {
            upstream,
            seed,
            orders: watch::Sender::new(Orders::default()),
            ledger: Ledger::default(),
            filters: Mutex::default(),
            tap: Mutex::default(),
        });
        let task = tokio::spawn(door.keep(Arc::clone(&shared)));
        Ok(Self {
            ends,
            address,
            shared,
            task,
        })
    }

    /// Who stands at its ends.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Where it listens: what the downstream server takes for the upstream one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How bytes of one direction cross from now on.
    pub fn set(&self, direction: Direction, passage: Passage) {
        self.order(|orders| {
            orders.generation += 1;
            orders.standing[direction.index()] = Standing {
                passage,
                generation: orders.generation,
            };
        });
    }

    /// How bytes of both directions cross from now on.
    pub fn set_both(&self, passage: &Passage) {
        for direction in Direction::BOTH {
            self.set(direction, passage.clone());
        }
    }

    /// Turns new connections away, as a port does on which nothing listens, or takes them again.
    pub fn refuse(&self, refusing: bool) {
        self.order(|orders| orders.refusing = refusing);
    }

    /// Resets every live connection on both sides (RST).
    pub fn reset(&self) {
        self.order(|orders| orders.resets += 1);
    }

    /// Resets every live connection and turns new ones away.
    pub fn cut(&self) {
        self.order(|orders| {
            orders.refusing = true;
            orders.resets += 1;
        });
    }

    /// Lets everything pass again, in both directions; what was held follows at once. Connections of
    /// which bytes were discarded are reset: what would follow is no stream any more.
    pub fn heal(&self) {
        self.set_both(&Passage::Pass);
        self.refuse(false);
    }

    /// Puts a filter in one direction of every connection that is made from now on, or none.
    /// [`Relay::reset`] makes servers connect anew.
    pub fn filter(&self, direction: Direction, make: Option<MakeFilter>) {
        let mut filters = self.shared.filters();
        filters[direction.index()] = make;
    }

    /// Has a tap told of every write that goes downstream from now on, on live connections too, or
    /// none. It sees what comes, and what goes on after a filter.
    pub fn tap(&self, tap: Option<Tap>) {
        *self.shared.tapped() = tap;
    }

    /// How new connections and bytes are treated now.
    pub fn is_refusing(&self) -> bool {
        self.shared.orders.borrow().refusing
    }

    /// How bytes of one direction cross now.
    pub fn passage(&self, direction: Direction) -> Passage {
        let orders = self.shared.orders.borrow();
        orders.standing[direction.index()].passage.clone()
    }

    /// What has crossed in one direction since it was opened.
    pub fn traffic(&self, direction: Direction) -> Traffic {
        self.shared.ledger.traffic(direction)
    }

    /// The connections since it was opened.
    pub fn connections(&self) -> Connections {
        self.shared.ledger.connections()
    }

    /// What crossed when, in the order in which it was passed on. The oldest are forgotten once
    /// there are many ([`Relay::forgotten`]).
    pub fn crossings(&self) -> Vec<Crossing> {
        self.shared.ledger.crossings()
    }

    /// How many crossings were forgotten.
    pub fn forgotten(&self) -> u64 {
        self.shared.ledger.forgotten()
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.shared.orders.send_modify(change);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The task owns the listener and every connection.
        self.task.abort();
    }
}

impl Shared {
    fn filters(&self) -> std::sync::MutexGuard<'_, [Option<MakeFilter>; 2]> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tapped(&self) -> std::sync::MutexGuard<'_, Option<Tap>> {
        self.tap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
