//! Every check can fail: scenarios on real clusters that were sabotaged once they were ready. Each
//! row names what is broken and the check that must turn red.
//!
//! Checks that real versions break by themselves (`deletes-stay`, `newest-wins`, `expires`,
//! `live-primary`, `proxy-agrees`, the log rules) are seen red in the runs under `fixtures/runs/` or
//! noted in `fixtures/expectations/`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use keydb_harness::check::{Sabotage, plan, run_sabotaged};
use keydb_harness::cluster::{Client, Cluster, Timeouts};
use keydb_harness::lab::Lab;
use keydb_harness::scenario::Cost;
use keydb_harness::settings::Settings;
use keydb_harness::testbed::Status;
use keydb_harness::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};
use redis::cmd;

/// Long enough for what works, short enough to wait for what cannot come.
const CAP: Duration = Duration::from_secs(12);

/// Trial, what is done to it, and the checks that must be broken.
const ROWS: &[(&str, &str, Sabotage, &[&str])] = &[
    (
        "write-reaches-all",
        "a replica is cut off",
        |c| Box::pin(detach_replica(c)),
        &[
            "visible",
            "binary",
            "databases",
            "transaction",
            "ttl",
            "agreement",
        ],
    ),
    (
        "either-primary",
        "a replica is cut off",
        |c| Box::pin(detach_replica(c)),
        &["from-primary1", "from-primary2", "agreement"],
    ),
    (
        "split-replids",
        "a replica is cut off",
        |c| Box::pin(detach_replica(c)),
        &["live-primary"],
    ),
    (
        "split-replids",
        "all replicas follow primary1",
        |c| Box::pin(all_follow_primary1(c)),
        &["split"],
    ),
    (
        "primary-lost/sigkill",
        "replicas bypass the proxy",
        |c| Box::pin(all_follow_primary1(c)),
        &["replicas-move"],
    ),
    (
        "primary-lost/sigterm",
        "the proxy may not use primary2",
        |c| Box::pin(maintenance(c, "primary2")),
        &["proxy-takes-writes"],
    ),
    (
        "primary-lost/pause",
        "acknowledged writes are deleted",
        |c| Box::pin(delete_writes(c)),
        &["survival"],
    ),
    (
        "primary-lost/sigkill",
        "no write is answered, so that the run says nothing",
        |c| Box::pin(answer_nothing(c)),
        &["traffic"],
    ),
    (
        "primary-returns/rdb",
        "keys vanish everywhere",
        |c| Box::pin(keep_deleting(c, "while-down:string:1")),
        &["data-kept", "writes-survive"],
    ),
    (
        "replica-restarts/sigkill",
        "keys vanish everywhere",
        |c| Box::pin(keep_deleting(c, "before:list:1")),
        &["data-kept"],
    ),
    (
        "alternating-stops",
        "keys vanish everywhere",
        |c| Box::pin(keep_deleting(c, "round1:string:1")),
        &["data-kept"],
    ),
    (
        "primary-returns/none",
        "primary2 refuses to be replicated",
        |c| Box::pin(refuse_sync_once_alone(c)),
        &["resyncs"],
    ),
    (
        "alternating-stops",
        "the proxy may not use primary2",
        |c| Box::pin(maintenance(c, "primary2")),
        &["replicas-move"],
    ),
    (
        "read-only-replicas",
        "a replica is writable",
        |c| Box::pin(configure(c, "replica2", "replica-read-only", "no")),
        &["replica2-writes"],
    ),
    (
        "read-only-replicas",
        "a primary refuses writes",
        |c| Box::pin(configure(c, "primary2", "maxmemory", "1mb")),
        &["primary2-writes"],
    ),
    (
        "read-only-replicas",
        "a server dies unnoticed",
        |c| Box::pin(kill_unnoticed(c)),
        &["alive"],
    ),
    (
        "replica-restarts/sigterm",
        "no primary may be replicated any more",
        |c| Box::pin(refuse_sync(c)),
        &["heals"],
    ),
    (
        "proxy-restarts/all-up",
        "no primary may be replicated any more",
        |c| Box::pin(refuse_sync(c)),
        &["heals"],
    ),
    (
        "cold-start",
        "a replica is cut off",
        |c| Box::pin(detach_replica(c)),
        &["agreement", "live-primary"],
    ),
    (
        "health-checks/write-probe",
        "the proxy may not use primary2",
        |c| Box::pin(maintenance(c, "primary2")),
        &["frozen-left-out", "stopped-left-out"],
    ),
    (
        "health-checks/write-probe",
        "the proxy may not use primary1",
        |c| Box::pin(maintenance(c, "primary1")),
        &["thawed-returns", "returns"],
    ),
    (
        "configuration/passwords",
        "a node asks for no password",
        |c| Box::pin(configure(c, "replica1", "requirepass", "")),
        &["strangers-refused"],
    ),
    (
        "configuration/passwords",
        "primary2 follows nobody",
        |c| Box::pin(detach(c, "primary2")),
        &["wrong-masterauth-shows"],
    ),
    (
        "configuration/at-runtime",
        "a key vanishes everywhere",
        |c| Box::pin(keep_deleting(c, "at-runtime:before")),
        &["no-one-keeps-data", "replicaof-merges"],
    ),
    (
        "configuration/at-runtime",
        "no primary may be replicated any more",
        |c| Box::pin(refuse_sync(c)),
        &["replicaof-adds"],
    ),
    (
        "configuration/rewrite",
        "primary1 follows nobody",
        |c| Box::pin(detach(c, "primary1")),
        &["rewritten-file-serves"],
    ),
    (
        "configuration/no-stale-data",
        "primary1 is told to serve stale data, again and again",
        |c| {
            Box::pin(keep_configuring(
                c,
                "primary1",
                "replica-serve-stale-data",
                "yes",
            ))
        },
        &["refuses-data-only", "quorum-serves"],
    ),
    (
        "configuration/no-forward-mesh",
        "primary3 follows nobody",
        |c| Box::pin(detach(c, "primary3")),
        &["mesh-loses-nothing"],
    ),
    (
        "configuration/no-forward-mesh",
        "primary1 is told to pass all on, again and again",
        |c| {
            Box::pin(keep_configuring(
                c,
                "primary1",
                "multi-master-no-forward",
                "no",
            ))
        },
        &["mesh-saves-traffic"],
    ),
    (
        "configuration/replicas-count",
        "primary2 follows again, under its own address",
        |c| Box::pin(follow_unannounced(c)),
        &["info-shows-announced", "role-shows-announced"],
    ),
    (
        "configuration/replicas-count",
        "primary1 needs no replica",
        |c| Box::pin(configure(c, "primary1", "min-replicas-to-write", "0")),
        &["refuses-without-replicas"],
    ),
    (
        "configuration/loading",
        "primary1 may not serve stale data",
        |c| Box::pin(configure(c, "primary1", "replica-serve-stale-data", "no")),
        &["reads-while-loading", "writes-while-loading"],
    ),
    (
        "memory-limits/refusing",
        "the replica minds a limit of its own",
        |c| Box::pin(configure(c, "replica1", "replica-ignore-maxmemory", "no")),
        &["replica-leaves-it-to-its-primary"],
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(10);
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let settings = Settings::from_env().expect("settings");
    let lab = runtime
        .block_on(Lab::open(&settings))
        .map(|lab| lab.impatient(CAP))
        .map_err(anyhow::Error::from);
    // The model has quirks instead: see tests/mutants.rs.
    let model = lab.as_ref().is_ok_and(|lab| !lab.identity().is_real());
    let lab: Arc<Result<Lab>> = Arc::new(lab);
    if let Err(error) = lab.as_ref() {
        eprintln!("REAL KEYDB: NOT RUN: {error:#}");
    }
    let absent = model || lab.is_err() && !settings.name_something();
    let tests = ROWS
        .iter()
        .map(|(id, what, sabotage, checks)| {
            let (runtime, lab) = (Arc::clone(&runtime), Arc::clone(&lab));
            let test = Trial::test(format!("{id}: {what}"), move || match lab.as_ref() {
                Ok(lab) => runtime.block_on(turns_red(lab, id, *sabotage, checks)),
                Err(error) => Err(format!("{error:#}").into()),
            });
            test.with_ignored_flag(absent)
        })
        .collect();
    libtest_mimic::run(&arguments, tests).exit_code()
}

async fn turns_red(lab: &Lab, id: &str, sabotage: Sabotage, checks: &[&str]) -> Result<(), Failed> {
    // Its name may be a part of another's.
    let mut planned = plan(&[id.to_owned()], Cost::Normal);
    planned.retain(|planned| planned.id() == id);
    let [planned] = planned[..] else {
        return Err(format!("no single trial {id}").into());
    };
    let outcome = run_sabotaged(lab, planned, sabotage).await.outcome;
    if let Some(reason) = outcome.environment {
        return Err(format!("not run: {reason}").into());
    }
    for check in checks {
        let found = outcome
            .findings
            .iter()
            .find(|finding| finding.check == *check);
        match found.map(|finding| finding.verdict) {
            Some(Verdict::Broken) => {}
            Some(Verdict::Inconclusive) if *check == "traffic" => {}
            verdict => {
                let all: Vec<_> = outcome
                    .findings
                    .iter()
                    .map(|f| format!("{} {}: {}", f.verdict, f.check, f.evidence))
                    .collect();
                return Err(
                    format!("{check} is {verdict:?}, not broken\n{}", all.join("\n")).into(),
                );
            }
        }
    }
    Ok(())
}

async fn detach_replica(cluster: &Cluster) -> Result<()> {
    detach(cluster, "replica1").await
}

async fn all_follow_primary1(cluster: &Cluster) -> Result<()> {
    let address = cluster.reached_at("primary1");
    for replica in cluster.replicas() {
        let mut client = replica.client().await?;
        let host = address.ip().to_string();
        client
            .query::<()>(cmd("REPLICAOF").arg(host).arg(address.port()))
            .await?;
    }
    Ok(())
}

async fn maintenance(cluster: &Cluster, primary: &str) -> Result<()> {
    let line = format!("set server keydb/{primary} state maint");
    cluster
        .proxy()?
        .admin(&line)
        .await
        .map(drop)
        .map_err(anyhow::Error::msg)
}

/// Takes the right to replicate from everyone; links that are up stay.
async fn refuse_sync(cluster: &Cluster) -> Result<()> {
    for primary in cluster.primaries() {
        primary.client().await?.query::<()>(&no_sync()).await?;
    }
    Ok(())
}

fn no_sync() -> redis::Cmd {
    cmd("ACL")
        .arg("SETUSER")
        .arg("default")
        .arg("-psync")
        .arg("-sync")
        .to_owned()
}

/// Holds back the answers to all clients for longer than any deadline.
async fn answer_nothing(cluster: &Cluster) -> Result<()> {
    for primary in cluster.primaries() {
        let mut client = primary.client().await?;
        client
            .query::<()>(cmd("CLIENT").arg("PAUSE").arg(60_000))
            .await?;
    }
    Ok(())
}

async fn configure(cluster: &Cluster, node: &str, option: &str, value: &str) -> Result<()> {
    let mut client = cluster.node(node)?.client().await?;
    Ok(client
        .query(cmd("CONFIG").arg("SET").arg(option).arg(value))
        .await?)
}

/// As [`configure`], every few milliseconds and over restarts, until the server is away for good.
async fn keep_configuring(
    cluster: &Cluster,
    node: &str,
    option: &'static str,
    value: &'static str,
) -> Result<()> {
    let address = cluster.reached_at(node);
    tokio::spawn(async move {
        let mut heard = Instant::now();
        while heard.elapsed() < CAP / 4 {
            if let Ok(mut client) = Client::connect(address, None, Timeouts::GLANCE).await {
                let set = cmd("CONFIG").arg("SET").arg(option).arg(value).to_owned();
                while client.query::<()>(&set).await.is_ok() {
                    heard = Instant::now();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    Ok(())
}

async fn detach(cluster: &Cluster, node: &str) -> Result<()> {
    let mut client = cluster.node(node)?.client().await?;
    Ok(client.query(cmd("REPLICAOF").arg("NO").arg("ONE")).await?)
}

/// Has primary2 follow primary1 anew, without an address that it announces.
async fn follow_unannounced(cluster: &Cluster) -> Result<()> {
    configure(cluster, "primary2", "replica-announce-ip", "").await?;
    configure(cluster, "primary2", "replica-announce-port", "0").await?;
    detach(cluster, "primary2").await?;
    let (host, port) = (
        cluster.reached_at("primary1").ip(),
        cluster.reached_at("primary1").port(),
    );
    let mut client = cluster.node("primary2")?.client().await?;
    let host = host.to_string();
    Ok(client.query(cmd("REPLICAOF").arg(host).arg(port)).await?)
}

/// Ends a replica without telling the harness, and waits until it is gone.
async fn kill_unnoticed(cluster: &Cluster) -> Result<()> {
    let server = cluster.node("replica3")?.server();
    server.kill().await?;
    anyhow::ensure!(matches!(server.status().await?, Status::Ended(_)));
    Ok(())
}

/// Deletes the first keys of client 0 on primary2, again and again, for as long as primary2 answers.
async fn delete_writes(cluster: &Cluster) -> Result<()> {
    let mut client = cluster.node("primary2")?.client().await?;
    tokio::spawn(async move {
        for number in 0.. {
            let key = format!("stream:0:{}", number % 50);
            if client.query::<()>(cmd("DEL").arg(key)).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Deletes a key on primary2, again and again, for as long as primary2 answers; then on primary1.
async fn keep_deleting(cluster: &Cluster, key: &'static str) -> Result<()> {
    for primary in cluster.primaries() {
        let mut client = primary.client().await?;
        tokio::spawn(async move {
            while client.query::<()>(cmd("DEL").arg(key)).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
    Ok(())
}

/// Takes the right to replicate from everyone once primary2 has lost its peer and gained all
/// replicas, so that the peer finds a closed door when it returns.
async fn refuse_sync_once_alone(cluster: &Cluster) -> Result<()> {
    let mut client = cluster.node("primary2")?.client().await?;
    tokio::spawn(async move {
        while let Ok(false) = alone(&mut client).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        client.query::<()>(&no_sync()).await
    });
    Ok(())
}

async fn alone(client: &mut Client) -> Result<bool> {
    let text: String = client.query(cmd("INFO").arg("replication")).await?;
    let replication = keydb_harness::cluster::info::Info::parse(&text).replication();
    let peer_gone = replication.masters.iter().all(|master| !master.link_up);
    Ok(peer_gone && replication.slaves.len() == 3)
}
