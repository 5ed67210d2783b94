//! `up`: starts a holder, waits until its cluster is ready, and shows the way around it.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use keydb_harness::console;
use keydb_harness::testbed::EnvironmentError;
use keydb_harness::topology::Topology;
use keydb_harness::verdict::exit;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::time::{Instant, sleep_until, timeout};

use super::UpArgs;
use super::record::{Record, Report};
use super::show;
use crate::cli::UsageProblem;

/// How long the holder may take for one step: the first may fetch images.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// How long a holder may take to remove what it has started.
pub(super) const REMOVAL: Duration = Duration::from_secs(90);

pub(in crate::cli) async fn up(args: UpArgs) -> Result<u8> {
    if let Some(record) = Record::find()? {
        console::problem(
            "keydb-harness: a cluster is already up, and there can be one only: remove it with `keydb-harness down`",
        );
        if let Some(cluster) = &record.cluster {
            console::line(&cluster.lab);
        }
        console::text(show::text(&record));
        return Ok(exit::ENVIRONMENT);
    }
    let topology = args
        .topology()
        .map_err(|error| UsageProblem(error.to_string()))?;
    ports_are_free(&topology)?;
    // Before there is a holder, so that no signal leaves it behind.
    let mut signals = Signals::new()?;
    let mut holder = start(&args)?;
    let Some(stdout) = holder.stdout.take() else {
        bail!("the holder has no standard output: start it again");
    };
    let mut reports = BufReader::new(stdout).lines();
    tokio::select! {
        code = follow(&mut reports, &mut holder) => code,
        number = signals.first() => {
            console::problem(format_args!("keydb-harness: signal {number}: removing what this run started"));
            end(&mut holder).await?;
            Ok(128 + number)
        }
    }
}

/// Tells at once, before anything is started.
fn ports_are_free(topology: &Topology) -> Result<(), EnvironmentError> {
    let proxy = topology.proxy.iter().filter_map(|proxy| proxy.host_port);
    let nodes = topology.nodes.iter().filter_map(|node| node.host_port);
    for port in proxy.chain(nodes) {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            EnvironmentError::new(format!(
                "port {port} on 127.0.0.1 cannot be used ({error}): stop what listens there, or use --ports free"
            ))
        })?;
    }
    Ok(())
}

fn start(args: &UpArgs) -> Result<Child> {
    let executable = std::env::current_exe().context("this executable cannot be found")?;
    Command::new(&executable)
        .arg("hold")
        .args(args.to_flags())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Until it has a log of its own.
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("cannot start {}", executable.display()))
}

/// Shows what the holder reports until its cluster is up or it has failed.
async fn follow(reports: &mut Lines<BufReader<ChildStdout>>, holder: &mut Child) -> Result<u8> {
    let began = Instant::now();
    let mut step = "the holder to start".to_owned();
    loop {
        let line = tokio::select! {
            line = reports.next_line() => line?,
            () = sleep_until(began + PATIENCE) => {
                end(holder).await?;
                bail!(
                    "the cluster is not up within {} s, it waited for {step}: see what `keydb-harness doctor` says",
                    PATIENCE.as_secs()
                );
            }
        };
        let Some(line) = line else {
            let status = holder.wait().await?;
            bail!(
                "the cluster's holder ended ({status}) while it waited for {step}: start it again"
            );
        };
        match serde_json::from_str(&line).context("the holder does not speak clearly")? {
            Report::Step(next) => {
                console::problem(format_args!("waiting for {next}"));
                step = next;
            }
            Report::Lab(line) => console::line(line),
            Report::Up(record) => {
                console::line(format_args!(
                    "up after {:.1} s",
                    began.elapsed().as_secs_f64()
                ));
                console::text(show::text(&record));
                return Ok(exit::AS_EXPECTED);
            }
            Report::Failed { sentence, code } => {
                console::problem(format_args!("keydb-harness: {sentence}"));
                holder.wait().await?;
                return Ok(code);
            }
        }
    }
}

/// Ends a holder and waits until it has removed everything.
async fn end(holder: &mut Child) -> Result<()> {
    // It is this process's child, so its pid cannot have been given out anew.
    let pid = holder.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    if timeout(REMOVAL, holder.wait()).await.is_err() {
        holder.kill().await?;
        bail!(
            "the cluster's holder did not end within {} s and was killed: remove what it left with `keydb-harness clean`",
            REMOVAL.as_secs()
        );
    }
    Ok(())
}

/// The signals that end a command.
struct Signals([(unix::Signal, u8); 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self([
            (unix::signal(SignalKind::interrupt())?, 2),
            (unix::signal(SignalKind::terminate())?, 15),
            (unix::signal(SignalKind::hangup())?, 1),
        ]))
    }

    async fn first(&mut self) -> u8 {
        let [a, b, c] = &mut self.0;
        tokio::select! {
            _ = a.0.recv() => a.1,
            _ = b.0.recv() => b.1,
            _ = c.0.recv() => c.1,
        }
    }
}
