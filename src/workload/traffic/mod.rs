//! Clients that work on a cluster and record every operation.
//!
//! A [`Plan`] is data: how many clients, through the proxy or at a node, what they do ([`Mix`]) on
//! whose keys ([`Contention`]), and how fast. They work on threads of their own, so that their
//! times don't depend on what a scenario does meanwhile; each keeps its own record, which the
//! [`Recording`] takes over at the end.

mod client;
mod compatible;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod hostile;
mod keys;
mod mix;
mod refusal;
mod reply;
mod subscribers;
mod whereabouts;
mod wire;

pub use compatible::compatible;
pub use mix::{Contention, Kind, Mix};
pub use subscribers::Subscribers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::task::{JoinError, JoinSet};

use crate::cluster::Cluster;
use crate::history::{Fate, History, Moment, Record, Recording};
use crate::topology::PROXY;
use crate::wait::{DEADLINE, Unmet, eventually};
use client::{Shared, Worker};
use keys::Keys;
use whereabouts::Whereabouts;

/// Where clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Through the proxy.
    Proxy,
    /// To this node.
    Node(String),
}

/// Writes that are followed by a `WAIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirm {
    /// Every how many-th write of a client.
    pub every: u32,
    /// How many replicas are waited for.
    pub replicas: u8,
    /// For how long; keep it below the plan's patience.
    pub within: Duration,
}

/// What a traffic is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What all its keys begin with; no colon in it.
    pub prefix: String,
    /// How many clients.
    pub clients: u32,
    /// Where they connect to.
    pub route: Route,
    /// What they do.
    pub mix: Mix,
    /// On whose keys.
    pub contention: Contention,
    /// Between an answer and the next operation of a client; nothing for as fast as can be.
    pub pace: Duration,
    /// How many operations a client sends at once.
    pub depth: usize,
    /// How many databases the clients are spread over, from 0 on. A client stays in its own.
    pub databases: u8,
    /// How long an answer is waited for.
    pub patience: Duration,
    /// Which writes are followed by a `WAIT`.
    pub confirm: Option<Confirm>,
    /// What the clients' choices depend on.
    pub seed: u64,
    /// How many threads the clients work on.
    pub threads: usize,
}

impl Plan {
    /// Four clients through the proxy, one operation each 4 ms, on eight shared keys of each
    /// family, in database 0.
    pub fn new(prefix: &str, mix: Mix) -> Self {
        Self {
            prefix: prefix.to_owned(),
            clients: 4,
            route: Route::Proxy,
            mix,
            contention: Contention::Shared(8),
            pace: Duration::from_millis(4),
            depth: 1,
            databases: 1,
            patience: Duration::from_secs(5),
            confirm: None,
            seed: 0,
            threads: 1,
        }
    }

    /// Whether a history has enough of this traffic to say something of a fault at `fault`: at
    /// least `rate` acknowledged operations per second before it, and one success of each kind in
    /// the mix. `Ok` carries what there was.
    ///
    /// # Errors
    /// A sentence that names what is missing: the run is inconclusive.
    pub fn exercised(&self, history: &History, fault: Moment, rate: f64) -> Result<String, String> {
        let beginning = format!("{}:", self.prefix);
        let mut before = 0_u32;
        let mut first: Option<Moment> = None;
        let mut seen = BTreeSet::new();
        for operation in &history.operations {
            let key = history.names.text(operation.key);
            if !key.starts_with(&beginning) {
                continue;
            }
            let Some(kind) = Kind::of(&operation.action, key) else {
                continue;
            };
            first = Some(first.map_or(operation.invoked, |first| first.min(operation.invoked)));
            if operation.outcome.fate() == Fate::Ok {
                before += u32::from(operation.completed < fault);
                seen.insert(kind);
            }
        }
        let seconds = first.map_or(0.0, |first| fault.since(first).as_secs_f64());
        let reached = if seconds > 0.0 {
            f64::from(before) / seconds
        } else {
            0.0
        };
        if reached < rate {
            return Err(format!(
                "before the fault the traffic '{}' had {before} operations acknowledged in {seconds:.2} s, \
                 fewer than {rate} a second",
                self.prefix
            ));
        }
        let missing: Vec<String> = self
            .mix
            .kinds()
            .filter(|kind| !seen.contains(kind))
            .map(|kind| format!("{kind:?}"))
            .collect();
        match missing.is_empty() {
            true => Ok(format!("{reached:.0} operations a second before the fault")),
            false => Err(format!(
                "the traffic '{}' never succeeded with {}",
                self.prefix,
                missing.join(", ")
            )),
        }
    }
}

/// A running traffic. Dropping it ends it without its record.
#[derive(Debug)]
pub struct Traffic {
    recording: Recording,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<Result<Record, JoinError>>>>,
}

