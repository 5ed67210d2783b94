//! Starting a cluster: staged, or everything at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::links::Links;
use super::{Cluster, Node, Proxy, ready};
use crate::lab::{Lab, last_words};
use crate::relay::{Ends, Relay};
use crate::secret::Secret;
use crate::testbed::{EnvironmentError, Port, Program, Seat, ServerPlan, Status};
use crate::topology::render::{HostPort, NodePlace, ProxyPlace, haproxy_cfg, keydb_conf};
use crate::topology::{NodeSpec, PROXY, ProxySpec, Topology, Upstream};
use crate::wait::{DEADLINE, eventually};

/// In which order servers are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Primaries and proxy; once the primaries are linked both ways and the proxy sees them all,
    /// the replicas. Round robin then spreads the replicas over the primaries.
    Staged,
    /// All at once, as after a power cut. All replicas may end on one primary.
    AtOnce,
}

/// How long the stages of a start took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Startup {
    /// Addresses, and servers created but not started.
    pub created: Duration,
    /// From there until the primaries are linked and the proxy sees them.
    pub primaries: Duration,
    /// From there until the replicas are linked and a probe write is readable on every node.
    pub replicas: Duration,
}

impl Startup {
    /// The whole start.
    pub fn total(&self) -> Duration {
        self.created + self.primaries + self.replicas
    }
}

impl Cluster {
    /// Starts `topology` and waits until it is ready (see [`ready`]).
    ///
    /// # Errors
    /// [`EnvironmentError`] when a server cannot be started or dies at its start;
    /// [`crate::wait::Unmet`] when the cluster does not become ready although all servers live.
    pub async fn start(lab: &Lab, topology: Topology, order: Order) -> Result<Self> {
        let mut cluster = Self::create(lab, topology).await?;
        cluster.become_ready(order).await?;
        Ok(cluster)
    }

    /// Starts every server and waits until the cluster is ready. The cluster stays as it is when it
    /// does not become so: its logs can still be read.
    pub(crate) async fn become_ready(&mut self, order: Order) -> Result<()> {
        let cluster = self;
        let began = Instant::now();
        let primaries: Vec<&Node> = cluster.primaries().collect();
        match order {
            Order::Staged => cluster.launch(&primaries, true).await?,
            Order::AtOnce => {
                cluster
                    .launch(&cluster.nodes.iter().collect::<Vec<_>>(), true)
                    .await?
            }
        }
        cluster
            .await_start(
                "the primaries link both ways and the proxy sees them",
                Stage::Primaries,
            )
            .await?;
        cluster.startup.primaries = began.elapsed();

        let began = Instant::now();
        if order == Order::Staged {
            cluster
                .launch(&cluster.replicas().collect::<Vec<_>>(), false)
                .await?;
        }
        cluster
            .await_start(
                "every link is up and a probe write is readable everywhere",
                Stage::All,
            )
            .await?;
        cluster.startup.replicas = began.elapsed();
        Ok(())
    }

    /// Gives every server an address and creates it, without starting any.
    pub(crate) async fn create(lab: &Lab, topology: Topology) -> Result<Self> {
        let began = Instant::now();
        let mut seats: Vec<Seat> = topology
            .proxy
            .iter()
            .map(|proxy| Seat {
                name: PROXY.to_owned(),
                host_port: proxy.host_port,
                admin: true,
            })
            .collect();
        seats.extend(topology.nodes.iter().map(|node| Seat {
            name: node.name.clone(),
            host_port: node.host_port,
            admin: false,
        }));
        let site = lab.testbed().open(&seats).await?;
        // From here on a failure drops the cluster, and with it the site.
        let mut cluster = Self {
            nodes: Vec::new(),
            proxy: None,
            startup: Startup::default(),
            site: Arc::clone(&site),
            pace: lab.pace(),
            keydb: lab.keydb().clone(),
            lacks: lab.lacks().clone(),
            links: Links::default(),
            listener: None,
            topology,
        };
        cluster.links = cluster.open_links(lab).await?;
        let mut plans = Vec::new();
        for node in &cluster.topology.nodes {
            let program = Program::Keydb(lab.keydb_of(node));
            plans.push(ServerPlan {
                name: node.name.clone(),
                program,
                config: cluster.keydb_conf(node)?.into(),
            });
        }
        let configs: Vec<Secret> = plans.iter().map(|plan| plan.config.clone()).collect();
        let mut of_the_proxy = Secret::default();
        if let Some(proxy) = &cluster.topology.proxy {
            let config = Secret::from(cluster.haproxy_cfg(proxy)?);
            of_the_proxy.clone_from(&config);
            let program = Program::Haproxy(lab.haproxy().clone());
            plans.push(ServerPlan {
                name: PROXY.to_owned(),
                program,
                config,
            });
        }
        let created = futures_util::future::try_join_all(
            plans.into_iter().map(|plan| cluster.site.create(plan)),
        );
        let mut servers = created.await.context("the cluster cannot be created")?;

        let password = cluster.topology.password.clone();
        if let Some(proxy) = &cluster.topology.proxy {
            let backends = proxy.backends.clone();
            cluster.proxy = servers
                .pop()
                .map(|server| Proxy::new(server, password.clone(), backends, of_the_proxy));
        }
        let specs = cluster.topology.nodes.clone().into_iter();
        cluster.nodes = specs
            .zip(configs)
            .zip(servers)
            .map(|((spec, config), server)| {
                let keydb = lab.keydb_of(&spec);
                Node::new(spec, keydb, config, password.clone(), server)
            })
            .collect();
        cluster.startup.created = began.elapsed();
        Ok(cluster)
    }

