//! Running scenarios: the one place that knows all parts, used by the command line and by
//! `cargo test` alike.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::cluster::Cluster;
use crate::history::{FILE, Recording, Saved, WATCHED, Watch};
use crate::lab::Lab;
use crate::property::health;
use crate::scenario::{Cost, Need, Scenario};
use crate::secret::Secret;
use crate::spec::KeydbSpec;
use crate::testbed::{EnvironmentError, Program};
use crate::topology::NodeSpec;
use crate::trial::{Broken, Terms, Trial};
use crate::verdict::{Outcome, Verdict, trial_id};
use crate::wait::{Said, Unmet};

/// One variant of one scenario, to be run on a cluster of its own.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// One of its variants.
    pub variant: &'static str,
    /// The how-many-th of several trials of it this is, from 0 on: each draws its own chance.
    pub round: u32,
}

impl Planned {
    /// `scenario`, or `scenario/variant`.
    pub fn id(&self) -> String {
        trial_id(self.scenario.name, self.variant)
    }

    /// The same as the name of a folder, with the round from the second on.
    pub fn folder(&self) -> String {
        let id = self.id();
        match self.round {
            0 => id,
            round => format!("{id}-{}", round + 1),
        }
    }

    /// What it costs.
    pub fn cost(&self) -> Cost {
        self.scenario.cost(self.variant)
    }

    /// This trial so many times.
    pub fn repeated(self, times: u32) -> impl Iterator<Item = Self> {
        (0..times).map(move |round| Self { round, ..self })
    }
}

/// Every variant of every scenario whose id contains one of the filters, all without filters, that
/// costs no more than this.
pub fn plan(filters: &[String], at_most: Cost) -> Vec<Planned> {
    crate::scenario::all()
        .iter()
        .flat_map(|&scenario| {
            let variants = scenario.variants.iter().chain(scenario.long);
            variants.map(move |&variant| Planned {
                scenario,
                variant,
                round: 0,
            })
        })
        .filter(|planned| planned.cost() <= at_most)
        .filter(|planned| {
            filters.is_empty()
                || filters
                    .iter()
                    .any(|filter| planned.id().contains(filter.as_str()))
        })
        .collect()
}

/// Parts what can run from what cannot: the servers lack something that it needs, or a
/// release that it runs beside them cannot be had; with the reason, a sentence each.
pub async fn available(lab: &Lab, planned: Vec<Planned>) -> (Vec<Planned>, Vec<(Planned, String)>) {
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    for planned in planned {
        // One that cannot be built is no lack of the machine: the trial says so.
        let nodes = (planned.scenario.topology)(planned.variant).map(|topology| topology.nodes);
        let nodes = nodes.unwrap_or_default();
        let reason = match lacking(planned.scenario.needs, &nodes, lab.lacks()) {
            Some(what) => Some(format!("it needs {what}, which {} lacks", lab.keydb())),
            None => without_release(lab, &nodes).await,
        };
        match reason {
            None => can.push(planned),
            Some(reason) => cannot.push((planned, reason)),
        }
    }
    (can, cannot)
}

/// The first thing that is needed, or that a node is configured with, and lacking.
fn lacking<'a>(needs: &[Need], nodes: &'a [NodeSpec], lacks: &BTreeSet<String>) -> Option<&'a str> {
    let needs = needs.iter().map(|need| need.name());
    let options = nodes.iter().flat_map(|node| &node.options);
    let mut all = needs.chain(options.map(|(name, _)| name.as_str()));
    all.find(|name| lacks.contains(*name))
}

/// Why a release that a node is to run beside the run's own cannot be had; `None` if it can, or none
/// is named.
async fn without_release(lab: &Lab, nodes: &[NodeSpec]) -> Option<String> {
    let own = KeydbSpec::Version(lab.identity().keydb.version.clone());
    for other in nodes.iter().filter_map(|node| node.keydb.as_ref()) {
        if !lab.identity().is_real() {
            return Some(format!("it runs {other} as a peer, which no model follows"));
        }
        if *other == own || other == lab.keydb() {
            return Some(format!(
                "it runs {other} beside another release, and that is the run's own"
            ));
        }
        if let Err(error) = lab.testbed().prepare(&Program::Keydb(other.clone())).await {
            return Some(error.to_string());
        }
    }
    None
}

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

