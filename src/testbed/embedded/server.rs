//! One server of the embedded testbed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::proxy;
use super::thread::{Body, ServerThread, Signals};
use crate::model;
use crate::secret::Secret;
use crate::spec::{HaproxySpec, KeydbSpec};
use crate::testbed::process::data;
use crate::testbed::{EnvironmentError, Port, Program, Server, Status};

/// How long a thread may take to stand still or to end.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct EmbeddedServer {
    service: SocketAddr,
    admin: SocketAddr,
    data: PathBuf,
    log: Arc<Mutex<String>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    program: Program,
    config: Secret,
    thread: Option<ServerThread>,
    /// How its last life ended.
    ended: Option<i32>,
    /// Set when the site closes: it is not started any more.
    abandoned: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EmbeddedServer {
    pub(super) fn new(
        program: Program,
        config: Secret,
        service: SocketAddr,
        admin: SocketAddr,
        data: PathBuf,
    ) -> Self {
        Self {
            service,
            admin,
            data,
            log: Arc::default(),
            state: Mutex::new(State {
                program,
                config,
                thread: None,
                ended: None,
                abandoned: false,
            }),
        }
    }

    /// Ends it at once. It cannot be started any more. For the end of the site.
    pub(super) fn abandon(&self) {
        let thread = {
            let mut state = lock(&self.state);
            state.abandoned = true;
            state.thread.take()
        };
        drop(thread);
    }

    fn body(&self, program: &Program, config: String) -> Body {
        let lines = Arc::clone(&self.log);
        let log = move |line: &str| {
            let mut lines = lock(&lines);
            lines.push_str(line);
            lines.push('\n');
        };
        match program {
            Program::Keydb(KeydbSpec::Model(quirks)) => {
                let quirks = quirks.clone();
                Box::new(move |Signals { terminated, .. }| {
                    Box::pin(async move { model::serve(&config, quirks, terminated, log).await })
                })
            }
            _ => Box::new(move |signals| {
                let Signals {
                    terminated,
                    reloads,
                } = signals;
                Box::pin(async move { proxy::serve(&config, reloads, terminated, log).await })
            }),
        }
    }

    /// Waits until it has ended; false if it has not within `patience`.
    async fn gone(&self, patience: Duration) -> bool {
        let end = lock(&self.state).thread.as_ref().map(ServerThread::end);
        let Some(mut end) = end else { return true };
        let ended = timeout(patience, end.wait_for(Option::is_some)).await;
        if ended.is_err() {
            return false;
        }
        let mut state = lock(&self.state);
        if let Some(thread) = state.thread.take_if(|thread| thread.ended().is_some()) {
            state.ended = thread.ended();
            drop(state);
            drop(thread);
        }
        true
    }
}

#[async_trait]
impl Server for EmbeddedServer {
    async fn start(&self) -> Result<(), EnvironmentError> {
        let mut state = lock(&self.state);
        if state.abandoned {
            return Err(EnvironmentError::new("the cluster is closed: start anew"));
        }
        if state
            .thread
            .as_ref()
            .is_some_and(|thread| thread.ended().is_none())
        {
            return Err(EnvironmentError::new(
                "it runs already: stop it before it is started",
            ));
        }
        let name = state.program.to_string();
        let body = self.body(&state.program, state.config.to_string());
        let thread = ServerThread::start(&name, body).map_err(|error| {
            EnvironmentError::new(format!("no thread for {name}: {error}; end other programs"))
        })?;
        state.ended = None;
        state.thread = Some(thread);
        Ok(())
    }

    async fn stop(&self, grace: Duration) -> Result<(), EnvironmentError> {
        if let Some(thread) = &lock(&self.state).thread {
            thread.terminate();
        }
        if self.gone(grace).await {
            return Ok(());
        }
        self.kill().await
    }

    async fn kill(&self) -> Result<(), EnvironmentError> {
        if let Some(thread) = &mut lock(&self.state).thread {
            thread.kill();
        }
        if self.gone(PATIENCE).await {
            return Ok(());
        }
        Err(EnvironmentError::new(
            "a server's thread does not end: end this program",
        ))
    }

    async fn reload(&self) -> Result<(), EnvironmentError> {
        let state = lock(&self.state);
        if !matches!(state.program, Program::Haproxy(_)) {
            return Err(EnvironmentError::new(
                "it is a KeyDB, which does not read its configuration again",
            ));
        }
        let thread = state.thread.as_ref();
        let Some(thread) = thread.filter(|thread| thread.ended().is_none()) else {
            return Err(EnvironmentError::new(
                "it does not run: start it before it is reloaded",
            ));
        };
        thread.reload(state.config.to_string());
        Ok(())
    }

    async fn pause(&self) -> Result<(), EnvironmentError> {
        let stands = lock(&self.state).thread.as_mut().map(ServerThread::freeze);
        let Some(stands) = stands else {
            return Err(EnvironmentError::new(
                "it does not run: start it before it is paused",
            ));
        };
        match timeout(PATIENCE, stands).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(EnvironmentError::new("its thread does not stand still")),
        }
    }

    async fn resume(&self) -> Result<(), EnvironmentError> {
        if let Some(thread) = &mut lock(&self.state).thread {
            thread.thaw();
        }
        Ok(())
    }

    async fn replace(&self, program: Program, config: String) -> Result<(), EnvironmentError> {
        let mut state = lock(&self.state);
        if state
            .thread
            .as_ref()
            .is_some_and(|thread| thread.ended().is_none())
        {
            return Err(EnvironmentError::new(
                "it runs: stop it before it is replaced",
            ));
        }
        match (&state.program, &program) {
            (Program::Keydb(_), Program::Keydb(KeydbSpec::Model(_)))
            | (Program::Haproxy(_), Program::Haproxy(HaproxySpec::BuiltIn)) => {}
            _ => {
                return Err(EnvironmentError::new(format!(
                    "{program} cannot take its place on the embedded testbed: use --testbed process"
                )));
            }
        }
        state.program = program;
        state.config = config.into();
        Ok(())
    }

    async fn reconfigure(&self, config: String) -> Result<(), EnvironmentError> {
        lock(&self.state).config = config.into();
        Ok(())
    }

    async fn wipe(&self) -> Result<(), EnvironmentError> {
        let state = lock(&self.state);
        let threads = state.thread.iter();
        if threads.filter(|thread| thread.ended().is_none()).count() > 0 {
            return Err(EnvironmentError::new("it runs: stop it before it is wiped"));
        }
        data::wipe(&self.data).map_err(|error| EnvironmentError::new(error.to_string()))
    }

    async fn data_files(&self) -> Result<Vec<String>, EnvironmentError> {
        data::files(&self.data).map_err(|error| EnvironmentError::new(error.to_string()))
    }

    async fn endpoint(&self, port: Port) -> Result<SocketAddr, EnvironmentError> {
        Ok(match port {
            Port::Service => self.service,
            Port::Admin => self.admin,
        })
    }

    async fn status(&self) -> Result<Status, EnvironmentError> {
        let state = lock(&self.state);
        Ok(match &state.thread {
            None => Status::Ended(state.ended),
            Some(thread) => match thread.ended() {
                Some(code) => Status::Ended(Some(code)),
                None if thread.is_frozen() => Status::Paused,
                None => Status::Running,
            },
        })
    }

    async fn log(&self) -> Result<String, EnvironmentError> {
        Ok(lock(&self.log).clone())
    }

    async fn binary_sha256(&self, _executable: &str) -> Result<String, EnvironmentError> {
        // Part of this program: its version says what it is.
        Ok(String::new())
    }
}
