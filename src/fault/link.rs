//! Faults of one directed link, which its relay makes.
//!
//! A [`Strike`] is what differs between them; [`LinkFault`] makes a [`Fault`] of it. They are named
//! in the direction in which data flows: `cut primary1->primary2` strikes the link by which
//! primary2 replicates from primary1.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use anyhow::Result;
use async_trait::async_trait;
use tokio::time::sleep;

use super::Fault;
use crate::cluster::{Client, Cluster, Node, Timeouts};
use crate::relay::{Connections, Crossing, Direction, Relay, Traffic};
use crate::topology::PROXY;
use crate::wait::{DEADLINE, eventually};

/// How long one look waits for a probe write, and in which steps.
const GLIMPSE: Duration = Duration::from_millis(250);
const STEP: Duration = Duration::from_millis(5);

/// A directed link: data flows from `upstream` to `downstream`, which connects and replicates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// The server that is replicated; the proxy's name for replicas that follow it.
    pub upstream: String,
    /// The node that replicates it.
    pub downstream: String,
}

impl Link {
    /// The link over which `downstream` hears what is written on `upstream`.
    pub fn new(upstream: impl Into<String>, downstream: impl Into<String>) -> Self {
        Self {
            upstream: upstream.into(),
            downstream: downstream.into(),
        }
    }

    /// The fault that strikes this link so.
    pub fn struck_by<S: Strike>(self, strike: S) -> LinkFault<S> {
        LinkFault {
            link: self,
            strike,
            before: Mutex::default(),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.upstream, self.downstream)
    }
}

/// What is done to a link, and how it shows.
#[async_trait]
pub trait Strike: Send + Sync + fmt::Debug + 'static {
    /// What is done, before the link's name: `cut`, `delay by 200 ms`.
    fn verb(&self) -> String;

    /// Its colour in timelines, as CSS has it.
    fn colour(&self) -> &'static str;

    /// Does it, at once.
    fn strike(&self, relay: &Arc<Relay>, link: &Link);

    /// One look whether it shows: what was measured.
    ///
    /// # Errors
    /// It does not show (yet); the text says what is seen.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String>;

    /// One look whether what it leaves alone of its own link is untouched.
    ///
    /// # Errors
    /// It is not; the text says what is seen.
    async fn spares(&self, _look: &Look<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Stops doing it, apart from what [`Relay::heal`] does.
    fn cease(&self) {}
}

/// A fault of one link.
#[derive(Debug)]
pub struct LinkFault<S> {
    link: Link,
    strike: S,
    before: Mutex<Option<Before>>,
}

/// The link before it was struck.
#[derive(Debug, Clone)]
struct Before {
    relay: Weak<Relay>,
    at: Instant,
    traffic: [Traffic; 2],
    connections: Connections,
}

impl Before {
    fn of(relay: &Arc<Relay>) -> Self {
        Self {
            relay: Arc::downgrade(relay),
            at: Instant::now(),
            traffic: Direction::BOTH.map(|way| relay.traffic(way)),
            connections: relay.connections(),
        }
    }
}

impl<S: Strike> LinkFault<S> {
    fn relay<'a>(&self, cluster: &'a Cluster) -> Result<&'a Arc<Relay>, String> {
        cluster
            .link(&self.link.downstream, &self.link.upstream)
            .map_err(|error| error.to_string())
    }

    fn before(&self) -> std::sync::MutexGuard<'_, Option<Before>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<'a>(&'a self, cluster: &'a Cluster) -> Result<Look<'a>, String> {
        let relay = self.relay(cluster)?;
        let before = self.before().clone();
        Ok(Look {
            cluster,
            relay,
            link: &self.link,
            before: before.unwrap_or_else(|| Before::of(relay)),
        })
    }
}

#[async_trait]
impl<S: Strike> Fault for LinkFault<S> {
    fn name(&self) -> String {
        format!("{} {}", self.strike.verb(), self.link)
    }

