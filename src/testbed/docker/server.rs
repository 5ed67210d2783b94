//! One server in a container.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, NetworkConnectRequest,
    NetworkDisconnectRequest,
};
use testcontainers::bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions, StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt, ReuseDirective, TestcontainersError};

use super::cluster::Cluster;
use super::container::{DATA, Frame};
use super::engine::{cause, inner_cause, is_conflict, one_line, refused};
use super::reading;
use super::site::port_in_use;
use crate::secret::Secret;
use crate::testbed::{EnvironmentError, Port, Program, Server, ServerPlan, Status, procfs};
use crate::topology::{ADMIN_PORT, KEYDB_PORT};

/// How long a killed container may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct DockerServer {
    cluster: Arc<Cluster>,
    frame: Frame,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    image: String,
    /// What it was created from, to create it anew.
    program: Option<Program>,
    config: Secret,
    /// From the first start on.
    container: Option<Arc<ContainerAsync<GenericImage>>>,
    /// What the containers printed that this one replaced.
    earlier: String,
}

impl DockerServer {
    pub(super) async fn create(
        cluster: Arc<Cluster>,
        frame: Frame,
        plan: ServerPlan,
    ) -> Result<Self, EnvironmentError> {
        // Before the gate: a pull may take minutes, and what it makes is no part of the cluster.
        let image = cluster.images.provide(&plan.program).await?;
        let server = Self {
            cluster,
            frame,
            state: Mutex::default(),
        };
        server
            .create_container(image, &plan.program, &plan.config)
            .await?;
        Ok(server)
    }

    async fn create_container(
        &self,
        image: String,
        program: &Program,
        config: &str,
    ) -> Result<(), EnvironmentError> {
        let docker = &self.cluster.docker;
        let work = async {
            let created = self.frame.create(docker, program, &image, config).await;
            created.map_err(|error| self.refused("create", &error))
        };
        self.cluster.make(work).await?;
        let mut state = self.state();
        state.image = image;
        state.program = Some(program.clone());
        state.config = config.into();
        state.container = None;
        Ok(())
    }

    /// Has testcontainers find the container by its labels and start it.
    ///
    /// It is told to reuse the container, so that it never removes it: that is the site's part. It
    /// is not told the network, which it would create anew, unlabelled, if it were gone.
    async fn adopt(&self) -> Result<ContainerAsync<GenericImage>, TestcontainersError> {
        let image = self.state().image.clone();
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        GenericImage::new(name, tag)
            .with_container_name(&self.frame.name)
            .with_labels(&self.frame.labels)
            .with_reuse(ReuseDirective::Always)
            .start()
            .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The container as testcontainers holds it; there is none before the first start.
    fn started(&self) -> Result<Arc<ContainerAsync<GenericImage>>, EnvironmentError> {
        let container = self.state().container.clone();
        container.ok_or_else(|| self.not_running())
    }

    fn error(&self, what: impl std::fmt::Display) -> EnvironmentError {
        EnvironmentError::new(format!("{}: {what}", self.frame.server))
    }

    fn not_running(&self) -> EnvironmentError {
        self.error("is not running: start it first")
    }

    fn refused(&self, verb: &str, error: &Error) -> EnvironmentError {
        refused(
            &format!("{verb} container {}", self.frame.name),
            &cause(error),
        )
    }

    fn not_done(&self, verb: &str, error: &TestcontainersError) -> EnvironmentError {
        let why = inner_cause(error);
        let taken = ["port is already allocated", "address already in use"];
        match (
            self.frame.host_port,
            taken.iter().find(|sign| why.contains(**sign)),
        ) {
            (Some(port), Some(sign)) => port_in_use(port, sign),
            _ => refused(&format!("{verb} container {}", self.frame.name), &why),
        }
    }

    async fn inspect(&self) -> Result<ContainerInspectResponse, EnvironmentError> {
        self.cluster
            .docker
            .inspect_container(&self.frame.name, None::<InspectContainerOptions>)
            .await
            .map_err(|error| self.refused("inspect", &error))
    }

    /// The process within, as this machine numbers it: where the engine runs here, its processes do.
    async fn pid(&self) -> Result<i32, EnvironmentError> {
        let pid = self.inspect().await?.state.and_then(|state| state.pid);
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        pid.filter(|pid| *pid > 0)
            .ok_or_else(|| self.error("does not run"))
    }

    async fn printed(&self) -> Result<String, EnvironmentError> {
        reading::log(&self.cluster.docker, &self.frame.name)
            .await
            .map_err(|error| self.refused("give the log of", &error))
    }

    /// Removes the container; what it printed and its data are kept.
    async fn remove_container(&self) -> Result<(), EnvironmentError> {
        let printed = self.printed().await?;
        // With the volumes that the image declares and nobody named; the data is a named one.
        let options = RemoveContainerOptionsBuilder::new().v(true).build();
        let docker = &self.cluster.docker;
        match docker
            .remove_container(&self.frame.name, Some(options))
            .await
        {
            Ok(()) => self.state().earlier.push_str(&printed),
            Err(error) => return Err(self.refused("remove", &error)),
        }
        Ok(())
    }

    /// Waits until the container has ended.
    async fn end(&self) -> Result<(), EnvironmentError> {
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let docker = &self.cluster.docker;
        let mut wait = Box::pin(docker.wait_container(&self.frame.name, Some(options)));
        // An exit code other than 0 comes as an error: only the state tells.
        let _ = tokio::time::timeout(PATIENCE, wait.next()).await;
        match self.status().await? {
            Status::Ended(_) => Ok(()),
            Status::Running | Status::Paused => Err(self.error(format!(
                "still runs {} s after SIGKILL: see `docker inspect {}`",
                PATIENCE.as_secs(),
                self.frame.name
            ))),
        }
    }
}

#[async_trait]
impl Server for DockerServer {
    async fn start(&self) -> Result<(), EnvironmentError> {
        let work = async {
            if !matches!(self.status().await?, Status::Ended(_)) {
                return Ok(());
            }
            let known = self.state().container.clone();
            let started = match known {
                Some(container) => container.start().await,
                None => self.adopt().await.map(|container| {
                    self.state().container = Some(Arc::new(container));
                }),
            };
            started.map_err(|error| self.not_done("start", &error))
        };
        self.cluster.make(work).await
    }

