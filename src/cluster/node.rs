//! One KeyDB of a cluster: the testbed's server with a typed client on top.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::client::{Client, ClientError, Timeouts};
use super::endpoint;
use super::info::Info;
use super::role::RoleReply;
use crate::secret::Secret;
use crate::spec::KeydbSpec;
use crate::testbed::{EnvironmentError, Program, Server, Status};
use crate::topology::NodeSpec;

/// How long SIGTERM may take: an RDB is saved meanwhile.
const GRACE: Duration = Duration::from_secs(60);

/// One KeyDB server of a cluster.
#[derive(Debug)]
pub struct Node {
    spec: NodeSpec,
    keydb: KeydbSpec,
    config: Secret,
    password: Option<Secret>,
    server: Arc<dyn Server>,
    /// Whether it was started and not stopped on purpose since.
    should_run: AtomicBool,
    /// Whether it is frozen on purpose.
    paused: AtomicBool,
    /// Whether its network was taken away on purpose.
    cut_off: AtomicBool,
    /// How it ended each time it was told to.
    ends: Mutex<Vec<Status>>,
    /// Whether it was ever killed.
    killed: AtomicBool,
}

impl Node {
    pub(super) fn new(
        spec: NodeSpec,
        keydb: KeydbSpec,
        config: Secret,
        password: Option<Secret>,
        server: Arc<dyn Server>,
    ) -> Self {
        Self {
            spec,
            keydb,
            config,
            password,
            server,
            should_run: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            ends: Mutex::new(Vec::new()),
            killed: AtomicBool::new(false),
        }
    }

    /// Its name, for example `primary1`.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its part of the topology.
    pub fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// The KeyDB that it was created with: the run's own, unless the topology names another.
    pub fn keydb(&self) -> &KeydbSpec {
        &self.keydb
    }

    /// The testbed's view of it.
    pub fn server(&self) -> &dyn Server {
        self.server.as_ref()
    }

    /// The testbed's view of it, for tasks that outlive a borrow.
    pub(crate) fn handle(&self) -> Arc<dyn Server> {
        Arc::clone(&self.server)
    }

    /// Whether it ought to be alive and answering: started, not stopped, not paused, not cut off.
    pub fn should_answer(&self) -> bool {
        self.should_run.load(Ordering::SeqCst)
            && !self.paused.load(Ordering::SeqCst)
            && !self.is_cut_off()
    }

