//! Every fault of a link bites and heals, and a fault that does nothing is seen not to bite.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use keydb_harness::cluster::{Cluster, Order};
use keydb_harness::fault::link::{Look, Strike};
use keydb_harness::fault::{
    BlackHole, Cut, CutAfter, CutInside, Delay, Fault, Flapping, Inflicted, Jitter, Link, OneWay,
    RefuseNew, Throttle, Toothless,
};
use keydb_harness::lab::Lab;
use keydb_harness::property::{self, agreement};
use keydb_harness::relay::{Direction, Passage, Relay};
use keydb_harness::settings::Settings;
use keydb_harness::topology::{Builder, PROXY, Topology};
use keydb_harness::wait::{DEADLINE, eventually};
use keydb_harness::workload::write_mixed_data;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::time::Instant;

/// Long enough for a cluster to start and for every fault here to bite, short enough to wait for
/// what cannot come.
const CAP: Duration = Duration::from_secs(8);

/// Name, and the fault with its no-op.
type Row = (&'static str, fn() -> Pair);

struct Pair {
    fault: Arc<dyn Fault>,
    no_op: Arc<dyn Fault>,
}

fn link() -> Link {
    Link::new("primary1", "primary2")
}

fn pair<S: Strike>(make: impl Fn() -> S) -> Pair {
    Pair {
        fault: Arc::new(link().struck_by(make())),
        no_op: Arc::new(link().struck_by(NoOp(make()))),
    }
}

const MS: fn(u64) -> Duration = Duration::from_millis;

const FAULTS: &[Row] = &[
    ("cut", || pair(|| Cut)),
    ("refuse new", || pair(|| RefuseNew)),
    ("black hole", || pair(|| BlackHole)),
    ("one way, data", || {
        pair(|| OneWay(Direction::TowardsDownstream))
    }),
    ("one way, acknowledgements", || {
        pair(|| OneWay(Direction::TowardsUpstream))
    }),
    ("delay", || pair(|| Delay(MS(150)))),
    ("jitter", || pair(|| Jitter(MS(200)))),
    ("throttle", || {
        pair(|| Throttle {
            bytes_per_second: 4000,
        })
    }),
    ("cut after n bytes", || pair(|| CutAfter { bytes: 100 })),
    ("cut inside a command", || pair(CutInside::default)),
    ("flapping", || pair(|| Flapping::new(MS(200), MS(1500)))),
];

/// The same fault, which does nothing.
#[derive(Debug)]
struct NoOp<S>(S);

#[async_trait]
impl<S: Strike> Strike for NoOp<S> {
    fn verb(&self) -> String {
        self.0.verb()
    }

    fn colour(&self) -> &'static str {
        self.0.colour()
    }

    fn strike(&self, _relay: &Arc<Relay>, _link: &Link) {}

    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        self.0.bites(look).await
    }

    async fn spares(&self, look: &Look<'_>) -> Result<(), String> {
        self.0.spares(look).await
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(10);
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
            Box::pin(bites_and_heals(lab, pair.fault))
        }),
        ("is seen when it does nothing", |lab, pair| {
            Box::pin(no_op_is_seen(lab, pair.no_op))
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
    for (name, body) in OTHERS {
        let (runtime, lab) = (Arc::clone(&runtime), Arc::clone(&lab));
        let test = Trial::test(*name, move || match lab.as_ref() {
            Ok(lab) => runtime
                .block_on(body(lab))
                .map_err(|error| Failed::from(format!("{error:#}"))),
            Err(error) => Err(format!("{error:#}").into()),
        });
        tests.push(test.with_ignored_flag(absent));
    }
    // The longest are at the end of the tables, and begun first.
    tests.reverse();
    libtest_mimic::run(&arguments, tests).exit_code()
}

type Other = for<'a> fn(&'a Lab) -> BoxFuture<'a, Result<()>>;

const OTHERS: &[(&str, Other)] = &[
    ("no relay: unavailable, and why", |lab| {
        Box::pin(unavailable(lab))
    }),
    ("a fault that is dropped is taken back", |lab| {
        Box::pin(dropped(lab))
    }),
    ("a replica's link to the proxy", |lab| {
        let topology = Topology::active_active().replicas(1);
        let link = Link::new(PROXY, "replica1");
        Box::pin(elsewhere(lab, topology.relayed_to_the_proxy_too(), link))
    }),
    ("a black hole that is noticed", |lab| Box::pin(noticed(lab))),
    ("a server that is down behind its relay", |lab| {
        Box::pin(down_behind_relay(lab))
    }),
    ("one link of a mesh of three", |lab| {
        let topology = Topology::mesh(3).without_proxy().relayed();
        Box::pin(elsewhere(lab, topology, link()))
    }),
];

/// Links of other topologies bite and heal as those of a pair do.
async fn elsewhere(lab: &Lab, topology: Builder, link: Link) -> Result<()> {
    let cluster = Cluster::start(lab, topology.build()?, Order::Staged).await?;
    let faults: [Arc<dyn Fault>; 3] = [
        Arc::new(link.clone().struck_by(Cut)),
        Arc::new(link.clone().struck_by(BlackHole)),
        Arc::new(link.struck_by(Delay(MS(100)))),
    ];
    for fault in faults {
        let inflicted = Inflicted::on(&cluster, fault).await?;
        eprintln!("{}: {}", inflicted.fault().name(), inflicted.bite());
        inflicted.recover(&cluster).await?;
        agreement::reached(&cluster).await?;
    }
    cluster.close().await;
    Ok(())
}