    async fn stop(&self, grace: Duration) -> Result<(), EnvironmentError> {
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        // The answer comes when the container has ended: after the grace, at worst.
        let docker = self.cluster.docker.clone();
        let stopped = docker
            .with_timeout(grace.saturating_add(PATIENCE))
            .stop_container(&self.frame.name, Some(options))
            .await;
        match stopped {
            Ok(()) => self.end().await,
            Err(error) => Err(self.refused("stop", &error)),
        }
    }

    async fn kill(&self) -> Result<(), EnvironmentError> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let docker = &self.cluster.docker;
        match docker.kill_container(&self.frame.name, Some(options)).await {
            Ok(()) => self.end().await,
            // It does not run.
            Err(error) if is_conflict(&error) => self.end().await,
            Err(error) => Err(self.refused("kill", &error)),
        }
    }

    async fn reload(&self) -> Result<(), EnvironmentError> {
        if !matches!(self.state().program, Some(Program::Haproxy(_))) {
            return Err(self.error("is a KeyDB, which does not read its configuration again"));
        }
        // Its first process is the master, which does the rest.
        let options = KillContainerOptionsBuilder::new().signal("SIGUSR2").build();
        let docker = &self.cluster.docker;
        let sent = docker.kill_container(&self.frame.name, Some(options)).await;
        sent.map_err(|error| self.refused("reload", &error))
    }

    fn has_network(&self) -> bool {
        true
    }

    async fn disconnect(&self) -> Result<(), EnvironmentError> {
        let request = NetworkDisconnectRequest {
            container: self.frame.name.clone(),
            force: None,
        };
        let docker = &self.cluster.docker;
        docker
            .disconnect_network(&self.frame.network, request)
            .await
            .map_err(|error| self.refused("disconnect", &error))
    }

    async fn reconnect(&self) -> Result<(), EnvironmentError> {
        let request = NetworkConnectRequest {
            container: self.frame.name.clone(),
            endpoint_config: Some(self.frame.endpoint()),
        };
        let docker = &self.cluster.docker;
        let work = async {
            let connected = docker.connect_network(&self.frame.network, request).await;
            connected.map_err(|error| self.refused("connect", &error))
        };
        self.cluster.make(work).await
    }

    async fn ask_inside(
        &self,
        words: &[&str],
        password: Option<&str>,
    ) -> Result<String, EnvironmentError> {
        let port = KEYDB_PORT.to_string();
        let command = ["keydb-cli", "-h", "127.0.0.1", "-p", &port];
        let command: Vec<&str> = command.iter().chain(words).copied().collect();
        // Not in the command, where every process of the container could read it.
        let secret = password.map(|password| format!("REDISCLI_AUTH={password}"));
        let docker = &self.cluster.docker;
        let said = reading::run(docker, &self.frame.name, &command, secret);
        match tokio::time::timeout(PATIENCE, said).await {
            Ok(Ok((0, said))) => Ok(said),
            Ok(Ok((_, said))) => Err(self.error(format!(
                "cannot be asked from within ({}): use an image with keydb-cli, or a path with keydb-cli beside keydb-server",
                one_line(&said)
            ))),
            Ok(Err(error)) => Err(self.refused("look into", &error)),
            Err(_) => Err(self.error("does not answer from within")),
        }
    }

