//! Traffic of every kind through the proxy and on each primary, while something goes wrong; then
//! the whole history is judged.
//!
//! Clients that work on a primary have keys of their own, and what they share through the proxy
//! commutes: nothing conflicts, so that everything has to come out right.

use std::sync::Arc;

use anyhow::Result;

use super::Scenario;
use crate::cluster::{Cluster, Order, finals};
use crate::fault::{BlackHole, Cut, Fault, Inflicted, Kill, Link, NodeFault, Pause, Together};
use crate::history::{FILE, INTERVAL, Phase, Recording, Saved, Taps, Watch};
use crate::judge::judge;
use crate::model::Class;
use crate::property::agreement;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::workload::traffic::{Confirm, Contention, Kind, Mix, Plan, Route, Traffic};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed-traffic",
    title: "traffic of every kind, on every primary and through the proxy, while something fails",
    promise: "nothing acknowledged is lost, nothing counts twice, nothing deleted returns, all nodes end equal",
    source: "KeyDB docs active-rep.md (both nodes stay synced; writes reach the other side); replication.md, WAIT",
    seconds: 9,
    variants: &["steady", "cut", "frozen", "pause", "sigkill"],
    long: &[],
    damage: &[Class::DoubleApplication],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Below this rate before the fault the run says nothing, operations a second of each traffic.
const MINIMUM_RATE: f64 = 20.0;
/// How many operations of each traffic are acknowledged before the fault, while it lasts, and after.
const ENOUGH: usize = 150;

fn topology(_variant: &str) -> Result<Topology, TopologyError> {
    Topology::active_active().replicas(2).relayed().build()
}

/// What a client may do on keys that nobody else has.
const ALONE: &[Kind] = &[
    Kind::Set,
    Kind::Get,
    Kind::Delete,
    Kind::SetFor,
    Kind::GetMortal,
    Kind::Increment,
    Kind::GetCounter,
    Kind::Append,
    Kind::Push,
    Kind::Add,
    Kind::Remove,
    Kind::PutField,
    Kind::Score,
    Kind::SetAll,
    Kind::GetAll,
];
/// What clients may do on the same keys at the same time.
const TOGETHER: &[Kind] = &[Kind::Increment, Kind::Add];

/// The traffics: on each primary, and through the proxy.
fn plans(seed: u64) -> Vec<Plan> {
    let alike = |kinds: &[Kind]| Mix::new(kinds.iter().map(|kind| (*kind, 1)));
    let on = |node: &str, number: u64| Plan {
        route: Route::Node(node.to_owned()),
        contention: Contention::Own(4),
        databases: 2,
        seed: seed ^ number,
        ..Plan::new(node, alike(ALONE))
    };
    let shared = Plan {
        seed: seed ^ 3,
        confirm: Some(Confirm {
            every: 10,
            replicas: 1,
            within: std::time::Duration::from_millis(500),
        }),
        ..Plan::new("shared", alike(TOGETHER))
    };
    vec![on("primary1", 1), on("primary2", 2), shared]
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let recording = Recording::new();
    let watch = Watch::start(cluster, &recording, INTERVAL);
    let taps = Taps::on(cluster, &recording);
    let plans = plans(trial.seed());
    let mut traffics = Vec::new();
    for plan in &plans {
        let traffic = Traffic::start(cluster, &recording, plan)?;
        traffics.push((plan.clone(), traffic));
    }
    enough(cluster, &traffics, None).await?;
    let struck_at = recording.now();
    let mut gone = None;
    if let Some(fault) = fault(trial.variant()) {
        match strike(trial, &recording, &traffics, fault).await? {
            After::Healed => {}
            After::StaysAway => gone = Some(STRUCK),
            After::Toothless => return Ok(()),
        }
    }
    enough(cluster, &traffics, gone).await?;
    for (_, traffic) in traffics.drain(..) {
        traffic.end().await?;
    }
    let agreed = agreement::check(trial, "agreement", 1).await;
    let ends = finals::collect_twice(cluster, &recording, &taps).await?;
    watch.stop().await;
    let crossed = taps.finish();
    let saved = Saved {
        seed: trial.seed(),
        identity: format!("mixed-traffic/{}", trial.variant()),
        schedule: String::new(),
        persistence: cluster.persistence(),
        history: recording.finish(),
        crossings: crossed.crossings,
        forgotten: crossed.forgotten,
        finals: ends.finals,
        finals_at: Some(ends.finals_at),
        later: Some(ends.later),
    };
    // Kept before it is judged.
    let folder = tempfile::tempdir()?;
    trial.attach(FILE, std::fs::read(saved.save(folder.path())?)?);

    let mut exercised = Vec::new();
    for plan in &plans {
        exercised.push(plan.exercised(&saved.history, struck_at, MINIMUM_RATE));
    }
    let promise = "there is traffic of every kind before the fault";
    match exercised.into_iter().collect::<Result<Vec<_>, _>>() {
        Ok(said) => trial.check("traffic", promise, Ok::<_, String>(said.join("; "))),
        Err(missing) => {
            trial.inconclusive("traffic", promise, missing);
            return Ok(());
        }
    };
    trial.headline(format!("{} operations", saved.history.operations.len()));
    for judgement in judge(&saved) {
        // Where nodes are not equal that is told above, and each property tells why.
        if judgement.finding.check == "convergence" && !agreed {
            continue;
        }
        let mut finding = judgement.finding;
        if finding.verdict == crate::verdict::Verdict::Holds {
            finding.evidence = format!("{}; {}", finding.evidence, judgement.power);
        }
        // The name of another check, which looks at counts only.
        if finding.check == "expires" {
            finding.check = "expiries".to_owned();
        }
        trial.found(finding);
        for measure in judgement.measures {
            trial.measure(measure.name, measure.value, &measure.unit);
        }
    }
    Ok(())
}

