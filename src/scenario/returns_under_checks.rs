//! What clients of the proxy see while a primary returns that has to exchange its data in full with
//! the one that lived on: each health check of the proxy, with little and with much data.
//!
//! Both sides load the other's dump: the one that returns, and the one that served alone until then.
//! Nothing is slowed down here; `health-checks` does that, to be certain.

use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::{Client, Cluster, Order, ready};
use crate::model::Class;
use crate::property::{agreement, resync};
use crate::topology::{HealthCheck, Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::sessions::{Outcome, Sessions, Told};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "returns-under-checks",
    title: "a primary returns and both exchange all data, 1, 50 or 200 MB, behind each health check",
    promise: "while a primary returns, clients of the proxy are served by the one that lived on",
    source: "KeyDB docs active-rep.md (a node ready to go in a failure scenario, the proxy points to the healthy one); upstream #365",
    seconds: 10,
    variants: &["ping-1mb", "write-probe-1mb"],
    long: &[
        "tcp-1mb",
        "ping-and-role-1mb",
        "tcp-50mb",
        "ping-50mb",
        "ping-and-role-50mb",
        "write-probe-50mb",
        "tcp-200mb",
        "ping-200mb",
        "ping-and-role-200mb",
        "write-probe-200mb",
    ],
    damage: &[Class::Performance],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

const RETURNS: &str = "primary1";
const LIVES_ON: &str = "primary2";
const CLIENTS: usize = 4;
const IN_A_ROW: usize = 40;
/// Bytes of a value: few keys, so that what counts is the size.
const VALUE: usize = 10_000;
/// Values in a write.
const AT_ONCE: usize = 50;
/// After the links are up: what clients see then belongs to the return as well.
const AFTER: usize = 80;

/// The check of the proxy, and how many megabytes there are.
fn parts(variant: &str) -> (HealthCheck, usize) {
    let (check, size) = variant.rsplit_once('-').unwrap_or((variant, "1mb"));
    (
        HealthCheck::named(check),
        size.trim_end_matches("mb").parse().unwrap_or(1),
    )
}

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    Topology::active_active()
        .persistence(Persistence::Rdb)
        .health_check(parts(variant).0)
        // More is written meanwhile than this holds: the exchange is in full on every release.
        .option("repl-backlog-size", "16kb")
        .build()
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (returns, lives_on) = (cluster.node(RETURNS)?, cluster.node(LIVES_ON)?);
    let (_, megabytes) = parts(trial.variant());
    fill(&mut returns.client().await?, "before", megabytes * 100).await?;
    agreement::reached(cluster).await?;
    let sessions = Sessions::start(cluster, "returns", CLIENTS).await?;
    if let Err(unmet) = sessions.in_a_row(cluster, IN_A_ROW).await {
        trial.inconclusive("traffic", "clients are served before", unmet.sentence());
        return Ok(());
    }

    let (began, from) = (sessions.now(), sessions.count());
    returns.stop().await?;
    left_out(cluster).await?;
    sessions.in_a_row(cluster, IN_A_ROW).await?;
    Told::of(&sessions.since(from), began).measure(trial, "stopped");
    fill(&mut lives_on.client().await?, "meanwhile", 30).await?;

    let before = resync::before(cluster).await?;
    let (began, from) = (sessions.now(), sessions.count());
    let started = Instant::now();
    returns.start().await?;
    if !resync::check(trial, started, &before).await? {
        return Ok(());
    }
    sessions.in_a_row(cluster, AFTER).await?;
    let ended = sessions.now();
    let all: Vec<_> = sessions
        .since(from)
        .into_iter()
        .filter(|session| session.began >= began)
        .collect();
    sessions.stop().await;
    let seen = Told::of(&all, began);
    seen.measure(trial, "returns");
    trial.measure("returns: within", seconds(ended.saturating_sub(began)), "s");
    let failed = all.iter().filter(|it| it.outcome != Outcome::Served);
    let failed = failed.count();
    trial.headline(format!(
        "{failed} of {} sessions not served; {seen}",
        all.len()
    ));
    let told = format!("{failed} of {} sessions; {seen}", all.len());
    trial.check(
        "served",
        "no client is refused while a primary returns",
        if failed == 0 { Ok(told) } else { Err(told) },
    );
    trial.check(
        "agreement",
        agreement::PROMISE,
        agreement::reached(cluster).await,
    );
    Ok(())
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// Values that do not compress, as many as asked for.
async fn fill(client: &mut Client, prefix: &str, values: usize) -> Result<()> {
    let mut state = 0x9e37_79b9_u32;
    let mut byte = || {
        // Xorshift: any bytes will do that no compression makes smaller.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    let value: Vec<u8> = (0..VALUE).map(|_| byte()).collect();
    for first in (0..values).step_by(AT_ONCE) {
        let mut write = cmd("MSET");
        for number in first..values.min(first + AT_ONCE) {
            write.arg(format!("returns:{prefix}:{number}")).arg(&value);
        }
        client.query::<()>(&write).await?;
    }
    Ok(())
}

async fn left_out(cluster: &Cluster) -> Result<()> {
    let what = format!("the proxy leaves out {RETURNS}, which was stopped");
    eventually(cluster, &what, DEADLINE, || async {
        let proxy = cluster.proxy().map_err(|error| error.to_string())?;
        let status = proxy.status_of(RETURNS).await?;
        match status.starts_with("DOWN") {
            true => ready::serves(cluster.node(LIVES_ON).map_err(|it| it.to_string())?).await,
            false => Err(format!("it has {RETURNS} {status}")),
        }
    })
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_a_check_and_a_size() {
        assert_eq!(parts("ping-and-role-50mb"), (HealthCheck::PingAndRole, 50));
        assert_eq!(parts("tcp-1mb"), (HealthCheck::Tcp, 1));
        assert_eq!(parts("write-probe-200mb"), (HealthCheck::WriteProbe, 200));
    }
}
