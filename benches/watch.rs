//! What watching costs: the processor time of this process while it watches a six-node cluster and its
//! proxy as a trial with `--report` does, against the same cluster merely being there, in one run.
//!
//! `cargo bench --bench watch -- [SECONDS]`. Best on processes: what a container's engine does is not
//! counted. The bound is 3 percent of a core.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use keydb_harness::cluster::{Cluster, Order};
use keydb_harness::history::{Recording, Watch};
use keydb_harness::lab::Lab;
use keydb_harness::settings::Settings;
use keydb_harness::topology::Topology;

const SECONDS: u64 = 20;
/// As a trial with `--report` looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// The share of a core that must not be exceeded.
const BOUND: f64 = 0.03;

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`; `cargo test --benches` adds nothing and must not run this.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("watch: run with `cargo bench --bench watch`");
        return ExitCode::SUCCESS;
    }
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok());
    let done = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(seconds.unwrap_or(SECONDS))));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("watch: {error:#}");
            ExitCode::from(3)
        }
    }
}

async fn run(seconds: u64) -> Result<bool> {
    let lab = Lab::open(&Settings::from_env()?).await?;
    println!("{}", lab.first_line());
    let topology = Topology::active_active().replicas(4).build()?;
    let cluster = Cluster::start(&lab, topology, Order::Staged).await?;
    let length = Duration::from_secs(seconds);

    let idle = share(length).await?;
    let recording = Recording::new();
    let watch = Watch::start(&cluster, &recording, BETWEEN_LOOKS);
    let watched = share(length).await?;
    watch.stop().await;
    cluster.close().await;

    let cost = watched - idle;
    println!(
        "idle {:.2} % of a core, watched {:.2} %: watching six nodes and a proxy costs {:.2} % (bound {:.0} %)",
        idle * 100.0,
        watched * 100.0,
        cost * 100.0,
        BOUND * 100.0
    );
    Ok(cost < BOUND)
}

/// The share of a core that this process takes for so long.
async fn share(length: Duration) -> Result<f64> {
    let (before, began) = (used()?, Instant::now());
    tokio::time::sleep(length).await;
    Ok((used()? - before) / began.elapsed().as_secs_f64())
}

/// Seconds of processor time that this process has used, by `/proc/self/stat` (fields 14 and 15, in
/// hundredths on Linux).
fn used() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc/self/stat")?;
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: Vec<u32> = ticks.map(str::parse).collect::<Result<_, _>>()?;
    Ok(f64::from(ticks.iter().sum::<u32>()) / 100.0)
}