/// After `repl-timeout` without a word the connection is given up; then it heals with a new one.
async fn noticed(lab: &Lab) -> Result<()> {
    let topology = Topology::active_active().without_proxy().relayed();
    let topology = topology
        .option("repl-timeout", "3")
        .option("repl-ping-replica-period", "1")
        .build()?;
    let cluster = Cluster::start(lab, topology, Order::AtOnce).await?;
    let relay = cluster.link("primary2", "primary1")?;
    let before = relay.connections().made;
    let inflicted = Inflicted::on(&cluster, pair(|| BlackHole).fault).await?;
    let primary2 = cluster.node("primary2")?;
    eventually(&cluster, "primary2 notices", DEADLINE, || async {
        let info = primary2.glance().await.map_err(|error| error.to_string())?;
        let links = info.replication().masters;
        match links.iter().all(|link| link.link_up) {
            true => Err("its link is up"),
            false => Ok(()),
        }
        .map_err(str::to_owned)
    })
    .await?;
    write_mixed_data(&mut cluster.node("primary1")?.client().await?, "then", 10).await?;
    inflicted.recover(&cluster).await?;
    agreement::reached(&cluster).await?;
    ensure!(relay.connections().made > before, "{relay:?}");
    cluster.close().await;
    Ok(())
}

/// Who follows a server that is down tries again at its own pace, and finds it when it is back.
async fn down_behind_relay(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    let relay = cluster.link("primary2", "primary1")?;
    let primary1 = cluster.node("primary1")?;
    primary1.kill().await?;
    let began = Instant::now();
    eventually(&cluster, "primary2 tries", DEADLINE, || async {
        match relay.connections().unreachable {
            tries if tries >= 3 => Ok(()),
            tries => Err(format!("{tries} tries")),
        }
    })
    .await?;
    eprintln!("3 tries in {:.2} s", began.elapsed().as_secs_f64());
    primary1.start().await?;
    property::relink::reached(&cluster, Instant::now()).await?;
    cluster.close().await;
    Ok(())
}

async fn dropped(lab: &Lab) -> Result<()> {
    let cluster = cluster(lab).await?;
    for fault in [
        pair(|| Cut).fault,
        pair(|| BlackHole).fault,
        pair(|| Flapping::new(MS(100), MS(100))).fault,
    ] {
        drop(Inflicted::on(&cluster, fault).await?);
        let relay = cluster.link("primary2", "primary1")?;
        ensure!(!relay.is_refusing());
        ensure!(Direction::BOTH.map(|way| relay.passage(way)) == [Passage::Pass, Passage::Pass]);
        let made = relay.connections().made;
        property::relink::reached(&cluster, Instant::now()).await?;
        // None is cut any more: at most the one that was under way is made anew.
        ensure!(relay.connections().made <= made + 2);
    }
    cluster.close().await;
    Ok(())
}

async fn unavailable(lab: &Lab) -> Result<()> {
    let topology = Topology::active_active().without_proxy().build()?;
    let cluster = Cluster::start(lab, topology, Order::AtOnce).await?;
    match Inflicted::on(&cluster, pair(|| Cut).fault).await {
        Err(Toothless::Unavailable { why, .. }) => ensure!(why.contains("relayed"), "{why}"),
        other => bail!("{other:?}"),
    }
    cluster.close().await;
    Ok(())
}

async fn cluster(lab: &Lab) -> Result<Cluster> {
    let topology = Topology::active_active()
        .without_proxy()
        .relayed()
        .build()?;
    Cluster::start(lab, topology, Order::AtOnce).await
}

async fn bites_and_heals(lab: &Lab, fault: Arc<dyn Fault>) -> Result<()> {
    let cluster = cluster(lab).await?;
    let inflicted = Inflicted::on(&cluster, fault).await?;
    eprintln!("{}: {}", inflicted.fault().name(), inflicted.bite());
    let mut client = cluster.node("primary1")?.client().await?;
    write_mixed_data(&mut client, "meanwhile", 10).await?;
    inflicted.recover(&cluster).await?;
    let comparison = agreement::reached(&cluster).await?;
    let least = comparison.keys.values().min().copied();
    ensure!(least == Some(140), "{:?}", comparison.keys);
    cluster.close().await;
    Ok(())
}

async fn no_op_is_seen(lab: &Lab, no_op: Arc<dyn Fault>) -> Result<()> {
    let cluster = cluster(&lab.impatient(CAP)).await?;
    match Inflicted::on(&cluster, no_op).await {
        Err(Toothless::DidNotBite { unmet, .. }) => eprintln!("no-op: {}", unmet.sentence()),
        Err(other) => return Err(other.into()),
        Ok(inflicted) => bail!("it bites: {}", inflicted.bite()),
    }
    cluster.close().await;
    Ok(())
}