fn fault(variant: &str) -> Option<Arc<dyn Fault>> {
    let both = |strike: &dyn Fn(Link) -> Arc<dyn Fault>| {
        let there = Link::new("primary1", "primary2");
        let back = Link::new("primary2", "primary1");
        Arc::new(Together(vec![strike(there), strike(back)])) as Arc<dyn Fault>
    };
    match variant {
        "cut" => Some(both(&|link| Arc::new(link.struck_by(Cut)))),
        "frozen" => Some(both(&|link| Arc::new(link.struck_by(BlackHole)))),
        "pause" => Some(Arc::new(NodeFault::new(STRUCK, Pause))),
        "sigkill" => Some(Arc::new(NodeFault::new(STRUCK, Kill))),
        _ => None,
    }
}

/// The node that faults of nodes strike.
const STRUCK: &str = "primary1";

/// What a fault leaves behind.
enum After {
    /// All is well again.
    Healed,
    /// [`STRUCK`] is gone for good.
    StaysAway,
    /// Nothing: it was not seen to bite.
    Toothless,
}

/// Leads the fault through its life, with traffic while it lasts.
async fn strike(
    trial: &Trial,
    recording: &Recording,
    traffics: &[(Plan, Traffic)],
    fault: Arc<dyn Fault>,
) -> Result<After> {
    let cluster = trial.cluster();
    let (name, nodes) = (fault.name(), fault.strikes());
    let note = |phase, seen: &str| recording.fault(&name, &nodes, phase, seen);
    note(Phase::Injected, "");
    let inflicted = match Inflicted::on(cluster, fault).await {
        Ok(inflicted) => inflicted,
        Err(toothless) => {
            note(Phase::Toothless, &toothless.to_string());
            trial.inconclusive("fault", "the fault bites", toothless.to_string());
            return Ok(After::Toothless);
        }
    };
    note(Phase::Bites, inflicted.bite());
    trial.headline(name.clone());
    let down = matches!(trial.variant(), "pause" | "sigkill").then_some(STRUCK);
    enough(cluster, traffics, down).await?;
    if trial.variant() == "sigkill" {
        // It stays away: there is nothing that letting go of it would take back.
        return Ok(After::StaysAway);
    }
    note(Phase::Recovering, "");
    inflicted.recover(cluster).await?;
    note(Phase::Healed, "");
    Ok(After::Healed)
}

/// Waits until each traffic has had [`ENOUGH`] more operations acknowledged, but for those that
/// work on the node `without`.
async fn enough(
    cluster: &Cluster,
    traffics: &[(Plan, Traffic)],
    without: Option<&str>,
) -> Result<()> {
    for (plan, traffic) in traffics {
        let struck =
            matches!((&plan.route, without), (Route::Node(node), Some(gone)) if node == gone);
        if !struck {
            traffic.more(cluster, ENOUGH).await?;
        }
    }
    Ok(())
}
