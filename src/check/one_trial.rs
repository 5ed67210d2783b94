//! One trial: its cluster from start to removal, what is found there, and what is kept of it.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;

use super::Planned;
use super::spare::{Spares, Used};
use crate::cluster::{Cluster, Fresh};
use crate::history::{FILE, Recording, Saved, WATCHED, Watch};
use crate::lab::Lab;
use crate::property::health;
use crate::secret::Secret;
use crate::testbed::EnvironmentError;
use crate::trial::{Broken, Terms, Trial};
use crate::verdict::{Outcome, Verdict};
use crate::wait::{Said, Unmet};

/// A finished trial and what its servers left for a reader.
#[derive(Debug)]
pub struct Finished {
    /// Which trial it was.
    pub planned: Planned,
    /// What was found.
    pub outcome: Outcome,
    /// File name and text: logs, INFO, and the state of the cluster at its end.
    pub artifacts: Vec<(String, Vec<u8>)>,
}

impl Finished {
    /// Takes a password out of all that is text: a report is shown to others.
    fn hide(&mut self, password: &Secret) {
        let outcome = &mut self.outcome;
        let findings = outcome.findings.iter_mut();
        let told = findings.flat_map(|finding| [&mut finding.evidence, &mut finding.state]);
        let others = [&mut outcome.headline].into_iter();
        for text in told.chain(others).chain(&mut outcome.environment) {
            *text = password.hide(text);
        }
        for (_, content) in &mut self.artifacts {
            if let Ok(text) = std::str::from_utf8(content) {
                *content = password.hide(text).into_bytes();
            }
        }
    }
}

/// Breaks something about a cluster that is ready, behind the scenario's back: the proof that its
/// checks can fail.
pub type Sabotage = for<'a> fn(&'a Cluster) -> BoxFuture<'a, anyhow::Result<()>>;

const NO_SABOTAGE: Sabotage = |_| Box::pin(async { Ok(()) });

/// How often a trial is made that says nothing: a machine under load may keep a run from
/// exercising what it is for, say by a connection that the proxy drops.
pub(super) const TRIES: u32 = 3;

/// Between two looks at each server of a trial that is watched: more often than anything that a
/// timeline is read for, and seldom enough for many clusters side by side.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Runs a trial, and again on another cluster as long as it is inconclusive. How often is in its
/// outcome.
pub async fn run_until_conclusive(lab: &Lab, planned: Planned) -> Finished {
    until_conclusive(lab, planned, None, &Spares::default()).await
}

pub(super) async fn until_conclusive(
    lab: &Lab,
    planned: Planned,
    listener: Option<UnboundedSender<Said>>,
    spares: &Spares,
) -> Finished {
    let mut tries = 1;
    loop {
        let spare = match tries {
            1 => spares.take(lab, planned).await,
            _ => None,
        };
        let mut finished = run(lab, planned, NO_SABOTAGE, listener.clone(), spare, spares).await;
        let outcome = &mut finished.outcome;
        outcome.tries = tries;
        let says_nothing =
            outcome.environment.is_none() && outcome.verdict() == Verdict::Inconclusive;
        if !says_nothing || tries >= TRIES {
            return finished;
        }
        tries += 1;
    }
}

/// Runs one trial once on a cluster of its own, which is gone afterwards.
pub async fn run_one(lab: &Lab, planned: Planned) -> Finished {
    run(lab, planned, NO_SABOTAGE, None, None, &Spares::default()).await
}

/// As [`run_one`], on a cluster that is sabotaged once it is ready.
pub async fn run_sabotaged(lab: &Lab, planned: Planned, sabotage: Sabotage) -> Finished {
    run(lab, planned, sabotage, None, None, &Spares::default()).await
}

