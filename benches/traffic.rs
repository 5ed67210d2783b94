//! The recording clients against `keydb-benchmark`: 50 clients, SETs and GETs, on the same server,
//! in turns. At least 0.8 of its throughput is wanted unpipelined, 0.5 at pipeline 16.
//!
//! `cargo bench --bench traffic`, with `keydb-benchmark` on the PATH.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use keydb_harness::cluster::{Cluster, Order};
use keydb_harness::history::Recording;
use keydb_harness::lab::Lab;
use keydb_harness::settings::Settings;
use keydb_harness::testbed::Port;
use keydb_harness::topology::Topology;
use keydb_harness::workload::traffic::{Contention, Kind, Mix, Plan, Route, Traffic};

const CLIENTS: u32 = 50;
const ROUNDS: usize = 5;
const KEYS: u32 = 1000;
/// How long each of ours runs.
const RUN: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(compare())
}

async fn compare() -> Result<()> {
    let lab = Lab::open(&Settings::from_env()?).await?;
    println!("{}", lab.first_line());
    let cluster = Cluster::start(&lab, Topology::mesh(2).build()?, Order::Staged).await?;
    // A lone server: what it passes on to a peer would cost both alike, on a core of this machine.
    cluster.node("primary2")?.stop().await?;
    let node = cluster.nodes().first().context("no node")?;
    for (depth, wanted) in [(1, 0.8), (16, 0.5)] {
        for kind in [Kind::Set, Kind::Get] {
            let mut ratios = Vec::new();
            for _ in 0..ROUNDS {
                let address = node.server().endpoint(Port::Service).await?;
                let word = format!("{kind:?}").to_lowercase();
                let requests = if depth == 1 { 120_000 } else { 800_000 };
                let theirs = tokio::task::spawn_blocking(move || {
                    benchmark(
                        &address.ip().to_string(),
                        address.port(),
                        &word,
                        depth,
                        requests,
                    )
                })
                .await??;
                let ours = ours(&cluster, node.name(), kind, depth).await?;
                ratios.push(ours / theirs);
                println!(
                    "{kind:?} at pipeline {depth}: ours {ours:.0}/s, keydb-benchmark {theirs:.0}/s, ratio {:.2}",
                    ours / theirs
                );
            }
            ratios.sort_by(f64::total_cmp);
            println!(
                "{kind:?} at pipeline {depth}: median ratio {:.2}; at least {wanted} wanted",
                ratios[ratios.len() / 2]
            );
        }
    }
    cluster.close().await;
    Ok(())
}

async fn ours(cluster: &Cluster, node: &str, kind: Kind, depth: usize) -> Result<f64> {
    let recording = Recording::new();
    let plan = Plan {
        clients: CLIENTS,
        route: Route::Node(node.to_owned()),
        contention: Contention::Shared(KEYS),
        pace: Duration::ZERO,
        depth,
        ..Plan::new("bench", Mix::new([(kind, 1)]))
    };
    let traffic = Traffic::start(cluster, &recording, &plan)?;
    traffic.more(cluster, 1000).await?;
    let (began, before) = (Instant::now(), traffic.acknowledged());
    tokio::time::sleep(RUN).await;
    let rate = (traffic.acknowledged() - before) as f64 / began.elapsed().as_secs_f64();
    let history = traffic.stop().await?;
    ensure!(history.operations.len() >= 1000, "the record is short");
    Ok(rate)
}

fn benchmark(host: &str, port: u16, kind: &str, depth: usize, requests: u32) -> Result<f64> {
    let output = Command::new("keydb-benchmark")
        .args(["-h", host, "-p", &port.to_string(), "-t", kind, "--csv"])
        .args(["-c", &CLIENTS.to_string(), "-P", &depth.to_string()])
        .args([
            "-n",
            &requests.to_string(),
            "-r",
            &KEYS.to_string(),
            "--threads",
            "1",
        ])
        .output()
        .context("keydb-benchmark cannot be run: put it on the PATH")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `"SET","123456.78",…` after a line of headings.
    text.lines()
        .filter_map(|line| line.split(',').nth(1))
        .filter_map(|field| field.trim_matches('"').parse().ok())
        .next_back()
        .with_context(|| format!("keydb-benchmark said: {text}"))
}