    async fn pause(&self) -> Result<(), EnvironmentError> {
        match self.status().await? {
            Status::Paused => Ok(()),
            Status::Ended(_) => Err(self.not_running()),
            Status::Running => {
                let paused = self.started()?.pause().await;
                paused.map_err(|error| self.not_done("pause", &error))
            }
        }
    }

    async fn resume(&self) -> Result<(), EnvironmentError> {
        match self.status().await? {
            Status::Running => Ok(()),
            Status::Ended(_) => Err(self.not_running()),
            Status::Paused => {
                let resumed = self.started()?.unpause().await;
                resumed.map_err(|error| self.not_done("resume", &error))
            }
        }
    }

    async fn replace(&self, program: Program, config: String) -> Result<(), EnvironmentError> {
        if !matches!(self.status().await?, Status::Ended(_)) {
            return Err(self.error("cannot be replaced while it runs: stop it first"));
        }
        let image = self.cluster.images.provide(&program).await?;
        self.remove_container().await?;
        self.create_container(image, &program, &config).await
    }

    async fn reconfigure(&self, config: String) -> Result<(), EnvironmentError> {
        let docker = &self.cluster.docker;
        let put = self.frame.configure(docker, &config).await;
        put.map_err(|error| self.refused("configure", &error))?;
        self.state().config = config.into();
        Ok(())
    }

    async fn wipe(&self) -> Result<(), EnvironmentError> {
        if !matches!(self.status().await?, Status::Ended(_)) {
            return Err(self.error("cannot be wiped while it runs: stop it first"));
        }
        let (image, program, config) = {
            let state = self.state();
            (
                state.image.clone(),
                state.program.clone(),
                state.config.clone(),
            )
        };
        let (Some(program), Some(volume)) = (program, &self.frame.volume) else {
            return Err(self.error("has no data"));
        };
        self.remove_container().await?;
        let docker = &self.cluster.docker;
        docker
            .remove_volume(volume, None::<RemoveVolumeOptions>)
            .await
            .map_err(|error| refused(&format!("remove volume {volume}"), &cause(&error)))?;
        // With the container the engine makes the volume anew.
        self.create_container(image, &program, &config).await
    }

    async fn data_files(&self) -> Result<Vec<String>, EnvironmentError> {
        reading::files(&self.cluster.docker, &self.frame.name, DATA)
            .await
            .map_err(|error| self.refused("list the data of", &error))
    }

    async fn descriptors(&self) -> Result<u64, EnvironmentError> {
        procfs::descriptors_of(self.pid().await?).map_err(|error| self.error(error))
    }

    async fn kept_waiting(&self) -> Result<Duration, EnvironmentError> {
        procfs::kept_waiting(self.pid().await?).map_err(|error| self.error(error))
    }

    async fn endpoint(&self, port: Port) -> Result<SocketAddr, EnvironmentError> {
        let inside = match port {
            Port::Service => KEYDB_PORT,
            Port::Admin => ADMIN_PORT,
        };
        match self.started()?.get_host_port_ipv4(inside.tcp()).await {
            Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            Err(TestcontainersError::PortNotExposed { .. }) => Err(self.error(format!(
                "port {inside} is not published: it does not run, or has no such port"
            ))),
            Err(error) => Err(self.not_done("inspect", &error)),
        }
    }

    async fn status(&self) -> Result<Status, EnvironmentError> {
        let state = self.inspect().await?.state.unwrap_or_default();
        Ok(match (state.running, state.paused) {
            (_, Some(true)) => Status::Paused,
            (Some(true), _) => Status::Running,
            _ if state.status == Some(ContainerStateStatusEnum::CREATED) => Status::Ended(None),
            _ => Status::Ended(state.exit_code.and_then(|code| i32::try_from(code).ok())),
        })
    }

    async fn log(&self) -> Result<String, EnvironmentError> {
        let printed = self.printed().await?;
        Ok(format!("{}{printed}", self.state().earlier))
    }

    async fn binary_sha256(&self, executable: &str) -> Result<String, EnvironmentError> {
        reading::binary_sha256(&self.cluster.docker, &self.frame.name, executable)
            .await
            .map_err(|error| self.refused(&format!("give {executable} of"), &error))?
            .ok_or_else(|| {
                self.error(format!(
                    "{executable} is not in container {}: see what its image holds",
                    self.frame.name
                ))
            })
    }
}
