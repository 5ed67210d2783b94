//! HAProxy of a cluster: a client through it, and its admin socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{Client, ClientError, Timeouts};
use super::endpoint;
use super::haproxy_stat::{self, ServerStat};
use super::node::connect;
use crate::input;
use crate::secret::Secret;
use crate::testbed::{EnvironmentError, Port, Server};

/// How long the admin socket may take to answer.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);

/// The name of the `listen` section of `haproxy.cfg`.
const BACKEND: &str = "keydb";

/// What the admin socket can make of a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminState {
    /// Its health checks decide.
    Ready,
    /// It keeps its sessions and gets no new ones.
    Drain,
    /// Out of service, without health checks; its sessions are cut.
    Maint,
}

/// The proxy of a cluster.
#[derive(Debug)]
pub struct Proxy {
    server: Arc<dyn Server>,
    password: Option<Secret>,
    backends: Vec<String>,
    config: Secret,
    /// Whether it was started and not stopped on purpose since.
    should_run: AtomicBool,
    /// Whether it was ever stopped or reloaded.
    struck: AtomicBool,
}

impl Proxy {
    pub(super) fn new(
        server: Arc<dyn Server>,
        password: Option<Secret>,
        backends: Vec<String>,
        config: Secret,
    ) -> Self {
        Self {
            server,
            password,
            backends,
            config,
            should_run: AtomicBool::new(false),
            struck: AtomicBool::new(false),
        }
    }

    /// Whether it ought to be alive: started and not stopped on purpose since.
    pub fn should_run(&self) -> bool {
        self.should_run.load(Ordering::SeqCst)
    }

    /// Whether it was ever stopped or reloaded: it may have another configuration since.
    pub fn was_struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// The testbed's view of it.
    pub fn server(&self) -> &dyn Server {
        self.server.as_ref()
    }

    /// The testbed's view of it, for tasks that outlive a borrow.
    pub(crate) fn handle(&self) -> Arc<dyn Server> {
        Arc::clone(&self.server)
    }

    /// The names of the primaries it balances over.
    pub fn backends(&self) -> &[String] {
        &self.backends
    }

    /// The configuration that it was created with.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Where clients reach it now. With Docker that changes at each start.
    ///
    /// # Errors
    /// It has no address: its container is down.
    pub async fn address(&self) -> Result<SocketAddr, EnvironmentError> {
        endpoint::address(self.server.as_ref()).await
    }

    /// [`Self::address`] as a URL for redis clients, with the password if there is one:
    /// `redis://:PASSWORD@HOST:PORT/`.
    ///
    /// # Errors
    /// As [`Self::address`].
    pub async fn url(&self) -> Result<String, EnvironmentError> {
        endpoint::url(self.server.as_ref(), self.password.as_deref()).await
    }

    /// A new connection through it, to whichever primary it picks.
    ///
    /// # Errors
    /// [`ClientError::NotSent`].
    pub async fn client(&self) -> Result<Client, ClientError> {
        self.client_with(Timeouts::PATIENT).await
    }

    /// A new connection through it with these time-outs.
    ///
    /// # Errors
    /// [`ClientError::NotSent`].
    pub async fn client_with(&self, timeouts: Timeouts) -> Result<Client, ClientError> {
        connect(self.server.as_ref(), self.password.as_deref(), timeouts).await
    }

    /// Starts it.
    ///
    /// # Errors
    /// The testbed refused.
    pub async fn start(&self) -> Result<(), EnvironmentError> {
        self.server.start().await?;
        self.should_run.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Stops it at once; every session through it breaks, also those of the processes that a reload
    /// left behind. With SIGKILL, which nothing in HAProxy can put off.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn stop(&self) -> Result<(), EnvironmentError> {
        self.should_run.store(false, Ordering::SeqCst);
        self.struck.store(true, Ordering::SeqCst);
        self.server.kill().await
    }

    /// Reloads it as operators do: another process takes over its ports, the old one serves its
    /// sessions until they end. Does not wait until that is so.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn reload(&self) -> Result<(), EnvironmentError> {
        self.struck.store(true, Ordering::SeqCst);
        self.server.reload().await
    }

    /// What `show info` calls the process that has the ports now: `Pid`.
    ///
    /// # Errors
    /// The admin socket does not answer, or says no such thing.
    pub async fn process(&self) -> Result<String, String> {
        let info = self.admin("show info").await?;
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid: "));
        pid.map(|pid| pid.trim().to_owned())
            .ok_or_else(|| "HAProxy's admin socket shows no Pid".to_owned())
    }

    /// Sends one line to the admin socket and returns the answer.
    ///
    /// # Errors
    /// The socket does not answer in time; the text says why.
    pub async fn admin(&self, line: &str) -> Result<String, String> {
        let address = self
            .server
            .endpoint(Port::Admin)
            .await
            .map_err(|error| error.to_string())?;
        let exchange = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(format!("{line}\n").as_bytes()).await?;
            input::answer(stream, input::TEXT).await
        };
        match timeout(ADMIN_TIMEOUT, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("HAProxy's admin socket: {error}")),
            Err(_) => Err("HAProxy's admin socket does not answer".to_owned()),
        }
    }

    /// What it thinks of its primaries, in the order of its configuration.
    ///
    /// # Errors
    /// The admin socket does not answer, or not with statistics.
    pub async fn backend_stats(&self) -> Result<Vec<ServerStat>, String> {
        let answer = self.admin("show stat").await?;
        let stats = haproxy_stat::parse(&answer).map_err(|error| error.to_string())?;
        Ok(stats
            .into_iter()
            .filter(|stat| self.backends.contains(&stat.server))
            .collect())
    }

    /// Its word for the primary called `name`: `UP`, `DOWN`, `MAINT`, `DRAIN`, or `UP 1/2`.
    ///
    /// # Errors
    /// The admin socket does not answer, or knows no such primary.
    pub async fn status_of(&self, name: &str) -> Result<String, String> {
        let stats = self.backend_stats().await?;
        let stat = stats.into_iter().find(|stat| stat.server == name);
        stat.map(|stat| stat.status)
            .ok_or_else(|| format!("the proxy knows no {name}"))
    }

    /// Puts the primary called `name` into `state`.
    ///
    /// # Errors
    /// The admin socket does not answer, or refuses; the text says why.
    pub async fn set_state(&self, name: &str, state: AdminState) -> Result<(), String> {
        let word = match state {
            AdminState::Ready => "ready",
            AdminState::Drain => "drain",
            AdminState::Maint => "maint",
        };
        let answer = self
            .admin(&format!("set server {BACKEND}/{name} state {word}"))
            .await?;
        match answer.trim() {
            "" => Ok(()),
            refusal => Err(format!("the proxy's admin socket: {refusal}")),
        }
    }
}
