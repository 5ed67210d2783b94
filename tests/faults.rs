//! Every fault of a node or of the proxy bites and heals, and a fault that does nothing is seen not
//! to bite.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use keydb_harness::cluster::{Cluster, Node, Order};
use keydb_harness::fault::node::Seen;
use keydb_harness::fault::{
    AllDown, Blow, CrashLoop, Drain, Fault, FullDisk, Inflicted, Kill, Maintenance, MemoryLimit,
    NetworkDisconnect, NodeFault, Pause, ProxyReload, ProxyRestart, Restart, SlowStart, Stop,
    Toothless,
};
use keydb_harness::lab::Lab;
use keydb_harness::settings::Settings;
use keydb_harness::topology::{Persistence, Topology};
use libtest_mimic::{Arguments, Failed, Trial};

/// Long enough for a cluster to start and for every fault here to bite, short enough to wait for
/// what cannot come.
const CAP: Duration = Duration::from_secs(8);

/// Name, and the fault with its no-op.
type Row = (&'static str, fn() -> Pair);

struct Pair {
    fault: Arc<dyn Fault>,
    no_op: Arc<dyn Fault>,
    /// Lines of every node's `keydb.conf`.
    options: &'static [(&'static str, &'static str)],
}

/// Links that notice within seconds that nobody speaks.
const ATTENTIVE: &[(&str, &str)] = &[("repl-timeout", "5"), ("repl-ping-replica-period", "1")];

fn on<B: Blow>(node: &str, make: impl Fn() -> B) -> Pair {
    Pair {
        fault: Arc::new(NodeFault::new(node, make())),
        no_op: Arc::new(NodeFault::new(node, NoBlow(make()))),
        options: &[],
    }
}

/// A wipe that stops the node and wipes nothing.
fn half_a_wipe() -> Pair {
    Pair {
        fault: Arc::new(NodeFault::new("replica1", Restart::Wiped)),
        no_op: Arc::new(NodeFault::new("replica1", Unwiped)),
        options: &[],
    }
}

fn of_proxy<F: Fault + 'static>(make: impl Fn() -> F) -> Pair {
    Pair {
        fault: Arc::new(make()),
        no_op: Arc::new(NoOp(make())),
        options: &[],
    }
}

/// What loses its network, among links that notice it soon.
fn disconnect(node: &str) -> Pair {
    Pair {
        options: ATTENTIVE,
        ..on(node, NetworkDisconnect::default)
    }
}

/// A reload, and one of which everything is remembered that it needs, and that is not done.
fn reload() -> Pair {
    Pair {
        fault: Arc::new(ProxyReload::default()),
        no_op: Arc::new(Unreloaded(ProxyReload::default())),
        options: &[],
    }
}

const FAULTS: &[Row] = &[
    ("stop a primary", || on("primary1", || Stop)),
    ("stop a replica", || on("replica1", || Stop)),
    ("kill a primary", || on("primary1", || Kill)),
    ("kill a replica", || on("replica1", || Kill)),
    ("pause a primary", || on("primary1", || Pause)),
    ("pause a replica", || on("replica1", || Pause)),
    ("crash loop of a primary", || {
        on("primary1", || CrashLoop::new(3))
    }),
    ("restart a primary with its data", || {
        on("primary1", || Restart::Kept)
    }),
    ("restart a primary without its data", || {
        on("primary1", || Restart::Wiped)
    }),
    ("restart a replica without its data", || half_a_wipe()),
    ("restart a primary with an append-only file", || {
        on("primary1", || Restart::Persisting(Persistence::Aof))
    }),
    ("no memory on a primary", || on("primary1", || MemoryLimit)),
    ("full disk on a primary", || {
        on("primary1", FullDisk::default)
    }),
    ("slow start of a primary", || {
        on("primary1", SlowStart::default)
    }),
    ("disconnect a primary", || disconnect("primary1")),
    ("disconnect a replica", || disconnect("replica1")),
    ("maintenance of a primary", || {
        of_proxy(|| Maintenance("primary1".to_owned()))
    }),
    ("drain a primary", || {
        of_proxy(|| Drain("primary1".to_owned()))
    }),
    ("restart the proxy", || of_proxy(|| ProxyRestart)),
    ("reload the proxy", reload),
    ("maintenance of all primaries", || of_proxy(|| AllDown)),
];

/// The same fault of a node, which does nothing.
#[derive(Debug)]
struct NoBlow<B>(B);

#[async_trait]
impl<B: Blow> Blow for NoBlow<B> {
    fn verb(&self) -> String {
        self.0.verb()
    }

    fn called(&self, node: &str) -> String {
        self.0.called(node)
    }

    fn colour(&self) -> &'static str {
        self.0.colour()
    }

    fn unavailable(&self, node: &Node) -> Option<String> {
        self.0.unavailable(node)
    }

    async fn strike(&self, _cluster: &Cluster, _node: &Node) -> Result<()> {
        Ok(())
    }

    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        self.0.bites(seen).await
    }

    async fn gone(&self, seen: &Seen<'_>) -> Result<(), String> {
        self.0.gone(seen).await
    }

    async fn mend(&self, _cluster: &Cluster, _node: &Node) -> Result<()> {
        Ok(())
    }
}

/// Says that it wipes, and keeps the data.
#[derive(Debug)]
struct Unwiped;

#[async_trait]
impl Blow for Unwiped {
    fn verb(&self) -> String {
        "pretend to wipe".to_owned()
    }

