//! The hidden `hold`: starts the cluster, says how it goes, and keeps it until SIGTERM.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use keydb_harness::cluster::{Cluster, Node, Order};
use keydb_harness::console;
use keydb_harness::lab::Lab;
use keydb_harness::run::Run;
use keydb_harness::settings::{Settings, TestbedChoice};
use keydb_harness::spec::HaproxySpec;
use keydb_harness::testbed::{EnvironmentError, Port, Server, TestbedKind};
use keydb_harness::topology::{NodeSpec, PROXY, Role, Upstream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::UpArgs;
use super::record::{Held, HeldServer, Kind, Record, Report, claim};
use crate::cli::{code_of, engine};

/// How long a `down` that has just ended another holder may look at the lock.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a server that was told to stop may be on its way out.
const ON_ITS_WAY: Duration = Duration::from_secs(30);

pub(in crate::cli) async fn hold(args: UpArgs) -> Result<u8> {
    let Err(error) = keep(&args).await;
    let code = code_of(&error);
    // If nobody listens any more, the exit code still tells.
    let _ = report(&Report::Failed {
        sentence: format!("{error:#}"),
        code,
    });
    Ok(code)
}

/// Only a signal ends it well: its handler removes everything and ends the process.
async fn keep(args: &UpArgs) -> Result<Infallible> {
    // The terminal of `up`, its Ctrl-C and its hang-up, are not for this process.
    rustix::process::setsid().context("the holder cannot leave its terminal")?;
    let _claim = claimed().await?;
    let run = Run::enter()?;
    // Before anybody can know the pid: without a handler this signal kills.
    let mut restarts = signal(SignalKind::user_defined1())?;
    let log = File::create(run.dir().join("holder.log")).context("cannot write the log")?;
    rustix::stdio::dup2_stderr(&log)?;
    let mut record = Record::of(&run);
    record.write(&run)?;

    report(&Report::Step(
        "a testbed, and for KeyDB and HAProxy to say what they are".to_owned(),
    ))?;
    let mut lab = Lab::open(&args.lab.settings()).await?;
    if let HaproxySpec::Path(haproxy) = lab.haproxy()
        && lab.testbed().kind() == TestbedKind::Embedded
    {
        // What is there to play with has processes of its own to stop.
        let settings = Settings {
            testbed: TestbedChoice::Only(TestbedKind::Process),
            keydb: Some(lab.keydb().clone()),
            haproxy: Some(HaproxySpec::Path(haproxy.clone())),
            ..args.lab.settings()
        };
        lab = Lab::open(&settings).await?;
    }
    report(&Report::Lab(lab.first_line()))?;
    let topology = args.topology()?;
    report(&Report::Step(format!(
        "{} servers to start, link and answer",
        topology.nodes.len() + usize::from(topology.proxy.is_some())
    )))?;
    let cluster = Cluster::start(&lab, topology, Order::Staged).await?;
    record.cluster = Some(describe(&cluster, &lab, &run).await?);
    record.write(&run)?;
    report(&Report::Up(record.clone()))?;
    rustix::stdio::dup2_stdout(&log)?;
    loop {
        if restarts.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        start_again(&cluster).await;
        // On Docker a free port is another one after each start.
        match describe(&cluster, &lab, &run).await {
            Ok(held) => record.cluster = Some(held),
            Err(error) => console::problem(format_args!("the record stays as it was: {error:#}")),
        }
        record.write(&run)?;
    }
}

async fn claimed() -> Result<File, EnvironmentError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match claim()? {
            Some(claim) => return Ok(claim),
            None if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
            None => {
                return Err(EnvironmentError::new(
                    "a cluster is already up or being started, and there can be one only: remove it with `keydb-harness down`",
                ));
            }
        }
    }
}

/// An error means that the `up` that waited is gone: then there is nobody to hold a cluster for.
fn report(report: &Report) -> Result<()> {
    let line = serde_json::to_string(report)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("the `up` that started this cluster is gone: start it again")
}

/// Starts what was stopped by hand. A server that was just told to stop takes no connections and still
/// runs: it is started once it is gone.
async fn start_again(cluster: &Cluster) {
    let deadline = Instant::now() + ON_ITS_WAY;
    let mut silent: Vec<&Node> = cluster.nodes().iter().collect();
    while !silent.is_empty() && Instant::now() < deadline {
        let mut still = Vec::new();
        for node in silent {
            // What runs is left alone.
            let started = node.start().await;
            let failed = started.is_err();
            note(node.name(), started);
            if !failed && node.client().await.is_err() {
                still.push(node);
            }
        }
        silent = still;
        sleep(Duration::from_millis(50)).await;
    }
    if let Ok(proxy) = cluster.proxy() {
        note(PROXY, proxy.start().await);
    }
}

fn note(name: &str, started: Result<(), EnvironmentError>) {
    if let Err(error) = started {
        console::problem(format_args!("{name} is not started: {error}"));
    }
}

async fn describe(cluster: &Cluster, lab: &Lab, run: &Run) -> Result<Held> {
    let containers = match lab.testbed().kind() {
        TestbedKind::Docker => engine::containers(run.id()).await?,
        TestbedKind::Process | TestbedKind::Embedded => Vec::new(),
    };
    let held = |name: &str, kind, role, address: SocketAddr| HeldServer {
        name: name.to_owned(),
        kind,
        role,
        address,
        container: containers
            .iter()
            .find(|(server, _)| server == name)
            .map(|(_, container)| container.clone()),
    };
    let mut servers = Vec::new();
    if let Ok(proxy) = cluster.proxy() {
        let role = format!("round robin over {}", proxy.backends().join(", "));
        let address = address_of(proxy.server()).await?;
        servers.push(held(PROXY, Kind::Proxy, role, address));
    }
    for node in cluster.nodes() {
        let kind = match node.spec().role {
            Role::Primary => Kind::Primary,
            Role::Replica => Kind::Replica,
        };
        let address = address_of(node.server()).await?;
        servers.push(held(node.name(), kind, role_of(node.spec()), address));
    }
    Ok(Held {
        lab: lab.first_line(),
        servers,
    })
}

async fn address_of(server: &dyn Server) -> Result<SocketAddr, EnvironmentError> {
    server.endpoint(Port::Service).await
}

fn role_of(node: &NodeSpec) -> String {
    let upstreams: Vec<&str> = node
        .follows
        .iter()
        .map(|upstream| match upstream {
            Upstream::Node(name) => name,
            Upstream::Proxy => "the proxy",
        })
        .collect();
    let can = match node.role {
        Role::Primary => "writable",
        Role::Replica => "read-only",
    };
    format!("{can}, follows {}", upstreams.join(", "))
}
