//! How long the reference cluster takes until it is ready, as processes: ours against bare servers that
//! are started by hand, all at once, in one run, on the same programs, with the same readiness
//! predicate; and what a reset takes that makes a used cluster as good as new.
//!
//! `cargo bench --bench processes -- [ROUNDS]`, with `keydb-server` and `haproxy` on PATH. Bare servers
//! leave to chance which primary the replicas follow; ours start in stages, so that they spread.

#[path = "startup/readiness.rs"]
mod readiness;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use keydb_harness::cluster::{Cluster, Order};
use keydb_harness::lab::Lab;
use keydb_harness::settings::{Settings, TestbedChoice};
use keydb_harness::testbed::TestbedKind;
use keydb_harness::testbed::process::{find_haproxy, find_keydb};
use keydb_harness::topology::Topology;
use readiness::{Endpoints, median};
use redis::cmd;

const ROUNDS: usize = 5;

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`; `cargo test --benches` adds nothing and must not run this.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("processes: run with `cargo bench --bench processes`");
        return ExitCode::SUCCESS;
    }
    let rounds = arguments.iter().find_map(|argument| argument.parse().ok());
    let done = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(rounds.unwrap_or(ROUNDS))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("processes: {error:#}");
            ExitCode::from(3)
        }
    }
}

async fn run(rounds: usize) -> Result<()> {
    let settings = Settings {
        testbed: TestbedChoice::Only(TestbedKind::Process),
        ..Settings::from_env()?
    };
    let lab = Lab::open(&settings).await?;
    println!("{}", lab.first_line());
    let keydb = find_keydb(lab.keydb())?;
    let haproxy = find_haproxy(Some(lab.haproxy()))?;
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 1..=rounds {
        let [ours, reset] = ours(&lab).await?;
        let bare = by_hand(&keydb, &haproxy).await?;
        println!(
            "round {round}: ours {:.2} s, by hand {:.2} s, reset {:.2} s",
            ours.as_secs_f64(),
            bare.as_secs_f64(),
            reset.as_secs_f64()
        );
        for (times, time) in times.iter_mut().zip([ours, bare, reset]) {
            times.push(time);
        }
    }
    let [ours, bare, reset] = times.map(|times| median(times).as_secs_f64());
    println!(
        "medians of {rounds}: ours {ours:.2} s; by hand {bare:.2} s, ratio {:.2}; reset {reset:.2} s, {:.2} of a start",
        ours / bare,
        reset / ours
    );
    Ok(())
}

/// A start, and a reset after some use.
async fn ours(lab: &Lab) -> Result<[Duration; 2]> {
    let began = Instant::now();
    let topology = Topology::active_active().replicas(3).build()?;
    let cluster = Cluster::start(lab, topology, Order::Staged).await?;
    Endpoints::of(&cluster).await?.await_ready().await?;
    let start = began.elapsed();
    let fresh = cluster.shown().await?;
    let mut client = cluster.node("primary1")?.client().await?;
    for number in 0..1000 {
        let write = cmd("SET").arg(number).arg("v").to_owned();
        client.query::<()>(&write).await?;
    }
    let began = Instant::now();
    cluster.reset(&fresh).await?;
    let reset = began.elapsed();
    cluster.close().await;
    Ok([start, reset])
}

/// Servers that end with this.
struct Bare(Vec<Child>);

impl Drop for Bare {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Bare {
    fn start(&mut self, program: &Path, arguments: &[String], dir: &Path) -> Result<()> {
        let child = Command::new(program)
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        self.0.push(child);
        Ok(())
    }
}

async fn by_hand(keydb: &Path, haproxy: &Path) -> Result<Duration> {
    let dir = tempfile::tempdir()?;
    let ports = free_ports(6)?;
    let [one, two, proxy, replicas @ ..] = &ports[..] else {
        anyhow::bail!("no six free ports");
    };
    let address = |port: &u16| SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
    let words = |text: String| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let config = dir.path().join("haproxy.cfg");
    std::fs::write(
        &config,
        format!(
            "defaults\n mode tcp\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n\
             listen keydb\n bind 127.0.0.1:{proxy}\n balance roundrobin\n option tcp-check\n \
             tcp-check send PING\\r\\n\n tcp-check expect string +PONG\n \
             default-server check inter 200ms fall 2 rise 2\n \
             server primary1 127.0.0.1:{one}\n server primary2 127.0.0.1:{two}\n"
        ),
    )?;
    let mut servers = Bare(Vec::new());
    let began = Instant::now();
    let common =
        |port: &u16| format!("--bind 127.0.0.1 --port {port} --save  --dbfilename {port}.rdb");
    for (port, peer) in [(one, two), (two, one)] {
        let text = format!(
            "{} --active-replica yes --replica-read-only no --replicaof 127.0.0.1 {peer}",
            common(port)
        );
        servers.start(keydb, &words(text), dir.path())?;
    }
    for port in replicas {
        let text = format!("{} --replicaof 127.0.0.1 {proxy}", common(port));
        servers.start(keydb, &words(text), dir.path())?;
    }
    let text = format!("-db -f {}", config.display());
    servers.start(haproxy, &words(text), dir.path())?;
    let endpoints = Endpoints {
        primaries: vec![address(one), address(two)],
        replicas: replicas.iter().map(address).collect(),
        proxy: address(proxy),
    };
    endpoints.await_ready().await?;
    Ok(began.elapsed())
}

/// Held together, so that they differ.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let ports = held.iter().map(|it| it.local_addr().map(|it| it.port()));
    Ok(ports.collect::<Result<_, _>>()?)
}
