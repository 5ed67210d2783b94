//! Clients that record all that they do, until they are stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redis::{Value, cmd};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::exchange::{self, Request};
use super::mix::{Contention, Kind, Mix};
use crate::cluster::{Client, ClientError, Cluster, Timeouts};
use crate::history::{Action, History, Moment, Name, Names, Operation, Outcome, Recorder, Token};
use crate::testbed::Port;
use crate::topology::PROXY;
use crate::wait::{DEADLINE, Unmet, eventually};

/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(20);
/// What is not answered within this is given up.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    reply: Duration::from_secs(5),
};
/// The time to live of [`Kind::Expiring`], milliseconds: longer than any run.
const LONG_TTL: u32 = 3_600_000;
/// Of a hundred operations of a kind, so many are reads.
const READS: u32 = 20;
/// As [`READS`], where a read brings all that was ever written to a key.
const LONG_READS: u32 = 3;
/// How long WAIT waits, milliseconds.
const WAIT_FOR: u32 = 1000;

/// Where clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The proxy.
    Proxy,
    /// These nodes, in turn.
    Nodes(Vec<String>),
}

/// What clients do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What all keys begin with.
    pub prefix: String,
    /// How many clients.
    pub clients: u32,
    /// Where they connect to.
    pub via: Via,
    /// What they do.
    pub mix: Mix,
    /// Which keys they share.
    pub contention: Contention,
    /// Between two operations of one client.
    pub pace: Duration,
    /// Clients are spread over this many databases, from 0.
    pub databases: u8,
    /// Every so-many-th write of a client is followed by `WAIT 1`; 0 for none.
    pub wait_every: u32,
    /// Of what clients draw by chance.
    pub seed: u64,
}

impl Plan {
    /// Eight clients through the proxy, each with keys of its own, 2 ms apart.
    pub fn through_proxy(prefix: &str, mix: Mix, seed: u64) -> Self {
        Self {
            prefix: prefix.to_owned(),
            clients: 8,
            via: Via::Proxy,
            mix,
            contention: Contention::Own(4),
            pace: Duration::from_millis(2),
            databases: 1,
            wait_every: 0,
            seed,
        }
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Traffic {
    plan: Plan,
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<(Names, Vec<Operation>)>>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    stopping: AtomicBool,
    acknowledged: AtomicUsize,
    /// By the position of the kind in [`Kind::ALL`].
    by_kind: Vec<AtomicU64>,
}

impl Traffic {
    /// Starts the clients, on the recorder's clock. Addresses must not change while they run (the
    /// proxy's does when it restarts in Docker).
    ///
    /// # Errors
    /// There is no such node, or it has no address now.
    pub async fn start(cluster: &Cluster, recorder: &Recorder, plan: Plan) -> Result<Self> {
        let mut ends: Vec<(Option<String>, SocketAddr)> = Vec::new();
        match &plan.via {
            Via::Proxy => {
                let server = cluster.proxy()?.server();
                ends.push((None, server.endpoint(Port::Service).await?));
            }
            Via::Nodes(names) => {
                for name in names {
                    let server = cluster.node(name)?.server();
                    ends.push((Some(name.clone()), server.endpoint(Port::Service).await?));
                }
            }
        }
        note_lives(cluster, recorder).await;
        let shared = Arc::new(Shared {
            began: recorder.began(),
            stopping: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
            by_kind: Kind::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        });
        let ends = ends.iter().cycle();
        let clients = (0..plan.clients)
            .zip(ends)
            .map(|(number, (node, address))| {
                let worker = Worker {
                    number,
                    node: node.clone(),
                    address: *address,
                    password: cluster.topology().password.clone(),
                    rng: ChaCha8Rng::seed_from_u64(plan.seed ^ u64::from(number) << 32),
                    plan: plan.clone(),
                    shared: Arc::clone(&shared),
                    connection: None,
                    names: Names::default(),
                    tokens: 0,
                    added: None,
                    writes: 0,
                };
                tokio::spawn(worker.run())
            });
        Ok(Self {
            clients: clients.collect(),
            shared,
            plan,
        })
    }

    /// How many operations have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more operations are acknowledged.
    ///
    /// # Errors
    /// They are not in time.
    pub async fn more(&self, cluster: &Cluster, number: usize) -> Result<(), Unmet> {
        let wanted = self.acknowledged() + number;
        let what = format!("{number} more operations are acknowledged");
        eventually(cluster, &what, DEADLINE, || async {
            let now = self.acknowledged();
            match now >= wanted {
                true => Ok(()),
                false => Err(format!("{} missing", wanted - now)),
            }
        })
        .await
    }

    /// The kinds of its mix of which no operation has succeeded: a run in which there is one says
    /// nothing of it.
    pub fn untried(&self) -> Vec<&'static str> {
        let tried = |kind: Kind| self.shared.by_kind[kind as usize].load(Ordering::Relaxed) > 0;
        let kinds = self.plan.mix.kinds();
        kinds.filter(|kind| !tried(*kind)).map(Kind::name).collect()
    }

    /// Stops the clients; gives what each recorded.
    pub async fn stop(mut self) -> Vec<(Names, Vec<Operation>)> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let mut recorded = Vec::new();
        for client in std::mem::take(&mut self.clients) {
            // What a client recorded that panicked is lost.
            recorded.extend(client.await);
        }
        recorded
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for client in &self.clients {
            client.abort();
        }
    }
}