    fn colour(&self) -> &'static str {
        self.strike.colour()
    }

    fn strikes(&self) -> Vec<String> {
        vec![self.link.upstream.clone(), self.link.downstream.clone()]
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        self.relay(cluster).err()
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        let relay = self.relay(cluster).map_err(anyhow::Error::msg)?;
        *self.before() = Some(Before::of(relay));
        self.strike.strike(relay, &self.link);
        Ok(())
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        self.strike.bites(&self.look(cluster)?).await
    }

    /// The reverse link, or else any other, is up, and what is written at its one end arrives at
    /// the other.
    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        let look = self.look(cluster)?;
        self.strike.spares(&look).await?;
        let is_reverse = |relay: &Relay| {
            relay.ends().downstream == self.link.upstream
                && relay.ends().upstream == self.link.downstream
        };
        let others = || {
            let relays = cluster.relays().iter();
            relays.filter(|relay| !Arc::ptr_eq(relay, look.relay))
        };
        let control = others()
            .find(|relay| is_reverse(relay))
            .or_else(|| others().next());
        let Some(control) = control else {
            return Ok(());
        };
        let link = Link::new(&control.ends().upstream, &control.ends().downstream);
        let what = format!("{link} is untouched");
        let control = Look {
            cluster,
            relay: control,
            link: &link,
            before: Before::of(control),
        };
        eventually(cluster, &what, DEADLINE, || control.is_well())
            .await
            .map_err(|unmet| unmet.sentence())?;
        control.clean_up().await
    }

    async fn recover(&self, cluster: &Cluster) -> Result<()> {
        self.strike.cease();
        self.relay(cluster).map_err(anyhow::Error::msg)?.heal();
        Ok(())
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        let look = self.look(cluster)?;
        look.is_well().await?;
        look.clean_up().await
    }

    fn let_go(&self) {
        self.strike.cease();
        let relay = self.before().as_ref().and_then(|it| it.relay.upgrade());
        if let Some(relay) = relay {
            relay.heal();
        }
    }
}

/// A link that is looked at.
#[derive(Debug)]
pub struct Look<'a> {
    cluster: &'a Cluster,
    relay: &'a Arc<Relay>,
    link: &'a Link,
    before: Before,
}

/// A write on the upstream server, to be seen on the downstream one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    value: String,
}

