//! Guide, Proxy: what clients see behind each of the proxy's health checks, while a primary stands
//! still, is stopped, and comes back with so much data that it loads for a while.

use std::time::Duration;

use anyhow::{Context, Result};
use redis::cmd;

use super::{Need, Scenario};
use crate::cluster::{ClientError, Cluster, Node, Order, ready};
use crate::model::Class;
use crate::topology::{HealthCheck, Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, Unmet, eventually};
use crate::workload::sessions::{Outcome, Session, Sessions, Told};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "health-checks",
    title: "a primary stands still, stops, and loads when it returns, behind each health check",
    promise: "the proxy sends clients only to primaries that serve",
    source: "KeyDB docs haproxy.md (health checks decide where to direct traffic); guide, Proxy",
    seconds: 12,
    variants: &["tcp", "ping", "ping-and-role", "write-probe"],
    long: &[],
    damage: &[Class::WrongInfo],
    // How long the load lasts is not left to the machine.
    needs: &[Need::Setting("key-load-delay")],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    Topology::active_active()
        .persistence(Persistence::Rdb)
        .health_check(HealthCheck::named(variant))
        .build()
}

/// The node that everything happens to, and the one that has to go on serving.
const STRUCK: &str = "primary1";
const SURVIVOR: &str = "primary2";
const CLIENTS: usize = 4;
/// How many sessions in a row have to be served before a node counts as left out.
const IN_A_ROW: usize = 40;
/// What the struck node has to load, in keys.
const KEYS: usize = 8000;
/// For how many health checks it is to load; each key takes its share of that time.
const LOADS_FOR: u32 = 20;
/// How many health checks and sessions have to fit into the load, or it says nothing.
const ENOUGH_CHECKS: u32 = 10;
const ENOUGH_SESSIONS: usize = 20;
const PREFIX: &str = "health-checks:load";

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (struck, survivor) = (cluster.node(STRUCK)?, cluster.node(SURVIVOR)?);
    fill(cluster, struck, survivor).await?;
    let lives_on = run_id(survivor).await?;
    let sessions = Sessions::start(cluster, "health-checks", CLIENTS).await?;
    let served = sessions.in_a_row(cluster, IN_A_ROW).await;
    if let Err(unmet) = served {
        trial.inconclusive("traffic", "clients are served before", unmet.sentence());
        return Ok(());
    }

    struck.pause().await?;
    if trial.variant() == "tcp" {
        unseen(trial, &sessions).await?;
    } else {
        left_out(trial, &sessions, "frozen", "stands still").await;
    }
    struck.resume().await?;
    returns(trial, &sessions, &lives_on, "thawed-returns", "stood still").await;

    struck.stop().await?;
    left_out(trial, &sessions, "stopped", "was stopped").await;

    slow_to_load(cluster, struck).await?;
    let began = sessions.now();
    struck.start().await?;
    let what = format!("{STRUCK} has loaded");
    let loaded = eventually(cluster, &what, DEADLINE, || ready::serves(struck)).await;
    let ended = sessions.now();
    loaded?;
    // What it takes in from its peer now is not to take as long.
    let at_once = cmd("CONFIG")
        .arg("SET")
        .arg("key-load-delay")
        .arg(0)
        .to_owned();
    // On 6.2.2 and older it may take that in already, and refuses settings meanwhile.
    let what = format!("{STRUCK} takes a setting");
    eventually(cluster, &what, DEADLINE, || async {
        let said = |error: ClientError| error.to_string();
        let mut client = struck.client().await.map_err(said)?;
        client.query::<()>(&at_once).await.map_err(said)
    })
    .await?;
    returns(trial, &sessions, &lives_on, "returns", "has loaded").await;
    let all = sessions.stop().await;
    while_it_loads(trial, &all, &lives_on, (began, ended));
    Ok(())
}

const PROMISE: &str = "no client is sent to a primary that loads and refuses everything";

/// Writes what the struck node is to load, and waits until both nodes hold it.
async fn fill(cluster: &Cluster, struck: &Node, survivor: &Node) -> Result<()> {
    let mut client = struck.client().await?;
    let keys: Vec<String> = (0..KEYS).map(|n| format!("{PREFIX}:{n}")).collect();
    for keys in keys.chunks(500) {
        let mut command = cmd("MSET");
        for key in keys {
            command.arg(key).arg("loaded");
        }
        client.query::<()>(&command).await?;
    }
    eventually(
        cluster,
        "both primaries hold the load",
        DEADLINE,
        || async {
            let said = |error: ClientError| error.to_string();
            let mut client = survivor.client().await.map_err(said)?;
            let size: usize = client.query(&cmd("DBSIZE")).await.map_err(said)?;
            match size >= KEYS {
                true => Ok(()),
                false => Err(format!("{SURVIVOR} holds {size} keys")),
            }
        },
    )
    .await?;
    Ok(())
}

/// Makes the struck node take its time for each key at its next start, and look up from that often
/// enough to answer: by default a server does so every 2 MB, and is mute in between (measured).
async fn slow_to_load(cluster: &Cluster, struck: &Node) -> Result<()> {
    let load = cluster.pace().health_check * LOADS_FOR;
    let delay = load.as_micros() / KEYS as u128;
    let lines = format!("key-load-delay {delay}\nloading-process-events-interval-bytes 1024\n");
    Ok(struck.reconfigure(&lines).await?)
}

async fn run_id(node: &Node) -> Result<String> {
    let info = node.info().await?;
    Ok(info.run_id().context("no run id")?.to_owned())
}