/// Ends a recording: the clients' operations, with the names of the nodes that served them.
pub async fn finish(
    cluster: &Cluster,
    recorder: Recorder,
    mut clients: Vec<(Names, Vec<Operation>)>,
) -> History {
    note_lives(cluster, &recorder).await;
    for (names, operations) in &mut clients {
        for operation in operations {
            let Some(run_id) = names.text(operation.node).strip_prefix(RUN) else {
                continue;
            };
            let node = recorder.node_of(run_id);
            operation.node = names.number(node.as_deref().unwrap_or(PROXY));
        }
    }
    recorder.finish(clients)
}

/// Before a run id that stands for a node until it is known.
const RUN: &str = "run ";

/// Notes which node has which run id now.
pub(super) async fn note_lives(cluster: &Cluster, recorder: &Recorder) {
    for node in cluster.live() {
        let Ok(info) = node.glance().await else {
            continue;
        };
        if let Some(run_id) = info.run_id() {
            recorder.life(node.name(), run_id);
        }
    }
}

/// One client.
struct Worker {
    number: u32,
    /// The node that it is pinned to.
    node: Option<String>,
    address: SocketAddr,
    password: Option<String>,
    rng: ChaCha8Rng,
    plan: Plan,
    shared: Arc<Shared>,
    connection: Option<(Client, Name)>,
    names: Names,
    tokens: u32,
    /// The member that it added last, to be removed.
    added: Option<(Name, Token)>,
    writes: u32,
}

impl Worker {
    async fn run(mut self) -> (Names, Vec<Operation>) {
        let mut operations = Vec::new();
        while !self.shared.stopping.load(Ordering::SeqCst) {
            let Some(kind) = self.plan.mix.draw(&mut self.rng) else {
                break;
            };
            let (key, action) = self.choose(kind);
            let operation = self.carry_out(key, action).await;
            let acknowledged = matches!(operation.outcome, Outcome::Ok(_));
            operations.push(operation);
            if acknowledged {
                self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                self.shared.by_kind[kind as usize].fetch_add(1, Ordering::Relaxed);
            }
            match (acknowledged, self.plan.pace) {
                (false, _) => sleep(RETRY).await,
                (true, Duration::ZERO) => {}
                (true, pace) => sleep(pace).await,
            }
        }
        (self.names, operations)
    }

    fn database(&self) -> u8 {
        u8::try_from(self.number % u32::from(self.plan.databases.max(1))).unwrap_or(0)
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token {
            client: self.number,
            number: self.tokens,
        }
    }

    fn key(&mut self, kind: Kind) -> Name {
        let (prefix, kind) = (&self.plan.prefix, kind.name());
        let text = match self.plan.contention {
            Contention::Own(keys) => {
                let n = self.rng.random_range(0..keys.max(1));
                format!("{prefix}:{kind}:{}:{n}", self.number)
            }
            Contention::Shared(keys) => {
                let n = self.rng.random_range(0..keys.max(1));
                format!("{prefix}:{kind}:{n}")
            }
        };
        self.names.number(&text)
    }

    /// The three keys of a transaction.
    fn three(&mut self, key: Name) -> Box<[Name]> {
        let first = self.names.text(key).to_owned();
        let second = self.names.number(&format!("{first}:b"));
        let third = self.names.number(&format!("{first}:c"));
        Box::new([key, second, third])
    }