    /// Whether its network was taken away on purpose: it can only be asked from within.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::SeqCst)
    }

    /// Starts it. Does not wait until it answers.
    ///
    /// # Errors
    /// The testbed refused.
    pub async fn start(&self) -> Result<(), EnvironmentError> {
        self.server.start().await?;
        self.should_run.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Stops it with SIGTERM and waits until it is gone.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn stop(&self) -> Result<(), EnvironmentError> {
        self.should_run.store(false, Ordering::SeqCst);
        self.server.stop(GRACE).await?;
        let end = self.server.status().await?;
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(end);
        Ok(())
    }

    /// How it ended each time it was told to with [`Self::stop`].
    pub fn ends(&self) -> Vec<Status> {
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stops it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn kill(&self) -> Result<(), EnvironmentError> {
        self.should_run.store(false, Ordering::SeqCst);
        self.killed.store(true, Ordering::SeqCst);
        self.server.kill().await
    }

    /// Whether it was ever stopped with SIGKILL.
    pub fn was_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    /// Stop, then start.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn restart(&self) -> Result<(), EnvironmentError> {
        self.stop().await?;
        self.start().await
    }

    /// Freezes it: connections stay open, nothing answers.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn pause(&self) -> Result<(), EnvironmentError> {
        self.paused.store(true, Ordering::SeqCst);
        self.server.pause().await
    }

    /// Thaws it.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn resume(&self) -> Result<(), EnvironmentError> {
        self.server.resume().await?;
        self.paused.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Takes its network away: it goes on running, nobody reaches it, and nobody is told.
    /// [`Self::info`] and [`Self::glance`] ask it from within meanwhile.
    ///
    /// # Errors
    /// The testbed cannot, or did not carry it out.
    pub async fn disconnect(&self) -> Result<(), EnvironmentError> {
        self.server.disconnect().await?;
        self.cut_off.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Gives its network back, with the same address.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn reconnect(&self) -> Result<(), EnvironmentError> {
        self.server.reconnect().await?;
        self.cut_off.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Its INFO, all sections, asked from within, where no network is needed.
    ///
    /// # Errors
    /// The testbed cannot look into it, or it does not answer.
    pub async fn info_inside(&self) -> Result<Info, EnvironmentError> {
        let password = self.password.as_deref();
        let text = self.server.ask_inside(&["INFO", "all"], password).await?;
        Ok(Info::parse(&text))
    }

    /// Stops it, puts another KeyDB on the same data and address, and starts that.
    ///
    /// # Errors
    /// The other KeyDB cannot run here, or the testbed did not carry it out.
    pub async fn replace(&self, keydb: KeydbSpec) -> Result<(), EnvironmentError> {
        self.stop().await?;
        self.server
            .replace(Program::Keydb(keydb), self.config.to_string())
            .await?;
        self.start().await
    }

    /// Gives it the configuration it was created with and these lines after it, which so win, from
    /// its next start on. Lines that were added before are gone.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn reconfigure(&self, lines: &str) -> Result<(), EnvironmentError> {
        let config = format!("{}{lines}", &*self.config);
        self.server.reconfigure(config).await
    }

    /// The configuration that it was created with.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// Gives it the configuration it was created with but for the lines that begin with one of these
    /// words, from its next start on.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn reconfigure_without(&self, words: &[&str]) -> Result<(), EnvironmentError> {
        let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let kept = self.config.lines();
        let kept = kept.filter(|line| !words.contains(&first(line).as_str()));
        let config: String = kept.map(|line| format!("{line}\n")).collect();
        self.server.reconfigure(config).await
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

    /// A new connection to it.
    ///
    /// # Errors
    /// [`ClientError::NotSent`].
    pub async fn client(&self) -> Result<Client, ClientError> {
        self.client_with(Timeouts::PATIENT).await
    }

    /// A new connection to it with these time-outs.
    ///
    /// # Errors
    /// [`ClientError::NotSent`].
    pub async fn client_with(&self, timeouts: Timeouts) -> Result<Client, ClientError> {
        connect(self.server.as_ref(), self.password.as_deref(), timeouts).await
    }

    /// Its INFO, all sections, over a connection of its own.
    ///
    /// # Errors
    /// It does not answer, however patiently it is asked.
    pub async fn info(&self) -> Result<Info, ClientError> {
        self.info_with(Timeouts::PATIENT).await
    }

    /// As [`Self::info`], without patience: for looking at it again and again.
    ///
    /// # Errors
    /// It does not answer within a glance's time.
    pub async fn glance(&self) -> Result<Info, ClientError> {
        self.info_with(Timeouts::GLANCE).await
    }

    async fn info_with(&self, timeouts: Timeouts) -> Result<Info, ClientError> {
        if self.is_cut_off() {
            let inside = self.info_inside().await;
            return inside.map_err(|error| ClientError::Unknown(error.to_string()));
        }
        let mut client = self.client_with(timeouts).await?;
        let text: String = client.query(redis::cmd("INFO").arg("all")).await?;
        Ok(Info::parse(&text))
    }

    /// Its ROLE.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn role(&self) -> Result<RoleReply, ClientError> {
        let mut client = self.client().await?;
        let reply: redis::Value = client.query(&redis::cmd("ROLE")).await?;
        Ok(RoleReply::from(reply))
    }

    /// Everything it logged since it was created.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn log(&self) -> Result<String, EnvironmentError> {
        self.server.log().await
    }

    /// How its testbed sees it.
    ///
    /// # Errors
    /// The testbed does not answer.
    pub async fn status(&self) -> Result<Status, EnvironmentError> {
        self.server.status().await
    }
}

/// Connects to where `server` is reached now.
pub(super) async fn connect(
    server: &dyn Server,
    password: Option<&str>,
    timeouts: Timeouts,
) -> Result<Client, ClientError> {
    let address = endpoint::address(server)
        .await
        .map_err(|error| ClientError::NotSent {
            address: "a server without an address".to_owned(),
            cause: error.to_string(),
        })?;
    Client::connect(address, password, timeouts).await
}