/// Waits until the proxy leaves the struck node out and every client is served; says what clients
/// saw until then.
async fn left_out(trial: &Trial, sessions: &Sessions, how: &str, what: &str) {
    let (began, from) = (sessions.now(), sessions.count());
    let cluster = trial.cluster();
    let waited = async {
        let seen = format!("the proxy leaves out {STRUCK}, which {what}");
        eventually(cluster, &seen, DEADLINE, || async {
            let proxy = cluster.proxy().map_err(|error| error.to_string())?;
            let status = proxy.status_of(STRUCK).await?;
            match status.starts_with("DOWN") {
                true => Ok(()),
                false => Err(format!("it has {STRUCK} {status}")),
            }
        })
        .await?;
        let down = sessions.now().saturating_sub(began);
        sessions.in_a_row(cluster, IN_A_ROW).await?;
        Ok::<_, Unmet>(down)
    };
    let waited = waited.await;
    if let Ok(down) = &waited {
        trial.measure(
            format!("{how}: down in the proxy after"),
            down.as_secs_f64(),
            "s",
        );
    }
    let seen = Told::of(&sessions.since(from), began);
    seen.measure(trial, how);
    trial.check(
        &format!("{how}-left-out"),
        &format!("a primary that {what} is left out, and all clients are served"),
        waited.map(|down| {
            format!(
                "down in the proxy after {:.2} s; {seen}",
                down.as_secs_f64()
            )
        }),
    );
}

/// What clients see of a primary that stands still where nobody asks it anything: its machine goes
/// on taking connections for it, so that a check which only connects can never tell.
async fn unseen(trial: &Trial, sessions: &Sessions) -> Result<()> {
    let (began, from) = (sessions.now(), sessions.count());
    let what = format!("a session with {STRUCK}, which stands still, is given up");
    eventually(trial.cluster(), &what, DEADLINE, || async {
        let since = sessions.since(from);
        let mut new = since.iter().filter(|session| session.began >= began);
        match new.any(|session| session.outcome == Outcome::Broken) {
            true => Ok(()),
            false => Err(format!("{} sessions, none broken", since.len())),
        }
    })
    .await?;
    let status = trial.cluster().proxy()?.status_of(STRUCK).await;
    trial.headline(format!(
        "stands still for {:.1} s and is {} in the proxy",
        sessions.now().saturating_sub(began).as_secs_f64(),
        status.unwrap_or_else(|error| error)
    ));
    Told::of(&sessions.since(from), began).measure(trial, "frozen");
    Ok(())
}

/// Waits until the struck node gets sessions again.
async fn returns(trial: &Trial, sessions: &Sessions, lives_on: &str, check: &str, what: &str) {
    let (began, from) = (sessions.now(), sessions.count());
    let seen = format!("a session is served by {STRUCK}");
    let returned = eventually(trial.cluster(), &seen, DEADLINE, || async {
        let since = sessions.since(from);
        let mut new = since.iter().filter(|session| session.began >= began);
        let served = new.any(|session| {
            session.outcome == Outcome::Served
                && session.met.as_deref().is_some_and(|met| met != lives_on)
        });
        match served {
            true => Ok(()),
            false => Err(format!("all are served by {SURVIVOR}")),
        }
    })
    .await;
    let after = sessions.now().saturating_sub(began).as_secs_f64();
    trial.check(
        check,
        &format!("a primary that {what} gets sessions again"),
        returned.map(|()| format!("after {after:.2} s")),
    );
}

/// Judges what clients saw from the start of the struck node until it served.
fn while_it_loads(
    trial: &Trial,
    all: &[Session],
    lives_on: &str,
    (began, ended): (Duration, Duration),
) {
    let during: Vec<Session> = all
        .iter()
        .filter(|session| session.began >= began && session.began < ended)
        .cloned()
        .collect();
    let seen = Told::of(&during, began);
    seen.measure(trial, "loading");
    let later: Vec<Session> = all
        .iter()
        .filter(|session| session.began >= ended)
        .cloned()
        .collect();
    Told::of(&later, ended).measure(trial, "loaded");
    let window = ended.saturating_sub(began);
    trial.measure("loading: for", window.as_secs_f64(), "s");
    let enough = trial.cluster().pace().health_check * ENOUGH_CHECKS;
    if window < enough || during.len() < ENOUGH_SESSIONS {
        let why = format!(
            "{} sessions in {:.2} s until it served",
            during.len(),
            window.as_secs_f64()
        );
        trial.inconclusive("refusing-left-out", PROMISE, why);
        return;
    }
    let refused: Vec<&Session> = during
        .iter()
        .filter(|session| session.met.as_deref().is_some_and(|met| met != lives_on))
        .filter(|session| matches!(session.outcome, Outcome::Refused(_)))
        .collect();
    trial.measure("loading: sent to it", refused.len() as f64, "sessions");
    trial.headline(format!(
        "{} of {} sessions sent to it in the {:.1} s that it loaded",
        refused.len(),
        during.len(),
        window.as_secs_f64()
    ));
    let verdict = match refused.as_slice() {
        [] => Ok(format!(
            "{} sessions in the {:.2} s that it loaded, none of them sent to it; {seen}",
            during.len(),
            window.as_secs_f64()
        )),
        [first, ..] => Err(format!(
            "{} of {} sessions in the {:.2} s that {STRUCK} loaded were sent to it, which refused all they asked ({}), the first {:.2} s after its start; {seen}",
            refused.len(),
            during.len(),
            window.as_secs_f64(),
            first.outcome,
            first.began.saturating_sub(began).as_secs_f64()
        )),
    };
    trial.check("refusing-left-out", PROMISE, verdict);
}