    fn colour(&self) -> &'static str {
        Restart::Wiped.colour()
    }

    async fn strike(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        Restart::Kept.strike(cluster, node).await
    }

    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        Restart::Wiped.bites(seen).await
    }

    async fn mend(&self, _cluster: &Cluster, _node: &Node) -> Result<()> {
        Ok(())
    }
}

/// The same fault of the proxy, which does nothing.
#[derive(Debug)]
struct NoOp<F>(F);

#[async_trait]
impl<F: Fault> Fault for NoOp<F> {
    fn name(&self) -> String {
        self.0.name()
    }

    fn colour(&self) -> &'static str {
        self.0.colour()
    }

    fn strikes(&self) -> Vec<String> {
        self.0.strikes()
    }

    fn unavailable(&self, cluster: &Cluster) -> Option<String> {
        self.0.unavailable(cluster)
    }

    async fn inject(&self, _cluster: &Cluster) -> Result<()> {
        Ok(())
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        self.0.bites(cluster).await
    }

    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        self.0.spares(cluster).await
    }

    async fn recover(&self, cluster: &Cluster) -> Result<()> {
        self.0.recover(cluster).await
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        self.0.healed(cluster).await
    }
}

/// Looks at the proxy as a reload does, and reloads nothing.
#[derive(Debug)]
struct Unreloaded(ProxyReload);

#[async_trait]
impl Fault for Unreloaded {
    fn name(&self) -> String {
        self.0.name()
    }

    fn colour(&self) -> &'static str {
        self.0.colour()
    }

    fn strikes(&self) -> Vec<String> {
        self.0.strikes()
    }

    async fn inject(&self, cluster: &Cluster) -> Result<()> {
        self.0.remember(cluster).await
    }

    async fn bites(&self, cluster: &Cluster) -> Result<String, String> {
        self.0.bites(cluster).await
    }

    async fn spares(&self, cluster: &Cluster) -> Result<(), String> {
        self.0.spares(cluster).await
    }

    async fn recover(&self, cluster: &Cluster) -> Result<()> {
        self.0.recover(cluster).await
    }

    async fn healed(&self, cluster: &Cluster) -> Result<(), String> {
        self.0.healed(cluster).await
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(8);
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let settings = Settings::from_env().expect("settings");
    let lab = runtime
        .block_on(Lab::open(&settings))
        .map_err(anyhow::Error::from);
    match lab.as_ref() {
        Ok(lab) => eprintln!("{}", lab.first_line()),
        Err(error) => eprintln!("NOT RUN: {error:#}"),
    }
    let absent = lab.is_err() && !settings.name_something();
    let lab: Arc<Result<Lab>> = Arc::new(lab);
    type Body = fn(&Lab, Pair) -> BoxFuture<'_, Result<()>>;
    let bodies: [(&str, Body); 2] = [
        ("bites and heals", |lab, pair| {
            Box::pin(bites_and_heals(lab, pair))
        }),
        ("is seen when it does nothing", |lab, pair| {
            Box::pin(no_op_is_seen(lab, pair))
        }),
    ];
    let mut tests = Vec::new();
    for (name, make) in FAULTS {
        for (what, body) in bodies {
            let (runtime, lab) = (Arc::clone(&runtime), Arc::clone(&lab));
            let test = Trial::test(format!("{name}: {what}"), move || match lab.as_ref() {
                Ok(lab) => runtime
                    .block_on(body(lab, make()))
                    .map_err(|error| Failed::from(format!("{error:#}"))),
                Err(error) => Err(format!("{error:#}").into()),
            });
            tests.push(test.with_ignored_flag(absent));
        }
    }
    libtest_mimic::run(&arguments, tests).exit_code()
}

async fn cluster(lab: &Lab, options: &[(&str, &str)]) -> Result<Cluster> {
    let mut topology = Topology::active_active().replicas(1);
    for (name, value) in options {
        topology = topology.option(*name, *value);
    }
    Cluster::start(lab, topology.build()?, Order::AtOnce).await
}

async fn bites_and_heals(lab: &Lab, pair: Pair) -> Result<()> {
    let cluster = cluster(lab, pair.options).await?;
    let inflicted = match Inflicted::on(&cluster, pair.fault).await {
        Ok(inflicted) => inflicted,
        Err(unavailable @ Toothless::Unavailable { .. }) => {
            eprintln!("NOT RUN: {unavailable}");
            return Ok(());
        }
        Err(toothless) => return Err(toothless.into()),
    };
    eprintln!("{}: {}", inflicted.fault().name(), inflicted.bite());
    ensure!(!inflicted.fault().strikes().is_empty(), "it strikes nobody");
    inflicted.recover(&cluster).await?;
    cluster.close().await;
    Ok(())
}

async fn no_op_is_seen(lab: &Lab, pair: Pair) -> Result<()> {
    let cluster = cluster(&lab.impatient(CAP), pair.options).await?;
    match Inflicted::on(&cluster, pair.no_op).await {
        Err(Toothless::DidNotBite { unmet, .. }) => eprintln!("no-op: {}", unmet.sentence()),
        Err(unavailable @ Toothless::Unavailable { .. }) => eprintln!("NOT RUN: {unavailable}"),
        Err(other) => return Err(other.into()),
        Ok(inflicted) => bail!("it bites: {}", inflicted.bite()),
    }
    cluster.close().await;
    Ok(())
}
