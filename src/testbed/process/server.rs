//! One server as a child process.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::guardian::Forks;
use super::leftovers::{self, PIDFILE};
use super::{DATA, binaries, data, guardian};
use crate::spec::KeydbSpec;
use crate::testbed::{EnvironmentError, Port, Program, Server, ServerPlan, Status, procfs};

/// How long a killed process may take to go, and a started one to show its pid.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a process is looked at while waiting for it.
const INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct ProcessServer {
    name: String,
    dir: PathBuf,
    service: SocketAddr,
    admin: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    program: Program,
    guardian: Option<Child>,
    paused: bool,
    ended: Option<i32>,
    /// Set when the site closes: it is not started any more.
    abandoned: bool,
}

impl ProcessServer {
    pub(super) fn create(
        plan: ServerPlan,
        dir: PathBuf,
        service: SocketAddr,
        admin: SocketAddr,
    ) -> Result<Self, EnvironmentError> {
        let server = Self {
            name: plan.name,
            dir,
            service,
            admin,
            state: Mutex::new(State {
                program: plan.program,
                guardian: None,
                paused: false,
                ended: None,
                abandoned: false,
            }),
        };
        server.write_config(&plan.config)?;
        Ok(server)
    }

    /// Lets go of the child: its guardian kills it. It cannot be started any more. For the end of
    /// the site.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        if let Some(mut guardian) = state.guardian.take() {
            drop(guardian.stdin.take());
            let _ = guardian.wait();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config_path(&self) -> PathBuf {
        self.dir.join("server.conf")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn write_config(&self, config: &str) -> Result<(), EnvironmentError> {
        let path = self.config_path();
        let write = || -> std::io::Result<()> {
            use std::io::Write;
            // It may hold a password: for the owner only.
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(config.as_bytes())
        };
        write().map_err(|error| self.error(format!("cannot write {}: {error}", path.display())))
    }

    fn error(&self, what: impl std::fmt::Display) -> EnvironmentError {
        EnvironmentError::new(format!("{}: {what}", self.name))
    }

    /// The pid of the server itself, not of its guardian.
    fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.dir.join(PIDFILE)).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    /// Whether it is a HAProxy: a master whose workers do everything.
    fn is_master(&self) -> bool {
        matches!(self.state().program, Program::Haproxy(_))
    }

    /// Sends a signal that a master does not pass on to its workers.
    fn signal_all(&self, signal: Signal) -> Result<(), EnvironmentError> {
        self.signal(signal)?;
        if let Some(master) = self.pid().filter(|_| self.is_master()) {
            for worker in leftovers::children(master) {
                // One that ends meanwhile needs none.
                let _ = kill_process(worker, signal);
            }
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), EnvironmentError> {
        match self.pid() {
            // It may end by itself between the look and the signal: not an error.
            Some(pid) => match kill_process(pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err(self.error(format!("cannot send a signal to {pid:?}: {error}"))),
            },
            None => Err(self.error("is not running")),
        }
    }

    /// Takes note if the child has ended; says whether it still runs.
    fn runs(&self) -> bool {
        let mut state = self.state();
        let Some(guardian) = state.guardian.as_mut() else {
            return false;
        };
        match guardian.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                state.ended = status.code().or_else(|| status.signal().map(|n| 128 + n));
                state.guardian = None;
                state.paused = false;
                false
            }
            Err(_) => true,
        }
    }

    /// Waits until the child has ended.
    async fn ended_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.runs() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(INTERVAL).await;
        }
        true
    }
}

