//! The topologies and operations that no scenario of the guide needs, on real KeyDB: passwords,
//! meshes and rings, another version on the same data, and a panic in the middle.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use futures_util::future::BoxFuture;
use keydb_harness::cluster::reach::Reach;
use keydb_harness::cluster::role::RoleReply;
use keydb_harness::cluster::{Client, Cluster, Order, Timeouts, ready};
use keydb_harness::inspect::survey::{Asked, survey};
use keydb_harness::inspect::{Severity, rules};
use keydb_harness::lab::Lab;
use keydb_harness::property::agreement;
use keydb_harness::settings::Settings;
use keydb_harness::spec::KeydbSpec;
use keydb_harness::testbed::process::releases;
use keydb_harness::testbed::{Port, Program};
use keydb_harness::topology::{Persistence, Topology};
use keydb_harness::wait::{DEADLINE, eventually};
use keydb_harness::workload::write_mixed_data;
use libtest_mimic::{Arguments, Failed, Trial};
use redis::cmd;

type Body = for<'a> fn(&'a Lab) -> BoxFuture<'a, Result<()>>;

const TESTS: &[(&str, Body)] = &[
    ("a cluster with a password", |lab| Box::pin(password(lab))),
    ("a mesh of three", |lab| {
        Box::pin(everyone_hears_everyone(lab, Topology::mesh(3)))
    }),
    ("a ring of four", |lab| {
        Box::pin(everyone_hears_everyone(lab, Topology::ring(4)))
    }),
    ("another version on the same data", |lab| {
        Box::pin(replace(lab))
    }),
    (
        "an inspection sees a lost link, and writes nothing",
        |lab| Box::pin(inspects(lab)),
    ),
    ("a panic takes its cluster with it", |lab| {
        Box::pin(panics(lab))
    }),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let settings = Settings::from_env().expect("settings");
    let lab = runtime
        .block_on(Lab::open(&settings))
        .map_err(anyhow::Error::from);
    let lab: Arc<Result<Lab>> = Arc::new(lab);
    if let Err(error) = lab.as_ref() {
        eprintln!("REAL KEYDB: NOT RUN: {error:#}");
    }
    let absent = lab.is_err() && !settings.name_something();
    let tests = TESTS
        .iter()
        .map(|(name, body)| {
            let (runtime, lab) = (Arc::clone(&runtime), Arc::clone(&lab));
            let test = Trial::test(*name, move || match lab.as_ref() {
                Ok(lab) => runtime
                    .block_on(body(lab))
                    .map_err(|e| Failed::from(format!("{e:#}"))),
                Err(error) => Err(format!("{error:#}").into()),
            });
            test.with_ignored_flag(absent)
        })
        .collect();
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// Nodes, replicas and the proxy's checks all need it; a client without it is turned away.
async fn password(lab: &Lab) -> Result<()> {
    let topology = Topology::active_active()
        .replicas(1)
        .password("a \"b\\ c$")
        .build()?;
    let cluster = Cluster::start(lab, topology, Order::Staged).await?;
    write_mixed_data(&mut cluster.proxy()?.client().await?, "secret", 10).await?;
    agreement::reached(&cluster).await?;
    for node in cluster.nodes() {
        let address = node.server().endpoint(Port::Service).await?;
        let mut stranger = Client::connect(address, None, Timeouts::GLANCE).await?;
        let reply = stranger
            .query::<String>(cmd("GET").arg("secret:string:1"))
            .await;
        let error = reply
            .err()
            .with_context(|| format!("{} answers a stranger", node.name()))?;
        ensure!(error.is_refusal("NOAUTH"), "{}: {error}", node.name());
    }
    cluster.close().await;
    Ok(())
}

/// Counters that every node increments come out exact on every node.
async fn everyone_hears_everyone(
    lab: &Lab,
    topology: keydb_harness::topology::Builder,
) -> Result<()> {
    const INCREMENTS: usize = 100;
    let cluster = Cluster::start(lab, topology.replicas(1).build()?, Order::Staged).await?;
    for primary in cluster.primaries() {
        ensure!(
            matches!(primary.role().await?, RoleReply::ActiveReplica(_)),
            "{}",
            primary.name()
        );
        let mut pipe = redis::pipe();
        for _ in 0..INCREMENTS {
            pipe.cmd("INCR").arg("counter").ignore();
        }
        primary.client().await?.pipeline::<()>(&pipe).await?;
    }
    let wanted = INCREMENTS * cluster.primaries().count();
    eventually(
        &cluster,
        "every node has counted every increment once",
        DEADLINE,
        || async {
            for node in cluster.nodes() {
                let mut client = node.client().await.map_err(|error| error.to_string())?;
                let seen: usize = client
                    .query(cmd("GET").arg("counter"))
                    .await
                    .map_err(|e| e.to_string())?;
                if seen != wanted {
                    return Err(format!("{} has {seen} of {wanted}", node.name()));
                }
            }
            Ok(())
        },
    )
    .await?;
    agreement::reached(&cluster).await?;
    cluster.close().await;
    Ok(())
}

/// A primary is replaced by another release on its data; without another release by its own.
async fn replace(lab: &Lab) -> Result<()> {
    let other = releases()
        .into_iter()
        .filter(|_| lab.identity().is_real())
        .find(|(version, _)| version == "6.2.2");
    let old = other.map_or_else(
        || lab.keydb().clone(),
        |(_, binary)| KeydbSpec::Path(binary),
    );
    lab.testbed().prepare(&Program::Keydb(old.clone())).await?;
    let topology = Topology::active_active()
        .persistence(Persistence::Rdb)
        .node_keydb("primary1", old)
        .build()?;
    let cluster = Cluster::start(lab, topology, Order::Staged).await?;
    let primary1 = cluster.node("primary1")?;
    write_mixed_data(&mut primary1.client().await?, "before", 10).await?;
    agreement::reached(&cluster).await?;
    primary1.replace(lab.keydb().clone()).await?;
    eventually(&cluster, "every link is up", DEADLINE, || {
        ready::links(&cluster)
    })
    .await?;
    let info = primary1.info().await?;
    ensure!(
        info.version() == Some(&lab.identity().keydb.version),
        "{:?}",
        info.version()
    );
    let comparison = agreement::reached(&cluster).await?;
    ensure!(
        comparison.keys.values().all(|keys| *keys == 140),
        "{:?}",
        comparison.keys
    );
    cluster.close().await;
    Ok(())
}

/// Nothing listens any more once the panic has unwound.
async fn panics(lab: &Lab) -> Result<()> {
    let cluster = Cluster::start(lab, Topology::active_active().build()?, Order::Staged).await?;
    let mut addresses = Vec::new();
    for node in cluster.nodes() {
        addresses.push(node.server().endpoint(Port::Service).await?);
    }
    let panicked = tokio::spawn(async move {
        let _held = cluster;
        // As a panic, but without its message and backtrace.
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    ensure!(panicked.await.is_err_and(|error| error.is_panic()));
    for address in addresses {
        let answer = Client::connect(address, None, Timeouts::GLANCE).await;
        ensure!(answer.is_err(), "{address} still answers");
    }
    Ok(())
}

/// A sound pair with a password has no risk; without its peer a primary has one. Nothing of it is a
/// write: the offset of the stream stays, but for the servers' own pings.
async fn inspects(lab: &Lab) -> Result<()> {
    const PASSWORD: &str = "not-a-secret";
    let topology = Topology::active_active().without_proxy().password(PASSWORD);
    let cluster = Cluster::start(lab, topology.build()?, Order::Staged).await?;
    let asked = |password: Option<&str>| -> Vec<Asked> {
        let nodes = cluster.nodes().iter();
        let addresses = nodes.map(|node| cluster.reached_at(node.name()));
        let asked = addresses.map(|address| Asked {
            name: address.to_string(),
            reach: Reach::plain(address, password),
            declared: None,
        });
        asked.collect()
    };
    let nodes = asked(Some(PASSWORD));
    let keys = agreement::reached(&cluster).await?.to_string();

    let risks = |surveyed: &[_]| {
        let notices = rules::all(surveyed).into_iter();
        notices
            .filter(|notice| notice.severity == Severity::Risk)
            .map(|notice| format!("{}: {}", notice.at, notice.says))
            .collect::<Vec<_>>()
    };
    let sound = risks(&survey(&nodes).await);
    ensure!(sound.is_empty(), "{sound:?}");
    let stranger = risks(&survey(&asked(None)).await);
    ensure!(stranger.len() == nodes.len(), "{stranger:?}");
    ensure!(!format!("{stranger:?}").contains(PASSWORD), "{stranger:?}");

    cluster.node("primary2")?.stop().await?;
    let first = &*nodes[0].name;
    eventually(&cluster, "the lost link is told", DEADLINE, || async {
        let seen = risks(&survey(&nodes).await);
        let told = |of: &str| {
            seen.iter()
                .any(|says| says.starts_with(first) && says.contains(of))
        };
        match told("is down") && seen.iter().any(|says| says.contains("does not answer")) {
            true => Ok(()),
            false => Err(format!("{seen:?}")),
        }
    })
    .await?;
    cluster.node("primary2")?.start().await?;
    eventually(&cluster, "every link is up", DEADLINE, || {
        ready::links(&cluster)
    })
    .await?;
    let after = agreement::reached(&cluster).await?.to_string();
    ensure!(keys == after, "{keys}, then {after}");
    cluster.close().await;
    Ok(())
}
