//! How long the reference cluster takes until it is ready: ours on Docker against
//! `docker-compose up -d`, in one run, on the same images, with the same readiness predicate.
//!
//! `cargo bench --bench startup -- [ROUNDS]`. The images are `KEYDB_IMAGE` and `HAPROXY_IMAGE`, by
//! default those that `compose/images/make` makes. Two compose files are measured: `compose/` as
//! it is (staged by health checks, as ours is staged by looking), and a flat one that starts
//! everything at once and leaves the replicas' spread to chance.
//!
//! Ready, for all: both primaries' links are up, every replica's link is up, nothing loads, and a
//! write on each primary and one through the proxy are readable on all five nodes.

#[path = "startup/readiness.rs"]
mod readiness;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use keydb_harness::cluster::{Cluster, Order, Startup};
use keydb_harness::lab::Lab;
use keydb_harness::settings::{Settings, TestbedChoice};
use keydb_harness::testbed::TestbedKind;
use keydb_harness::topology::Topology;
use readiness::{Endpoints, median};

const ROUNDS: usize = 5;
/// The ratio that ours must not exceed.
const BOUND: f64 = 0.75;
const PRIMARIES: [u16; 2] = [6401, 6402];
const REPLICAS: [u16; 3] = [6501, 6502, 6503];
const PROXY: u16 = 6379;

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`; `cargo test --benches` adds nothing and must not run this.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("startup: run with `cargo bench --bench startup`");
        return ExitCode::SUCCESS;
    }
    let rounds = arguments
        .iter()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(ROUNDS);
    match tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|r| r.block_on(run(rounds)))
    {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("startup: {error:#}");
            ExitCode::from(3)
        }
    }
}

async fn run(rounds: usize) -> Result<bool> {
    let image = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    let keydb = image("KEYDB_IMAGE", "keydb-harness/keydb:6.3.4");
    let haproxy = image("HAPROXY_IMAGE", "keydb-harness/haproxy:debian");
    let settings = Settings {
        testbed: TestbedChoice::Only(TestbedKind::Docker),
        keydb: Some(format!("image:{keydb}").parse()?),
        haproxy: Some(format!("image:{haproxy}").parse()?),
        ..Settings::default()
    };
    let lab = Lab::open(&settings).await?;
    println!("{}", lab.first_line());

    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose");
    let flat = tempfile::tempdir()?;
    write_flat(flat.path(), &committed)?;
    let mut times: [Vec<Duration>; 3] = Default::default();
    let mut stages = Vec::new();
    for round in 1..=rounds {
        let (ours, startup) = ours(&lab).await?;
        let compose = by_compose(&committed, &keydb, &haproxy).await?;
        let flat = by_compose(flat.path(), &keydb, &haproxy).await?;
        println!(
            "round {round}: ours {:.2} s, compose {:.2} s, flat compose {:.2} s",
            ours.as_secs_f64(),
            compose.as_secs_f64(),
            flat.as_secs_f64()
        );
        for (times, time) in times.iter_mut().zip([ours, compose, flat]) {
            times.push(time);
        }
        stages.push(startup);
    }
    let [ours, compose, flat] = times.map(|times| median(times).as_secs_f64());
    let stage =
        |of: fn(&Startup) -> Duration| median(stages.iter().map(of).collect()).as_secs_f64();
    println!(
        "ours, medians: created {:.2} s, primaries and proxy {:.2} s, replicas {:.2} s",
        stage(|startup| startup.created),
        stage(|startup| startup.primaries),
        stage(|startup| startup.replicas)
    );
    println!(
        "medians of {rounds}: ours {ours:.2} s; compose {compose:.2} s, ratio {:.2}; flat compose {flat:.2} s, ratio {:.2}; at most {BOUND} wanted",
        ours / compose,
        ours / flat
    );
    Ok(ours / compose <= BOUND)
}

async fn ours(lab: &Lab) -> Result<(Duration, Startup)> {
    let began = Instant::now();
    let topology = Topology::active_active().replicas(3).build()?;
    let cluster = Cluster::start(lab, topology, Order::Staged).await?;
    let endpoints = Endpoints::of(&cluster).await?;
    endpoints.await_ready().await?;
    let time = began.elapsed();
    let startup = *cluster.startup();
    cluster.close().await;
    Ok((time, startup))
}

async fn by_compose(dir: &Path, keydb: &str, haproxy: &str) -> Result<Duration> {
    let compose = |arguments: &[&str]| -> Result<()> {
        let output = Command::new("docker-compose")
            .args(arguments)
            .current_dir(dir)
            .env("KEYDB_IMAGE", keydb)
            .env("HAPROXY_IMAGE", haproxy)
            .env("COMPOSE_PROJECT_NAME", "keydb-harness-bench")
            .stdin(Stdio::null())
            .output()
            .context("docker-compose is not here: install it")?;
        ensure!(
            output.status.success(),
            "docker-compose {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    };
    let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let endpoints = Endpoints {
        primaries: PRIMARIES.map(address).to_vec(),
        replicas: REPLICAS.map(address).to_vec(),
        proxy: address(PROXY),
    };
    let began = Instant::now();
    let ready = match compose(&["up", "-d"]) {
        Ok(()) => endpoints.await_ready().await,
        Err(error) => Err(error),
    };
    let time = began.elapsed();
    compose(&["down", "-v", "-t", "1"])?;
    ready.map(|()| time)
}

/// The committed compose file's services without stages: no health checks, no dependencies.
fn write_flat(dir: &Path, committed: &Path) -> Result<()> {
    let conf: PathBuf = committed.join("conf");
    let mut text = "services:\n".to_owned();
    let mut service = |name: &str, image: &str, command: &str, file: &str, to: &str, port: u16| {
        text.push_str(&format!(
            "  {name}:\n    image: \"${{{image}}}\"\n    command: {command}\n    volumes:\n      - {}:{to}:ro\n    ports:\n      - \"127.0.0.1:{port}:6379\"\n",
            conf.join(file).display()
        ));
    };
    let names = ["primary1", "primary2", "replica1", "replica2", "replica3"];
    for (name, port) in names.into_iter().zip(PRIMARIES.into_iter().chain(REPLICAS)) {
        let file = if name.starts_with("replica") {
            "replica.conf"
        } else {
            &format!("{name}.conf")
        };
        let command = "[\"keydb-server\", \"/etc/keydb/keydb.conf\"]";
        service(
            name,
            "KEYDB_IMAGE",
            command,
            file,
            "/etc/keydb/keydb.conf",
            port,
        );
    }
    let to = "/usr/local/etc/haproxy/haproxy.cfg";
    let command = format!("[\"haproxy\", \"-db\", \"-f\", \"{to}\"]");
    service("proxy", "HAPROXY_IMAGE", &command, "haproxy.cfg", to, PROXY);
    // Compose 1.29 takes a file without `version:` as its latest format.
    std::fs::write(dir.join("docker-compose.yml"), text)?;
    Ok(())
}
