//! Where a topology runs. Scenarios never know which testbed they are on.
//!
//! A [`Testbed`] opens a [`Site`] per cluster: the addresses, and later the servers, of that one
//! cluster. A [`Server`] is one KeyDB or HAProxy that can be started, stopped, killed and paused.
//! To add a testbed: one folder with these three traits implemented, one line in [`crate::lab`].

#[cfg(feature = "docker")]
pub mod docker;
pub mod embedded;
pub mod process;
mod procfs;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::secret::Secret;
use crate::spec::{HaproxySpec, KeydbSpec};
use crate::topology::render::{CHECK_TIMEOUT, HEALTH_CHECK};

/// Something about the machine, not about KeyDB, keeps the run from being made: exit code 3.
///
/// The text names the thing, the cause and the mend in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EnvironmentError(pub String);

impl EnvironmentError {
    /// An error with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// The testbeds there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TestbedKind {
    /// Containers on a Docker engine.
    Docker,
    /// Child processes on loopback addresses.
    Process,
    /// Models of KeyDB within this process: they validate the harness, not KeyDB.
    Embedded,
}

impl fmt::Display for TestbedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Process => "process",
            Self::Embedded => "embedded",
        })
    }
}

/// How long conditions are waited for on a testbed. No verdict depends on how fast the machine is:
/// these are bounds that a sound cluster does not come near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The longest that any condition is waited for.
    pub deadline: Duration,
    /// For how long links must stay up in a row. On real servers a corrupt stream shows as up,
    /// down, up within two seconds (measured on 6.3.4), as they reconnect once a second.
    pub steady: Duration,
    /// Seconds that a key lives which has to be seen everywhere before it expires.
    pub short_ttl: u64,
    /// Between an answer and the next operation of a client that takes its time.
    pub between: Duration,
    /// One in how many of the keys that a scenario has for their number is enough.
    pub one_in: usize,
    /// Between two health checks of the proxy.
    pub health_check: Duration,
    /// How long a server may take to answer one before the proxy takes it for dead.
    pub check_timeout: Duration,
    /// Trials that run at a time unless another number is asked for.
    pub jobs: usize,
}

impl TestbedKind {
    /// The pace of its servers. Models reconnect forty times a second.
    pub fn pace(self) -> Pace {
        match self {
            Self::Docker | Self::Process => Pace {
                deadline: Duration::from_secs(90),
                steady: Duration::from_millis(2500),
                short_ttl: 5,
                between: Duration::from_millis(4),
                one_in: 1,
                health_check: HEALTH_CHECK,
                check_timeout: CHECK_TIMEOUT,
                // Half of their time is spent in waiting.
                jobs: if self == Self::Docker { 4 } else { 6 },
            },
            Self::Embedded => Pace {
                // All models share this process with the clients: on a machine under load none of
                // them is quick (seen: 20 s were too few for 80 sessions, and a model stood still for
                // longer than two checks of a second each).
                deadline: Duration::from_secs(90),
                steady: Duration::from_millis(150),
                short_ttl: 2,
                // What is damaged by chance on a server under load is damaged always on a model: as
                // many operations and keys prove as much, and cost most of the time.
                between: Duration::from_millis(16),
                one_in: 8,
                health_check: Duration::from_millis(60),
                check_timeout: Duration::from_secs(3),
                jobs: 12,
            },
        }
    }
}

/// A program a testbed can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A KeyDB server.
    Keydb(KeydbSpec),
    /// HAProxy.
    Haproxy(HaproxySpec),
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keydb(spec) => write!(f, "KeyDB {spec}"),
            Self::Haproxy(spec) => write!(f, "HAProxy {spec}"),
        }
    }
}

/// A port of a server, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Port {
    /// RESP: what clients and replicas connect to.
    Service,
    /// HAProxy's admin socket.
    Admin,
}

/// A server to be created: what a testbed needs to know of it.
#[derive(Debug, Clone)]
pub struct ServerPlan {
    /// One of the names the site was opened with.
    pub name: String,
    /// What to run.
    pub program: Program,
    /// The text of its configuration file, rendered for the site's addresses.
    pub config: Secret,
}