async fn run(
    lab: &Lab,
    planned: Planned,
    sabotage: Sabotage,
    listener: Option<UnboundedSender<Said>>,
    spare: Option<Used>,
    spares: &Spares,
) -> Finished {
    let began = Instant::now();
    let Planned {
        scenario, variant, ..
    } = planned;
    let mut finished = Finished {
        planned,
        outcome: Outcome {
            scenario: scenario.name.to_owned(),
            variant: variant.to_owned(),
            findings: Vec::new(),
            measures: Vec::new(),
            headline: String::new(),
            seconds: 0.0,
            tries: 1,
            served_before: spare.as_ref().map_or(0, |used| used.served),
            environment: None,
        },
        artifacts: Vec::new(),
    };
    let fresh = spare.as_ref().map(|used| used.fresh.clone());
    let created = match spare {
        Some(mut used) => {
            used.cluster.told_to(listener);
            Ok(used.cluster)
        }
        None => create(lab, planned, listener).await,
    };
    match created {
        Ok(mut cluster) => match readied(&mut cluster, planned, &fresh).await {
            Ok(()) => {
                let fresh = match fresh {
                    None if cluster.can_be_reset().is_ok() && spares.wants(lab, planned) => {
                        cluster.shown().await.ok()
                    }
                    fresh => fresh,
                };
                let terms = Terms {
                    identity: lab.first_line(),
                    schedule: lab.schedule().cloned(),
                    recording: lab.is_watched().then(Recording::new),
                };
                let seed = match lab.schedule() {
                    Some(schedule) => schedule.seed,
                    None => seed_of(lab.seed(), &planned.folder()),
                };
                let trial = Trial::new(cluster, planned.variant, seed).under(terms);
                let cluster = work(planned, sabotage, trial, &mut finished).await;
                let outcome = &finished.outcome;
                let sound = outcome.environment.is_none() && outcome.verdict() == Verdict::Holds;
                let served = outcome.served_before + 1;
                match fresh.filter(|_| sound) {
                    Some(fresh) => {
                        let used = Used {
                            cluster,
                            fresh,
                            served,
                        };
                        spares.keep(lab, planned, used).await;
                    }
                    None => cluster.close().await,
                }
            }
            Err(error) => {
                note_failed_start(&mut finished.outcome, &error);
                finished.artifacts = artifacts(&cluster).await;
                cluster.close().await;
            }
        },
        Err(error) => note_failed_start(&mut finished.outcome, &error),
    }
    finished.outcome.seconds = began.elapsed().as_secs_f64();
    // Whatever servers and scenarios said of it.
    if let Ok(topology) = (planned.scenario.topology)(planned.variant)
        && let Some(password) = topology.password
    {
        finished.hide(&password);
    }
    finished
}

async fn create(
    lab: &Lab,
    planned: Planned,
    listener: Option<UnboundedSender<Said>>,
) -> anyhow::Result<Cluster> {
    let topology = (planned.scenario.topology)(planned.variant)?;
    let mut cluster = Cluster::create(lab, topology).await?;
    cluster.told_to(listener);
    Ok(cluster)
}

/// Waits until a new cluster is ready; one that was reset is.
async fn readied(
    cluster: &mut Cluster,
    planned: Planned,
    reset: &Option<Fresh>,
) -> anyhow::Result<()> {
    match reset {
        Some(_) => Ok(()),
        None => cluster.become_ready(planned.scenario.order).await,
    }
}

