//! Clients that write unique keys, one write at a time each, until stopped.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::cluster::reach::Reach;
use crate::cluster::{Client, ClientError, Cluster, Node, Timeouts};
use crate::history::{Fate, Write, WriteLog};
use crate::testbed::Port;

/// How a stream writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Between two writes of one client.
    pub pace: Duration,
    /// Seconds that its keys live; for ever if none.
    pub ttl: Option<u64>,
}

/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(20);
/// A write that is not answered within this is given up, as a client of the proxy would.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    reply: Duration::from_secs(5),
};

/// A running stream of writes.
#[derive(Debug)]
pub struct WriteStream {
    prefix: String,
    began: Instant,
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    acknowledged: AtomicUsize,
    writes: Mutex<Vec<Write>>,
}

impl WriteStream {
    /// Starts `clients` clients that write keys beginning with `prefix` through the proxy. The
    /// proxy's address must not change while the stream runs (it does when the proxy restarts).
    ///
    /// # Errors
    /// The cluster has no proxy, or it has no address now.
    pub async fn start(cluster: &Cluster, prefix: &str, clients: usize) -> Result<Self> {
        let proxy = cluster.proxy()?.server().endpoint(Port::Service).await?;
        let password = cluster.topology().password.as_deref();
        let proxy = Reach::plain(proxy, password);
        let manner = Manner {
            pace: cluster.pace().between,
            ttl: None,
        };
        Ok(Self::toward(&[proxy], prefix, clients, manner))
    }

    /// Starts `clients` clients that write keys beginning with `prefix`, one after the other at one
    /// of these servers each.
    pub fn toward(servers: &[Reach], prefix: &str, clients: usize, manner: Manner) -> Self {
        let shared = Arc::new(Shared::default());
        let began = Instant::now();
        let clients = (0..clients).zip(servers.iter().cycle());
        let clients = clients.map(|(number, server)| {
            tokio::spawn(write_on(
                Arc::clone(&shared),
                number,
                format!("{prefix}:{number}"),
                server.clone(),
                manner,
                began,
            ))
        });
        Self {
            prefix: prefix.to_owned(),
            began,
            shared: Arc::clone(&shared),
            clients: clients.collect(),
        }
    }

    /// The time on the history's clock.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// How many writes have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Stops the clients and gives their history.
    pub async fn stop(mut self) -> WriteLog {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for client in std::mem::take(&mut self.clients) {
            // A client that panicked has recorded what it did until then.
            let _ = client.await;
        }
        let writes = std::mem::take(
            &mut *self
                .shared
                .writes
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        WriteLog {
            writes,
            length: self.began.elapsed(),
        }
    }

    /// The keys of a stream with this prefix that are on `node`.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn keys_on(node: &Node, prefix: &str) -> Result<BTreeSet<String>> {
        let mut client = node
            .client()
            .await
            .with_context(|| node.name().to_owned())?;
        let mut keys = BTreeSet::new();
        let mut cursor: u64 = 0;
        loop {
            let (next, batch): (u64, Vec<String>) = client
                .query(
                    redis::cmd("SCAN")
                        .arg(cursor)
                        .arg("MATCH")
                        .arg(format!("{prefix}:*"))
                        .arg("COUNT")
                        .arg(1000),
                )
                .await
                .with_context(|| node.name().to_owned())?;
            keys.extend(batch);
            cursor = next;
            if cursor == 0 {
                return Ok(keys);
            }
        }
    }

    /// What all keys of this stream begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl Drop for WriteStream {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for client in &self.clients {
            client.abort();
        }
    }
}

async fn write_on(
    shared: Arc<Shared>,
    client: usize,
    prefix: String,
    server: Reach,
    manner: Manner,
    began: Instant,
) {
    let mut connection: Option<Client> = None;
    let mut number = 0_u64;
    while !shared.stopping.load(Ordering::SeqCst) {
        let key = format!("{prefix}:{number}");
        number += 1;
        let invoked = began.elapsed();
        let result = write_once(&mut connection, &server, &key, manner).await;
        let (fate, error) = match result {
            Ok(()) => (Fate::Ok, None),
            Err(error @ ClientError::Unknown(_)) => (Fate::Unknown, Some(error.to_string())),
            Err(error) => (Fate::Fail, Some(error.to_string())),
        };
        if fate == Fate::Ok {
            shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        let failed = fate != Fate::Ok;
        let write = Write {
            client,
            key,
            invoked,
            completed: began.elapsed(),
            fate,
            error,
        };
        shared
            .writes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(write);
        if failed {
            connection = None;
        }
        sleep(if failed { RETRY } else { manner.pace }).await;
    }
}

async fn write_once(
    connection: &mut Option<Client>,
    server: &Reach,
    key: &str,
    manner: Manner,
) -> Result<(), ClientError> {
    let client = match connection {
        Some(client) => client,
        None => connection.insert(Client::to(server, TIMEOUTS).await?),
    };
    let mut set = redis::cmd("SET");
    set.arg(key).arg(key);
    if let Some(seconds) = manner.ttl {
        set.arg("EX").arg(seconds);
    }
    client.query(&set).await
}