/// A server a site will hold: known before the site is opened, so that addresses can be given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Unique within the cluster.
    pub name: String,
    /// A fixed service port on 127.0.0.1 of the host, instead of a free one.
    pub host_port: Option<u16>,
    /// Whether there is an admin port besides the service port.
    pub admin: bool,
}

/// How a server is doing, as its testbed sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Runs.
    Running,
    /// Frozen by [`Server::pause`].
    Paused,
    /// Was never started, or ended; with the exit code where one is known (128 + n for signal n).
    Ended(Option<i32>),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Paused => f.write_str("paused"),
            Self::Ended(None) => f.write_str("not running"),
            Self::Ended(Some(code)) => write!(f, "ended with code {code}"),
        }
    }
}

/// A place where clusters can run.
#[async_trait]
pub trait Testbed: Send + Sync + fmt::Debug {
    /// Which one this is.
    fn kind(&self) -> TestbedKind;

    /// Makes sure that `program` can run here; fetches or imports it where that takes long, so
    /// that no deadline of a cluster pays for it.
    ///
    /// # Errors
    /// Names the program, why it cannot run here, and the mend.
    async fn prepare(&self, program: &Program) -> Result<(), EnvironmentError>;

    /// Opens a site for one cluster with these servers, none of them created yet.
    ///
    /// # Errors
    /// No address or network is free, or a fixed port is taken.
    async fn open(&self, seats: &[Seat]) -> Result<Arc<dyn Site>, EnvironmentError>;

    /// Removes what dead runs left here; returns a line for each thing removed. With `dry`, only
    /// says what it would remove.
    ///
    /// # Errors
    /// The testbed does not answer.
    async fn sweep(&self, dry: bool) -> Result<Vec<String>, EnvironmentError>;
}

/// The place of one cluster.
#[async_trait]
pub trait Site: Send + Sync + fmt::Debug {
    /// The address a server has to bind to.
    fn listens_on(&self, server: &str, port: Port) -> SocketAddr;

    /// The address at which the cluster's other servers reach a server. It stays the same over
    /// restarts.
    fn reached_at(&self, server: &str, port: Port) -> SocketAddr;

    /// The data directory of a server, as the server sees it.
    fn data_dir(&self, server: &str) -> String;

    /// The address of this machine on which relays may listen, on any port, and which the site's
    /// servers reach. Where it depends on the machine whether they do, a server of `program` is
    /// seen to connect first.
    ///
    /// # Errors
    /// There is none; the text says why.
    async fn relays_on(&self, _program: &Program) -> Result<IpAddr, EnvironmentError> {
        Err(EnvironmentError::new("this testbed has no relays"))
    }

    /// Creates a server without starting it.
    ///
    /// # Errors
    /// The program cannot run here, or the testbed refused.
    async fn create(&self, plan: ServerPlan) -> Result<Arc<dyn Server>, EnvironmentError>;

    /// Removes every server, its data and the site itself. May be called more than once, and from
    /// outside a runtime; blocks until all is gone.
    fn close(&self);
}

pub(crate) fn no_network() -> EnvironmentError {
    EnvironmentError::new(
        "servers of this testbed share the network of this machine, so that none can be taken from one of them: use --testbed docker",
    )
}

/// One KeyDB or HAProxy on a testbed.
#[async_trait]
pub trait Server: Send + Sync + fmt::Debug {
    /// Starts it, also after a stop; the data directory is kept. Does not wait until it answers.
    ///
    /// # Errors
    /// The testbed refused to start it.
    async fn start(&self) -> Result<(), EnvironmentError>;

    /// SIGTERM, then waits until it is gone; SIGKILL after `grace`.
    ///
    /// # Errors
    /// The testbed did not carry it out, or the server was still there after SIGKILL.
    async fn stop(&self, grace: Duration) -> Result<(), EnvironmentError>;

    /// SIGKILL, then waits until it is gone.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    async fn kill(&self) -> Result<(), EnvironmentError>;