    fn choose(&mut self, kind: Kind) -> (Name, Action) {
        let key = match kind {
            Kind::Unique => {
                let text = format!(
                    "{}:unique:{}:{}",
                    self.plan.prefix, self.number, self.tokens
                );
                self.names.number(&text)
            }
            _ => self.key(kind),
        };
        let chance = self.rng.random_range(0..100);
        let reads = match kind {
            Kind::Append | Kind::List | Kind::Set | Kind::Ranking | Kind::Stream => LONG_READS,
            Kind::Unique => 0,
            _ => READS,
        };
        let token = self.token();
        let action = match (kind, chance < reads) {
            (
                Kind::Register | Kind::Deleted | Kind::Expiring | Kind::Counter | Kind::Append,
                true,
            ) => Action::Get,
            (Kind::List, true) => Action::List,
            (Kind::Set, true) => Action::Members,
            (Kind::Hash, true) => Action::Fields,
            (Kind::Ranking, true) => Action::Ranking,
            (Kind::Stream, true) => Action::Entries,
            (Kind::Transaction | Kind::Script, true) => Action::GetAll(self.three(key)),
            (Kind::Register | Kind::Unique, _) => Action::Set(token),
            (Kind::Deleted, _) if chance % 2 == 0 => Action::Delete,
            (Kind::Deleted, _) => Action::Set(token),
            (Kind::Expiring, _) => Action::SetFor(token, LONG_TTL),
            (Kind::Counter, _) => Action::Increment(1 + i32::from(chance % 2 == 0)),
            (Kind::Append, _) => Action::Append(token),
            (Kind::List, _) => Action::Push(token),
            (Kind::Set, _) => match self.added.take() {
                Some((key, member)) if chance % 4 == 0 => return (key, Action::Remove(member)),
                _ => {
                    self.added = Some((key, token));
                    Action::Add(token)
                }
            },
            (Kind::Hash, _) => Action::PutField((chance % 4) as u16, token),
            (Kind::Ranking, _) => Action::Score(chance as i32, token),
            (Kind::Stream, _) => Action::Log(token),
            (Kind::Transaction, _) => Action::SetAll(self.three(key), token),
            (Kind::Script, _) => Action::ScriptSetAll(self.three(key), token),
        };
        (key, action)
    }

    fn now(&self) -> Moment {
        Moment::from(self.shared.began.elapsed())
    }

    async fn carry_out(&mut self, key: Name, action: Action) -> Operation {
        let invoked = self.now();
        let sent = self.send(key, &action).await;
        let completed = self.now();
        let mut confirmed = 0;
        let outcome = match sent {
            Ok(value) => {
                let said = exchange::reply(&mut self.names, &action, value);
                if exchange::writes(&action) {
                    confirmed = self.confirm().await;
                }
                Outcome::Ok(said)
            }
            Err(error) => {
                let text = self.names.number(&error.to_string());
                match error {
                    ClientError::Unknown(_) => Outcome::Unknown(text),
                    // A script is not undone when one of its commands is refused.
                    ClientError::Refused(_) if matches!(action, Action::ScriptSetAll(..)) => {
                        Outcome::Unknown(text)
                    }
                    _ => Outcome::Fail(text),
                }
            }
        };
        let node = match &self.connection {
            Some((_, node)) => *node,
            None => self.names.number(PROXY),
        };
        if !matches!(outcome, Outcome::Ok(_)) {
            self.connection = None;
        }
        Operation {
            client: self.number,
            node,
            proxied: self.node.is_none(),
            database: self.database(),
            confirmed,
            key,
            action,
            invoked,
            completed,
            outcome,
        }
    }

    async fn send(&mut self, key: Name, action: &Action) -> Result<Value, ClientError> {
        let mut client = match &self.connection {
            Some((client, _)) => client.clone(),
            None => self.connect().await?,
        };
        match exchange::request(&self.names, key, action) {
            Request::One(command) => client.query(&command).await,
            Request::Atomic(pipe) => client.pipeline(&pipe).await,
        }
    }

    async fn connect(&mut self) -> Result<Client, ClientError> {
        let password = self.password.as_deref();
        let mut client = Client::connect(self.address, password, TIMEOUTS).await?;
        // Nothing was written yet, whatever goes wrong here.
        let not_sent = |error: ClientError| match error {
            ClientError::Unknown(cause) => ClientError::NotSent {
                address: self.address.to_string(),
                cause,
            },
            other => other,
        };
        let database = u32::from(self.database());
        if database > 0 {
            client.select(database).await.map_err(not_sent)?;
        }
        let node = match &self.node {
            Some(node) => node.clone(),
            None => {
                let info: String = client
                    .query(cmd("INFO").arg("server"))
                    .await
                    .map_err(not_sent)?;
                let info = crate::cluster::info::Info::parse(&info);
                let run_id = info.run_id().unwrap_or_default();
                format!("{RUN}{run_id}")
            }
        };
        let node = self.names.number(&node);
        self.connection = Some((client.clone(), node));
        Ok(client)
    }

    /// Asks, for some writes, how many replicas have it.
    async fn confirm(&mut self) -> u8 {
        self.writes += 1;
        let every = self.plan.wait_every;
        if every == 0 || !self.writes.is_multiple_of(every) {
            return 0;
        }
        let Some((client, _)) = &mut self.connection else {
            return 0;
        };
        let mut wait = cmd("WAIT");
        let confirmed: Result<u64, _> = client.query(wait.arg(1).arg(WAIT_FOR)).await;
        confirmed.map_or(0, |replicas| u8::try_from(replicas).unwrap_or(u8::MAX))
    }
}