/// What happens while scenarios run.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A trial begins.
    Started(&'a Planned),
    /// A trial says something before it is over, such as the schedule that it is going to follow.
    Says(&'a Planned, &'a str),
    /// What a trial waits for; none once that is over.
    Waits(&'a Planned, Option<&'a str>),
    /// A trial is over.
    Finished(&'a Finished),
    /// A trial was ended on its way, as another ended the run.
    Stopped(&'a Planned),
}

/// Runs the planned trials, at most `jobs` at a time, and tells `on` of each. The results are in
/// the order of the plan.
pub async fn run_all(
    lab: &Lab,
    planned: &[Planned],
    jobs: usize,
    on: &(dyn Fn(Event<'_>) + Send + Sync),
) -> Vec<Finished> {
    run_until(lab, planned, jobs, on, &mut |_| ControlFlow::Continue(())).await
}

/// As [`run_all`], until `each`, which is handed every trial that is over, breaks: then no trial is
/// begun any more, those on their way are ended, and their clusters removed. The results are those of
/// the trials that came to their end. What `each` takes from a trial is not in them.
pub async fn run_until(
    lab: &Lab,
    planned: &[Planned],
    jobs: usize,
    on: &(dyn Fn(Event<'_>) + Send + Sync),
    each: &mut (dyn FnMut(&mut Finished) -> ControlFlow<()> + Send),
) -> Vec<Finished> {
    let queue: Vec<_> = planned.iter().map(|planned| (lab, *planned)).collect();
    in_labs_until(&queue, jobs, &|_, event| on(event), each).await
}

/// As [`run_all`], each trial in a lab of its own; `on` is told of which lab it is. Trials of a round
/// that take equally long are begun in the order of the queue.
pub async fn run_in_labs<'a>(
    queue: &[(&'a Lab, Planned)],
    jobs: usize,
    on: &(dyn Fn(&'a Lab, Event<'_>) + Send + Sync),
) -> Vec<Finished> {
    in_labs_until(queue, jobs, on, &mut |_| ControlFlow::Continue(())).await
}

async fn in_labs_until<'a>(
    queue: &[(&'a Lab, Planned)],
    jobs: usize,
    on: &(dyn Fn(&'a Lab, Event<'_>) + Send + Sync),
    each: &mut (dyn FnMut(&mut Finished) -> ControlFlow<()> + Send),
) -> Vec<Finished> {
    // Round after round, and the longest first, so that none is left over at the end.
    let mut sorted: Vec<(usize, &(&Lab, Planned))> = queue.iter().enumerate().collect();
    sorted.sort_by_key(|(_, (_, planned))| {
        let seconds = planned.scenario.seconds;
        (planned.round, std::cmp::Reverse(seconds))
    });
    let runs = sorted
        .into_iter()
        .map(|(position, (lab, planned))| async move {
            on(lab, Event::Started(planned));
            let on_its_way = OnItsWay { lab, planned, on };
            let (listener, mut heard) = unbounded_channel();
            let work = until_conclusive(lab, *planned, Some(listener));
            let hear = async {
                while let Some(said) = heard.recv().await {
                    match said {
                        Said::Text(text) => on(lab, Event::Says(planned, &text)),
                        Said::Waits(what) => on(lab, Event::Waits(planned, what.as_deref())),
                    }
                }
            };
            let (finished, ()) = tokio::join!(work, hear);
            if crate::cleanup::is_ending() {
                // A signal took its servers away: it is not over, and no other begins.
                std::future::pending::<()>().await;
            }
            std::mem::forget(on_its_way);
            on(lab, Event::Finished(&finished));
            (position, finished)
        });
    let mut under_way = futures_util::stream::iter(runs).buffer_unordered(jobs.max(1));
    let mut all: Vec<(usize, Finished)> = Vec::new();
    while let Some((position, mut finished)) = under_way.next().await {
        let goes_on = each(&mut finished).is_continue();
        all.push((position, finished));
        if !goes_on {
            break;
        }
    }
    // Whatever is on its way ends here, and its cluster with it.
    drop(under_way);
    all.sort_by_key(|(position, _)| *position);
    all.into_iter().map(|(_, finished)| finished).collect()
}

/// A trial that has begun: tells that it was stopped, unless it is forgotten once the trial is over.
struct OnItsWay<'a, 'b> {
    lab: &'a Lab,
    planned: &'b Planned,
    on: &'b (dyn Fn(&'a Lab, Event<'_>) + Send + Sync),
}

impl Drop for OnItsWay<'_, '_> {
    fn drop(&mut self) {
        (self.on)(self.lab, Event::Stopped(self.planned));
    }
}

/// Breaks something about a cluster that is ready, behind the scenario's back: the proof that its
/// checks can fail.
pub type Sabotage = for<'a> fn(&'a Cluster) -> BoxFuture<'a, anyhow::Result<()>>;

const NO_SABOTAGE: Sabotage = |_| Box::pin(async { Ok(()) });

/// How often a trial is made that says nothing: a machine under load may keep a run from
/// exercising what it is for, say by a connection that the proxy drops.
const TRIES: u32 = 3;

/// Between two looks at each server of a trial that is watched: more often than anything that a
/// timeline is read for, and seldom enough for many clusters side by side.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Runs a trial, and again on another cluster as long as it is inconclusive. How often is in its
/// outcome.
pub async fn run_until_conclusive(lab: &Lab, planned: Planned) -> Finished {
    until_conclusive(lab, planned, None).await
}

async fn until_conclusive(
    lab: &Lab,
    planned: Planned,
    listener: Option<UnboundedSender<Said>>,
) -> Finished {
    let mut tries = 1;
    loop {
        let mut finished = run(lab, planned, NO_SABOTAGE, listener.clone()).await;
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
    run(lab, planned, NO_SABOTAGE, None).await
}

/// As [`run_one`], on a cluster that is sabotaged once it is ready.
pub async fn run_sabotaged(lab: &Lab, planned: Planned, sabotage: Sabotage) -> Finished {
    run(lab, planned, sabotage, None).await
}

async fn run(
    lab: &Lab,
    planned: Planned,
    sabotage: Sabotage,
    listener: Option<UnboundedSender<Said>>,
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
            environment: None,
        },
        artifacts: Vec::new(),
    };
    match create(lab, planned, listener).await {
        Ok(mut cluster) => match cluster.become_ready(scenario.order).await {
            Ok(()) => {
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
                work(planned, sabotage, trial, &mut finished).await;
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

/// The scenario on a cluster that is ready, which is gone afterwards.
async fn work(planned: Planned, sabotage: Sabotage, trial: Trial, finished: &mut Finished) {
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
    cluster.close().await;
    finished.outcome.findings = record.findings;
    finished.outcome.measures = record.measures;
    finished.outcome.headline = record.headline.join(", ");
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
fn seed_of(seed: u64, id: &str) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    #[test]
    fn filters_pick_by_part_of_the_id() {
        let ids = |filters: &[&str]| -> Vec<String> {
            let filters: Vec<String> = filters.iter().map(|f| (*f).to_owned()).collect();
            plan(&filters, Cost::Normal)
                .iter()
                .map(Planned::id)
                .collect()
        };
        assert_eq!(ids(&["primary-lost/pause"]), ["primary-lost/pause"]);
        assert_eq!(ids(&["primary-lost"]).len(), 3);
        assert!(ids(&["no-such"]).is_empty());
        assert!(ids(&[]).len() > 10);
        let costs = |at_most| plan(&[], at_most).len();
        assert!(costs(Cost::Quick) < costs(Cost::Normal));
        assert!(costs(Cost::Normal) < costs(Cost::Long));
    }

    #[test]
    fn what_a_server_lacks_makes_a_scenario_unavailable() {
        let lacks = BTreeSet::from(["XADD", "no-such-option"].map(str::to_owned));
        let [eval, xadd] = ["EVAL", "XADD"].map(Need::Command);
        assert_eq!(lacking(&[eval, xadd], &[], &lacks), Some("XADD"));
        assert_eq!(lacking(&[eval], &[], &lacks), None);
        let with = |option: &str| {
            let topology = Topology::active_active().option(option, "1");
            topology.build().unwrap().nodes
        };
        let (known, unknown) = (with("hz"), with("no-such-option"));
        assert_eq!(lacking(&[eval], &known, &lacks), None);
        assert_eq!(lacking(&[], &unknown, &lacks), Some("no-such-option"));
    }

    #[tokio::test]
    async fn a_release_that_cannot_be_had_makes_a_variant_unavailable() {
        let lab = embedded().await;
        let nodes = |keydb| {
            let topology = Topology::active_active().node_keydb("primary2", keydb);
            topology.build().unwrap().nodes
        };
        let release = nodes(KeydbSpec::Version("6.0.18".to_owned()));
        let reason = without_release(&lab, &release).await.unwrap();
        assert!(reason.contains("6.0.18"), "{reason}");
        let none = Topology::active_active().build().unwrap().nodes;
        assert_eq!(without_release(&lab, &none).await, None);
    }

    /// A scenario on models that records what its variant says.
    const SAYS: Scenario = Scenario {
        name: "says",
        title: "",
        promise: "",
        source: "",
        seconds: 1,
        variants: &["nothing", "never", "holds", "broken"],
        long: &[],
        damage: &[],
        needs: &[],
        order: crate::cluster::Order::Staged,
        topology: |_| crate::topology::Topology::active_active().build(),
        run: |trial| {
            Box::pin(async {
                match trial.variant() {
                    "nothing" => trial.inconclusive("says", "", "it was not exercised"),
                    "never" => std::future::pending::<()>().await,
                    variant => {
                        let seen = (variant == "holds")
                            .then_some("so")
                            .ok_or("not so".to_owned());
                        trial.check("says", "", seen);
                    }
                }
                Ok(())
            })
        },
    };

    async fn embedded() -> Lab {
        use crate::settings::{Settings, TestbedChoice};
        let settings = Settings {
            testbed: TestbedChoice::Only(crate::testbed::TestbedKind::Embedded),
            ..Settings::default()
        };
        Lab::open(&settings).await.unwrap()
    }

    #[rstest::rstest]
    #[case("nothing", TRIES)]
    #[case("holds", 1)]
    #[case("broken", 1)]
    #[tokio::test]
    async fn only_what_says_nothing_is_tried_again(
        #[case] variant: &'static str,
        #[case] tries: u32,
    ) {
        let lab = embedded().await;
        let planned = Planned {
            scenario: &SAYS,
            variant,
            round: 0,
        };
        let outcome = run_until_conclusive(&lab, planned).await.outcome;
        assert_eq!((outcome.tries, outcome.environment), (tries, None));
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_ended_with_the_run() {
        let lab = embedded().await;
        let planned = |variant, round| Planned {
            scenario: &SAYS,
            variant,
            round,
        };
        let (broken, holds) = (planned("broken", 0), planned("holds", 1));
        let plan = [holds, broken, planned("never", 0)];
        let told = std::sync::Mutex::new(Vec::new());
        let on = |event: Event<'_>| {
            let line = match event {
                Event::Started(it) => format!("{} begins", it.folder()),
                Event::Finished(it) => format!("{} is over", it.planned.folder()),
                Event::Stopped(it) => format!("{} is stopped", it.folder()),
                Event::Says(..) | Event::Waits(..) => return,
            };
            told.lock().unwrap().push(line);
        };
        let mut each = |_: &mut Finished| ControlFlow::Break(());
        let finished = run_until(&lab, &plan, 2, &on, &mut each).await;
        let made: Vec<String> = finished.iter().map(|it| it.outcome.id()).collect();
        assert_eq!(made, ["says/broken"]);
        assert_eq!(
            *told.lock().unwrap(),
            [
                "says/broken begins",
                "says/never begins",
                "says/broken is over",
                "says/never is stopped"
            ]
        );

        told.lock().unwrap().clear();
        assert_eq!(run_all(&lab, &[holds, broken], 1, &on).await.len(), 2);
        // The first round is the first to be made.
        assert_eq!(told.lock().unwrap()[0], "says/broken begins");
    }

    #[test]
    fn a_trials_chance_depends_on_seed_and_id() {
        assert_eq!(seed_of(1, "a"), seed_of(1, "a"));
        assert_ne!(seed_of(1, "a"), seed_of(2, "a"));
        assert_ne!(seed_of(1, "a"), seed_of(1, "b"));
    }
}