    /// Has a proxy reloaded as operators do: another process takes over its ports with the
    /// configuration as it is now, the old one serves its sessions until they end. Does not wait
    /// until that is so.
    ///
    /// # Errors
    /// It is no proxy, does not run, or the testbed did not carry it out.
    async fn reload(&self) -> Result<(), EnvironmentError> {
        Err(EnvironmentError::new("this testbed cannot reload a server"))
    }

    /// Whether it has a network of its own, which can be taken away.
    fn has_network(&self) -> bool {
        false
    }

    /// Takes its network away: nothing that is sent to it or by it arrives, and nobody is told. It
    /// goes on running.
    ///
    /// # Errors
    /// It has no network of its own, does not run, or the testbed did not carry it out.
    async fn disconnect(&self) -> Result<(), EnvironmentError> {
        Err(no_network())
    }

    /// Gives its network back, with the address that it had.
    ///
    /// # Errors
    /// As [`Server::disconnect`].
    async fn reconnect(&self) -> Result<(), EnvironmentError> {
        Err(no_network())
    }

    /// Sends a KeyDB one command from within, where no network is needed, and returns the reply as
    /// `keydb-cli` prints it.
    ///
    /// # Errors
    /// One cannot look into it, there is no `keydb-cli` in it, or it does not answer.
    async fn ask_inside(
        &self,
        _words: &[&str],
        _password: Option<&str>,
    ) -> Result<String, EnvironmentError> {
        Err(no_network())
    }

    /// Freezes it (SIGSTOP, or the cgroup freezer): connections stay open, nothing answers.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    async fn pause(&self) -> Result<(), EnvironmentError>;

    /// Thaws it.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    async fn resume(&self) -> Result<(), EnvironmentError>;

    /// Puts another program with another configuration on the same data and address. The server
    /// must not be running; start it afterwards.
    ///
    /// # Errors
    /// The server runs, or the program cannot run here.
    async fn replace(&self, program: Program, config: String) -> Result<(), EnvironmentError>;

    /// Gives it another configuration, which holds from its next start on.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    async fn reconfigure(&self, _config: String) -> Result<(), EnvironmentError> {
        Err(EnvironmentError::new(
            "this testbed cannot change a configuration",
        ))
    }

    /// Empties its data directory. The server must not be running.
    ///
    /// # Errors
    /// The server runs, or the testbed did not carry it out.
    async fn wipe(&self) -> Result<(), EnvironmentError> {
        Err(EnvironmentError::new("this testbed cannot wipe data"))
    }

    /// The names of the files in its data directory, sorted.
    ///
    /// # Errors
    /// The testbed cannot tell.
    async fn data_files(&self) -> Result<Vec<String>, EnvironmentError> {
        Err(EnvironmentError::new("this testbed cannot list data"))
    }

    /// How long, since it was started, it was ready to run and others had the processors: of its
    /// threads, the one that waited longest.
    ///
    /// # Errors
    /// It does not run, one cannot look into it, or the kernel does not count that.
    async fn kept_waiting(&self) -> Result<Duration, EnvironmentError> {
        Err(EnvironmentError::new(
            "this testbed cannot look into a process",
        ))
    }

    /// How many descriptors it has open.
    ///
    /// # Errors
    /// It does not run, or the testbed cannot tell.
    async fn descriptors(&self) -> Result<u64, EnvironmentError> {
        Err(EnvironmentError::new(
            "this testbed cannot count descriptors",
        ))
    }

    /// The address at which this process reaches the server. Ask anew for every connection: with
    /// Docker it changes at each start (measured).
    ///
    /// # Errors
    /// There is none while a container is down.
    async fn endpoint(&self, port: Port) -> Result<SocketAddr, EnvironmentError>;

    /// How it is doing.
    ///
    /// # Errors
    /// The testbed does not answer.
    async fn status(&self) -> Result<Status, EnvironmentError>;

    /// Everything it printed since it was created, over all its starts.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn log(&self) -> Result<String, EnvironmentError>;

    /// The SHA-256 of the file it was started from, in hex; `executable` is the path the server
    /// itself reports.
    ///
    /// # Errors
    /// The file cannot be read.
    async fn binary_sha256(&self, executable: &str) -> Result<String, EnvironmentError>;
}