#[async_trait]
impl Server for ProcessServer {
    async fn start(&self) -> Result<(), EnvironmentError> {
        if self.runs() {
            return Ok(());
        }
        let program = self.state().program.clone();
        let binary = binaries::find(&program)?;
        let config = self.config_path().display().to_string();
        let args = match program {
            Program::Keydb(KeydbSpec::Model(quirks)) => {
                let mut args = vec!["model".to_owned(), config];
                args.extend(quirks.to_flags());
                args
            }
            Program::Keydb(_) => vec![config],
            // A master with a worker, in the foreground: only so can it be reloaded.
            Program::Haproxy(_) => ["-W", "-db", "-f", &config].map(str::to_owned).to_vec(),
        };
        let forks = match self.is_master() {
            true => Forks::End,
            false => Forks::Outlive,
        };
        let pidfile = self.dir.join(PIDFILE);
        {
            let mut state = self.state();
            if state.abandoned {
                return Err(self.error("its cluster is closed: it is not started any more"));
            }
            let log = File::options()
                .create(true)
                .append(true)
                .open(self.log_path());
            let guardian = log
                .and_then(|log| guardian::spawn(&binary, &args, &self.dir, &pidfile, &log, forks))
                .map_err(|error| {
                    self.error(format!("cannot start {}: {error}", binary.display()))
                })?;
            state.guardian = Some(guardian);
            state.ended = None;
        }
        // From here on it can be signalled; a child that died at once shows by its exit code.
        let deadline = Instant::now() + PATIENCE;
        while self.pid().is_none() && self.runs() {
            if Instant::now() >= deadline {
                return Err(self.error("the shell that guards it did not start it"));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    async fn stop(&self, grace: Duration) -> Result<(), EnvironmentError> {
        if !self.runs() {
            return Ok(());
        }
        self.signal(Signal::TERM)?;
        if self.ended_within(grace).await {
            Ok(())
        } else {
            self.kill().await
        }
    }

    async fn kill(&self) -> Result<(), EnvironmentError> {
        if !self.runs() {
            return Ok(());
        }
        self.signal(Signal::KILL)?;
        if self.ended_within(PATIENCE).await {
            Ok(())
        } else {
            Err(self.error("is still there after SIGKILL"))
        }
    }

    async fn reload(&self) -> Result<(), EnvironmentError> {
        if !self.is_master() {
            return Err(self.error("is a KeyDB, which does not read its configuration again"));
        }
        self.signal(Signal::USR2)
    }

    async fn pause(&self) -> Result<(), EnvironmentError> {
        self.signal_all(Signal::STOP)?;
        self.state().paused = true;
        Ok(())
    }

    async fn resume(&self) -> Result<(), EnvironmentError> {
        self.signal_all(Signal::CONT)?;
        self.state().paused = false;
        Ok(())
    }

    async fn replace(&self, program: Program, config: String) -> Result<(), EnvironmentError> {
        if self.runs() {
            return Err(self.error("cannot be replaced while it runs: stop it first"));
        }
        binaries::find(&program)?;
        self.write_config(&config)?;
        self.state().program = program;
        Ok(())
    }

    async fn reconfigure(&self, config: String) -> Result<(), EnvironmentError> {
        self.write_config(&config)
    }

    async fn wipe(&self) -> Result<(), EnvironmentError> {
        if self.runs() {
            return Err(self.error("cannot be wiped while it runs: stop it first"));
        }
        data::wipe(&self.dir.join(DATA)).map_err(|error| self.error(error))
    }

    async fn data_files(&self) -> Result<Vec<String>, EnvironmentError> {
        data::files(&self.dir.join(DATA)).map_err(|error| self.error(error))
    }

    async fn descriptors(&self) -> Result<u64, EnvironmentError> {
        let pid = self.pid().ok_or_else(|| self.error("is not running"))?;
        procfs::descriptors_of(pid.as_raw_nonzero().get()).map_err(|error| self.error(error))
    }

    async fn kept_waiting(&self) -> Result<Duration, EnvironmentError> {
        let pid = self.pid().ok_or_else(|| self.error("is not running"))?;
        procfs::kept_waiting(pid.as_raw_nonzero().get()).map_err(|error| self.error(error))
    }

    async fn endpoint(&self, port: Port) -> Result<SocketAddr, EnvironmentError> {
        Ok(match port {
            Port::Service => self.service,
            Port::Admin => self.admin,
        })
    }

    async fn status(&self) -> Result<Status, EnvironmentError> {
        let runs = self.runs();
        let state = self.state();
        Ok(match (runs, state.paused) {
            (true, true) => Status::Paused,
            (true, false) => Status::Running,
            (false, _) => Status::Ended(state.ended),
        })
    }

    async fn log(&self) -> Result<String, EnvironmentError> {
        match fs::read(self.log_path()) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(self.error(format!("its log cannot be read: {error}"))),
        }
    }

    async fn binary_sha256(&self, _executable: &str) -> Result<String, EnvironmentError> {
        let program = self.state().program.clone();
        let binary = binaries::find(&program)?;
        let bytes = fs::read(&binary)
            .map_err(|error| self.error(format!("cannot read {}: {error}", binary.display())))?;
        Ok(Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }
}