impl Look<'_> {
    /// The relay in the link.
    pub fn relay(&self) -> &Relay {
        self.relay
    }

    /// The link.
    pub fn link(&self) -> &Link {
        self.link
    }

    /// What has crossed in one direction since the link was struck; `held` is what waits now.
    pub fn traffic(&self, direction: Direction) -> Traffic {
        let now = self.relay.traffic(direction);
        let before = self.before.traffic[match direction {
            Direction::TowardsUpstream => 0,
            Direction::TowardsDownstream => 1,
        }];
        Traffic {
            seen: now.seen - before.seen,
            passed: now.passed - before.passed,
            held: now.held,
            dropped: now.dropped - before.dropped,
            filtered: now.filtered - before.filtered,
        }
    }

    /// How many bytes of one direction wait, if some do and none cross for as long as a glimpse
    /// takes: what is just being passed on waits for a moment too.
    ///
    /// # Errors
    /// None wait, or some cross.
    pub async fn holds(&self, direction: Direction) -> Result<u64, String> {
        let before = self.relay.traffic(direction);
        if before.held == 0 {
            return Err(format!("nothing is held {direction}"));
        }
        sleep(GLIMPSE).await;
        let after = self.relay.traffic(direction);
        match after.held >= before.held && after.passed == before.passed {
            true => Ok(after.held),
            false => Err(format!("bytes cross {direction}")),
        }
    }

    /// How many connections the relay has cut since the link was struck.
    pub fn cuts(&self) -> u64 {
        self.relay.connections().cut - self.before.connections.cut
    }

    /// What crossed in one direction of all that came in since the link was struck.
    pub fn crossings(&self, direction: Direction) -> Vec<Crossing> {
        let mut crossings = self.relay.crossings();
        crossings.retain(|one| one.direction == direction && one.arrived >= self.before.at);
        crossings
    }

    /// Whether the downstream node says that the link is up, with nothing being loaded over it.
    ///
    /// # Errors
    /// It does not answer, or does not know the link.
    pub async fn is_up(&self) -> Result<bool, String> {
        let node = self.downstream()?;
        let info = node.glance().await.map_err(|error| error.to_string())?;
        let address = self.relay.address();
        let host = address.ip().to_string();
        let masters = info.replication().masters;
        let master = masters
            .iter()
            .find(|master| master.host == host && master.port == address.port())
            .ok_or_else(|| format!("{} does not follow {address}", node.name()))?;
        Ok(master.link_up && !master.sync_in_progress)
    }

    /// Whether nothing that is written on the upstream server reaches the downstream one past this
    /// link.
    pub fn is_the_only_way(&self) -> bool {
        self.downstream()
            .is_ok_and(|node| node.spec().follows.len() == 1)
    }

    /// Writes on the upstream server: a short value, or one of `padding` bytes more.
    ///
    /// # Errors
    /// It does not take the write.
    pub async fn write_probe(&self, padding: usize) -> Result<Probe, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let probe = Probe {
            value: format!("{number}:{}", "x".repeat(padding)),
        };
        let command = redis::cmd("SET")
            .arg(key(self.link))
            .arg(&probe.value)
            .to_owned();
        self.on_upstream(&command).await?;
        Ok(probe)
    }

    /// Whether a probe can be read on the downstream node within a glimpse.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn arrives(&self, probe: &Probe) -> Result<bool, String> {
        let node = self.downstream()?;
        let mut client = glance(node).await?;
        let began = Instant::now();
        loop {
            let seen: Option<String> = client
                .query(redis::cmd("GET").arg(key(self.link)))
                .await
                .map_err(|error| format!("{}: {error}", node.name()))?;
            if seen.as_ref() == Some(&probe.value) {
                return Ok(true);
            }
            if began.elapsed() >= GLIMPSE {
                return Ok(false);
            }
            sleep(STEP).await;
        }
    }

    /// Whether the link is up and a write crosses it.
    async fn is_well(&self) -> Result<(), String> {
        let Link {
            upstream,
            downstream,
        } = self.link;
        if !self.is_up().await? {
            return Err(format!("{downstream}'s link to {upstream} is down"));
        }
        let probe = self.write_probe(0).await?;
        match self.arrives(&probe).await? {
            true => Ok(()),
            false => Err(format!("a write on {upstream} is not on {downstream}")),
        }
    }

    /// Removes what probes wrote.
    async fn clean_up(&self) -> Result<(), String> {
        self.on_upstream(redis::cmd("DEL").arg(key(self.link)))
            .await
    }

    async fn on_upstream(&self, command: &redis::Cmd) -> Result<(), String> {
        let node = self.writer()?;
        let mut client = glance(node).await?;
        client
            .query::<()>(command)
            .await
            .map_err(|error| format!("{}: {error}", node.name()))
    }

    /// Who takes writes that reach the upstream server: behind the proxy any primary.
    fn writer(&self) -> Result<&Node, String> {
        if self.link.upstream == PROXY {
            let mut primaries = self.cluster.primaries();
            return primaries
                .find(|node| node.should_answer())
                .ok_or_else(|| "no primary is alive".to_owned());
        }
        self.node(&self.link.upstream)
    }

    fn downstream(&self) -> Result<&Node, String> {
        self.node(&self.link.downstream)
    }

    fn node(&self, name: &str) -> Result<&Node, String> {
        self.cluster.node(name).map_err(|error| error.to_string())
    }
}

async fn glance(node: &Node) -> Result<Client, String> {
    node.client_with(Timeouts::GLANCE)
        .await
        .map_err(|error| format!("{}: {error}", node.name()))
}

/// Where probes of a link are written.
pub(super) fn key(link: &Link) -> String {
    format!("keydb-harness:probe:{link}")
}