    /// Opens a relay for each link that is to have one. A testbed that cannot have them makes a
    /// cluster without.
    async fn open_links(&self, lab: &Lab) -> Result<Links> {
        let wanted: Vec<Ends> = self
            .topology
            .relayed_links()
            .map(|(node, upstream)| Ends {
                downstream: node.name.clone(),
                upstream: upstream.server().to_owned(),
            })
            .collect();
        if wanted.is_empty() {
            return Ok(Links::default());
        }
        let program = Program::Keydb(lab.keydb().clone());
        let host = match self.site.relays_on(&program).await {
            Ok(host) => host,
            Err(why) => return Ok(Links::unavailable(why)),
        };
        let opened = wanted.into_iter().zip(lab.seed()..).map(|(ends, seed)| {
            let upstream = self.reached_at(&ends.upstream);
            Relay::open(ends, (host, 0).into(), upstream, seed)
        });
        let relays = opened.collect::<Result<_, _>>();
        Ok(Links::of(relays.map_err(|error| {
            EnvironmentError::new(format!(
                "a relay cannot listen on {host} ({error}): end other programs"
            ))
        })?))
    }

    fn keydb_conf(&self, node: &NodeSpec) -> Result<String> {
        let reach = |upstream: &Upstream| -> HostPort {
            self.known_at(&node.name, upstream.server()).into()
        };
        let place = NodePlace {
            listens_on: self.site.listens_on(&node.name, Port::Service).into(),
            data_dir: self.site.data_dir(&node.name),
            reach: &reach,
        };
        Ok(keydb_conf(&self.topology, node, &place)?)
    }

    fn haproxy_cfg(&self, proxy: &ProxySpec) -> Result<String> {
        let reach = |name: &str| -> HostPort { self.reached_at(name).into() };
        let place = ProxyPlace {
            listens_on: self.site.listens_on(PROXY, Port::Service).into(),
            admin: self.site.listens_on(PROXY, Port::Admin).into(),
            reach: &reach,
            resolver: None,
            health_check: self.pace.health_check,
            check_timeout: self.pace.check_timeout,
        };
        Ok(haproxy_cfg(&self.topology, proxy, &place)?)
    }

    async fn launch(&self, nodes: &[&Node], with_proxy: bool) -> Result<(), EnvironmentError> {
        let proxy = async {
            match &self.proxy {
                Some(proxy) if with_proxy => proxy.start().await,
                _ => Ok(()),
            }
        };
        let nodes = futures_util::future::try_join_all(nodes.iter().map(|node| node.start()));
        tokio::try_join!(proxy, nodes).map(drop)
    }

    /// Waits for a stage; a server that has died ends the wait at once.
    async fn await_start(&self, what: &str, stage: Stage) -> Result<()> {
        let waited = eventually(self, what, DEADLINE, || async {
            if let Some(dead) = self.first_dead().await {
                return Ok(Err(dead));
            }
            match stage {
                Stage::Primaries => ready::primaries(self).await.map(Ok),
                Stage::All => {
                    ready::links(self).await?;
                    ready::probe(self).await.map(Ok)
                }
            }
        });
        waited.await??;
        Ok(())
    }

    /// The first server that has died although it ought to run, as a sentence.
    async fn first_dead(&self) -> Option<EnvironmentError> {
        let nodes = self.nodes.iter().filter(|node| node.should_answer());
        let proxy = self.proxy.iter().map(|proxy| (PROXY, proxy.server()));
        for (name, server) in nodes.map(|node| (node.name(), node.server())).chain(proxy) {
            if let Ok(status @ Status::Ended(_)) = server.status().await {
                let log = server.log().await.unwrap_or_default();
                return Some(EnvironmentError::new(format!(
                    "{name} {status} at its start; it said: {}",
                    last_words(&log)
                )));
            }
        }
        None
    }
}

/// What has to be so at a point of the start.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Primaries,
    All,
}
