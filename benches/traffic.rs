//! The recording clients against `keydb-benchmark`: 50 clients on one thread each, SETs and GETs of
//! the same size on the same thousand keys of the same server, in turns. At least 0.8 of its
//! throughput is wanted unpipelined, 0.5 at pipeline 16.
//!
//! `cargo bench --bench traffic`, with `keydb-benchmark` on the PATH. What counts is the median of
//! the ratios of neighbouring turns, which are short and change their order, so that what else the
//! machine does falls on both alike.

use std::process::{Command, ExitCode};
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
const ROUNDS: usize = 21;
const KEYS: u32 = 1000;
/// Bytes of a value: what ours have once some have been written.
const VALUE: &str = "8";
/// How long each of ours runs.
const RUN: Duration = Duration::from_millis(700);

fn main() -> Result<ExitCode> {
    // `cargo bench` adds `--bench`; `cargo test --benches` adds nothing and must not run this.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("traffic: run with `cargo bench --bench traffic`");
        return Ok(ExitCode::SUCCESS);
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(compare())
}

async fn compare() -> Result<ExitCode> {
    let lab = Lab::open(&Settings::from_env()?).await?;
    println!("{}", lab.first_line());
    let cluster = Cluster::start(&lab, Topology::mesh(2).build()?, Order::Staged).await?;
    // A lone server: what it passes on to a peer would cost both alike, on a core of this machine.
    cluster.node("primary2")?.stop().await?;
    let node = cluster.nodes().first().context("no node")?;
    let mut kept = true;
    for (depth, wanted) in [(1, 0.8), (16, 0.5)] {
        for kind in [Kind::Set, Kind::Get] {
            let mut ratios = Vec::new();
            let mut all = [Vec::new(), Vec::new()];
            for round in 0..ROUNDS {
                let address = node.server().endpoint(Port::Service).await?;
                let theirs = || async move {
                    let run = move || benchmark(address, kind, depth);
                    tokio::task::spawn_blocking(run).await?
                };
                let [own, other] = if round.is_multiple_of(2) {
                    let own = ours(&cluster, node.name(), kind, depth).await?;
                    [own, theirs().await?]
                } else {
                    let other = theirs().await?;
                    [ours(&cluster, node.name(), kind, depth).await?, other]
                };
                ratios.push(own / other);
                all[0].push(own);
                all[1].push(other);
            }
            let [low, ratio, high] = [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share));
            let [own, other] = all.map(|mut rates| quantile(&mut rates, 0.5));
            println!(
                "{kind:?} at pipeline {depth}: ours {own:.0}/s, keydb-benchmark {other:.0}/s; \
                 {ROUNDS} ratios, median {ratio:.2} (half of them {low:.2} to {high:.2}); at least {wanted} wanted"
            );
            kept &= ratio >= wanted;
        }
    }
    cluster.close().await;
    println!("{}", if kept { "kept" } else { "missed" });
    Ok(ExitCode::from(u8::from(!kept)))
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// Operations a second of the recording clients.
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

/// Operations a second of `keydb-benchmark`, in a run that is about as long.
fn benchmark(address: std::net::SocketAddr, kind: Kind, depth: usize) -> Result<f64> {
    let requests = if depth == 1 { 30_000 } else { 150_000 };
    let output = Command::new("keydb-benchmark")
        .args(["-h", &address.ip().to_string()])
        .args(["-p", &address.port().to_string()])
        .args(["-t", &format!("{kind:?}").to_lowercase(), "--csv"])
        .args(["-c", &CLIENTS.to_string(), "-P", &depth.to_string()])
        .args(["-n", &requests.to_string(), "-r", &KEYS.to_string()])
        .args(["-d", VALUE, "--threads", "1"])
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