/// The scenario on a cluster that is ready, which is given back.
async fn work(
    planned: Planned,
    sabotage: Sabotage,
    trial: Trial,
    finished: &mut Finished,
) -> Cluster {
    let work = async {
        sabotage(trial.cluster()).await?;
        (planned.scenario.run)(&trial).await
    };
    let recording = trial.recording().cloned();
    let watch = recording
        .as_ref()
        .map(|recording| Watch::start(trial.cluster(), recording, BETWEEN_LOOKS));
    let ended = std::panic::AssertUnwindSafe(work).catch_unwind().await;
    let ended = ended.unwrap_or_else(|panic| Err(anyhow::anyhow!("panic: {}", said(&*panic))));
    if let Err(error) = ended {
        finished.outcome.environment = note_end(&trial, &error);
    }
    health::check(&trial).await;
    finished.artifacts = artifacts(trial.cluster()).await;
    if let Some(watch) = watch {
        watch.stop().await;
    }
    let identity = format!("{}, {}", trial.identity(), planned.id());
    let seed = trial.seed();
    let (cluster, record) = trial.finish();
    // A scenario that records its own history watches as well.
    let own = record.files.iter().any(|(name, _)| name == FILE);
    finished.artifacts.extend(record.files);
    if let Some(recording) = recording.filter(|_| !own) {
        let watched = Saved {
            seed,
            identity,
            began: Some(recording.began()),
            history: recording.finish(),
            ..Saved::default()
        };
        match watched.bytes() {
            Ok(bytes) => finished.artifacts.push((WATCHED.to_owned(), bytes)),
            // A picture less: what was found stands without it.
            Err(error) => trial_has_no_timeline(&planned, &error),
        }
    }
    finished.outcome.findings = record.findings;
    finished.outcome.measures = record.measures;
    finished.outcome.headline = record.headline.join(", ");
    cluster
}

fn trial_has_no_timeline(planned: &Planned, error: &std::io::Error) {
    crate::console::problem(format_args!(
        "keydb-harness: {} has no timeline: {error}",
        planned.id()
    ));
}

/// A scenario that ended early: an unmet wait is a broken promise, the machine's failure is no
/// verdict, anything else leaves the question open.
fn note_end(trial: &Trial, error: &anyhow::Error) -> Option<String> {
    let promise = "the scenario runs to its end";
    if let Some(unmet) = error.downcast_ref::<Unmet>() {
        let mut broken = Broken::from(unmet.clone());
        // Where the scenario was when the wait ran out, if it says so.
        let links = error.chain().map(ToString::to_string);
        let on_the_way: Vec<String> = links.take_while(|it| *it != unmet.to_string()).collect();
        if !on_the_way.is_empty() {
            broken.evidence = format!("{}: {}", on_the_way.join(": "), broken.evidence);
        }
        trial.check("completes", promise, Err::<&str, _>(broken));
        return None;
    }
    if let Some(environment) = error.downcast_ref::<EnvironmentError>() {
        return Some(environment.to_string());
    }
    trial.inconclusive("completes", promise, format!("it ended early: {error:#}"));
    None
}

/// A cluster that did not start: its servers live but do not link up, or the machine failed.
fn note_failed_start(outcome: &mut Outcome, error: &anyhow::Error) {
    match error.downcast_ref::<Unmet>() {
        Some(unmet) => outcome.findings.push(crate::verdict::Finding {
            check: "starts".to_owned(),
            promise: "the cluster links up after its start".to_owned(),
            verdict: Verdict::Broken,
            evidence: unmet.sentence(),
            state: unmet.state.clone(),
        }),
        None => outcome.environment = Some(format!("{error:#}")),
    }
}

async fn artifacts(cluster: &Cluster) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("state.txt".to_owned(), cluster.observe().await.to_string())];
    for node in cluster.nodes() {
        let name = node.name();
        let log = node.log().await.unwrap_or_else(|error| error.to_string());
        files.push((format!("{name}.log"), log));
        if node.should_answer() {
            let info = match node.info().await {
                Ok(info) => info.to_string(),
                Err(error) => error.to_string(),
            };
            files.push((format!("{name}.info"), info));
        }
    }
    if let Ok(proxy) = cluster.proxy() {
        let log = proxy
            .server()
            .log()
            .await
            .unwrap_or_else(|error| error.to_string());
        files.push(("proxy.log".to_owned(), log));
    }
    let bytes = files.into_iter();
    bytes
        .map(|(name, text)| (name, text.into_bytes()))
        .collect()
}

/// Chance differs between trials, and is the same for the same seed whatever else runs.
pub(super) fn seed_of(seed: u64, id: &str) -> u64 {
    let digest = Sha256::digest(format!("{seed}/{id}"));
    digest
        .iter()
        .take(8)
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}