impl Traffic {
    /// Starts the clients. Servers may change their addresses meanwhile: each connection asks for
    /// them anew. Must be called within a runtime, which stays there as long as the traffic.
    ///
    /// # Errors
    /// The cluster has no such node, or no proxy; no thread could be started.
    pub fn start(cluster: &Cluster, recording: &Recording, plan: &Plan) -> Result<Self> {
        let (target, server) = match &plan.route {
            Route::Proxy => (PROXY, cluster.proxy()?.handle()),
            Route::Node(name) => (name.as_str(), cluster.node(name)?.handle()),
        };
        let shared = Arc::new(Shared::default());
        let whereabouts = Arc::new(Whereabouts::of(cluster, recording));
        let mix = Arc::new(plan.mix.clone());
        let target = recording.name(target);
        let first = recording.clients(plan.clients);
        let mut shares: Vec<Vec<Worker>> = Vec::new();
        shares.resize_with(plan.threads.max(1), Vec::new);
        let count = shares.len();
        for number in first..first + plan.clients {
            let index = number - first;
            let worker = Worker {
                recording: recording.clone(),
                shared: Arc::clone(&shared),
                whereabouts: Arc::clone(&whereabouts),
                server: Arc::clone(&server),
                password: cluster.topology().password.clone(),
                target,
                proxied: plan.route == Route::Proxy,
                number,
                database: u8::try_from(index % u32::from(plan.databases.max(1))).unwrap_or(0),
                keys: Keys::new(
                    recording,
                    &plan.prefix,
                    number,
                    plan.contention,
                    mix.kinds(),
                ),
                mix: Arc::clone(&mix),
                rng: ChaCha8Rng::seed_from_u64(plan.seed ^ (u64::from(number) << 32)),
                depth: plan.depth.max(1),
                pace: plan.pace,
                patience: plan.patience,
                confirm: plan.confirm,
                values: 0,
                writes: 0,
                record: Record::default(),
            };
            shares[index as usize % count].push(worker);
        }
        // Made before the threads: should one of them fail to start, dropping it ends the others.
        let mut traffic = Self {
            recording: recording.clone(),
            shared,
            threads: Vec::new(),
        };
        for share in shares {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("no runtime for a traffic's clients")?;
            let thread = std::thread::Builder::new()
                .name("traffic".to_owned())
                .spawn(move || {
                    runtime.block_on(async {
                        let mut clients: JoinSet<Record> =
                            share.into_iter().map(Worker::run).collect();
                        let mut records = Vec::new();
                        while let Some(record) = clients.join_next().await {
                            records.push(record);
                        }
                        records
                    })
                })
                .context("no thread for a traffic's clients")?;
            traffic.threads.push(thread);
        }
        Ok(traffic)
    }

    /// The time on the recording's clock.
    pub fn now(&self) -> Moment {
        self.recording.now()
    }

    /// How many operations have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// How many operations were refused, never sent or not answered so far.
    pub fn unacknowledged(&self) -> usize {
        self.shared.unacknowledged.load(Ordering::Relaxed)
    }

    /// Waits until `count` more operations are acknowledged.
    ///
    /// # Errors
    /// They are not in time.
    pub async fn more(&self, cluster: &Cluster, count: usize) -> Result<(), Unmet> {
        self.more_than(cluster, self.acknowledged(), count).await
    }

    /// Waits until `count` more operations are acknowledged than `before`: for several traffics at
    /// once, whose counts were taken at the same time.
    ///
    /// # Errors
    /// They are not in time.
    pub async fn more_than(
        &self,
        cluster: &Cluster,
        before: usize,
        count: usize,
    ) -> Result<(), Unmet> {
        let what = format!("{count} more operations are acknowledged");
        eventually(cluster, &what, DEADLINE, || async move {
            match self.acknowledged() - before {
                enough if enough >= count => Ok(()),
                fewer => Err(format!("{fewer} more")),
            }
        })
        .await
    }

    /// Stops the clients and puts what they recorded into the recording. What is under way is
    /// waited for.
    ///
    /// # Errors
    /// A client's thread panicked: its record is lost.
    pub async fn end(mut self) -> Result<()> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            threads
                .into_iter()
                .map(JoinHandle::join)
                .collect::<Vec<_>>()
        });
        for records in joined.await.context("a traffic's clients")? {
            let Ok(records) = records else {
                anyhow::bail!("a thread of the traffic's clients panicked: its records are lost");
            };
            for record in records {
                let record = record.context("a traffic's client panicked: its record is lost")?;
                self.recording.deposit(record);
            }
        }
        Ok(())
    }

    /// As [`Self::end`], and ends the recording: for a run with one traffic.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub async fn stop(self) -> Result<History> {
        let recording = self.recording.clone();
        self.end().await?;
        Ok(recording.finish())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
    }
}
