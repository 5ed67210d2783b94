//! Traffic on a cluster, recorded from its first operation to what every node holds after its last,
//! and judged by every property of a history.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cluster::{Cluster, finals};
use crate::history::{History, INTERVAL, Moment, Phase, Recording, Saved, Subject, Taps, Watch};
use crate::judge::judge;
use crate::property::over_history::Judgement;
use crate::schedule::Stage;
use crate::trial::{judged, unknown};
use crate::verdict::Finding;
use crate::workload::traffic::{Kind, Plan, Route, Subscribers, Traffic};

/// Below this rate before the fault the run says nothing, operations a second of each traffic.
const MINIMUM_RATE: f64 = 20.0;
/// How long after the end of traffic no key that it set briefly may be anywhere: two seconds to live
/// at most, and one within which a node ought to have seen that they are over.
const BRIEF_LIFE_IS_OVER: Duration = Duration::from_millis(3_200);

/// Traffic at work, with everything that records it: its clients, what the servers show, what
/// crosses relays, and a subscriber at every node. Dropping it ends it without its record.
#[derive(Debug)]
pub struct Exercise<'a> {
    cluster: &'a Cluster,
    recording: Recording,
    watch: Watch,
    taps: Taps,
    subscribers: Subscribers,
    plans: Vec<Plan>,
    traffics: Vec<(Route, Traffic)>,
}

impl<'a> Exercise<'a> {
    /// Begins to record, and starts the traffics.
    ///
    /// # Errors
    /// A plan names no server of the cluster, subscribers do not come to listen
    /// ([`Unmet`](crate::wait::Unmet)), or no thread could be started.
    pub async fn start(cluster: &'a Cluster, plans: Vec<Plan>) -> Result<Self> {
        let recording = Recording::new();
        let watch = Watch::start(cluster, &recording, INTERVAL);
        let taps = Taps::on(cluster, &recording);
        let subscribers = Subscribers::start(cluster, &recording).await?;
        let mut traffics = Vec::new();
        for plan in &plans {
            let traffic = Traffic::start(cluster, &recording, plan)?;
            traffics.push((plan.route.clone(), traffic));
        }
        Ok(Self {
            cluster,
            recording,
            watch,
            taps,
            subscribers,
            plans,
            traffics,
        })
    }

    /// What a schedule is carried out on.
    pub fn stage(&self) -> Stage<'_> {
        Stage {
            cluster: self.cluster,
            recording: &self.recording,
            traffics: &self.traffics,
        }
    }

    /// Where faults are noted.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Ends the traffics and the subscribers. What the servers show, and what crosses relays, goes on
    /// being recorded.
    ///
    /// # Errors
    /// A client's thread panicked, or a subscriber does not hear the last message.
    pub async fn end(mut self) -> Result<Ended<'a>> {
        for (_, traffic) in self.traffics.drain(..) {
            traffic.end().await?;
        }
        let at = Instant::now();
        self.subscribers.end(self.cluster).await?;
        Ok(Ended {
            cluster: self.cluster,
            recording: self.recording,
            watch: self.watch,
            taps: self.taps,
            plans: self.plans,
            at,
        })
    }
}

/// What a history is saved under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// What everything that was drawn by chance depended on.
    pub seed: u64,
    /// What it ran against.
    pub identity: String,
    /// The faults that were planned, as text.
    pub schedule: String,
}

/// An exercise whose traffic is over.
#[derive(Debug)]
pub struct Ended<'a> {
    cluster: &'a Cluster,
    recording: Recording,
    watch: Watch,
    taps: Taps,
    plans: Vec<Plan>,
    at: Instant,
}

impl Ended<'_> {
    /// Reads what every live node holds, twice, and ends the recording. Wait for
    /// [`agreement`](crate::property::agreement) before.
    ///
    /// # Errors
    /// A node does not answer ([`ClientError`](crate::cluster::ClientError)).
    pub async fn read(self, label: Label) -> Result<Exercised> {
        if self.plans.iter().any(sets_briefly) {
            // Time itself is what is waited for.
            tokio::time::sleep_until((self.at + BRIEF_LIFE_IS_OVER).into()).await;
        }
        let ends = finals::collect_twice(self.cluster, &self.recording, &self.taps).await?;
        self.watch.stop().await;
        let crossed = self.taps.finish();
        Ok(Exercised {
            saved: Saved {
                seed: label.seed,
                identity: label.identity,
                schedule: label.schedule,
                began: Some(self.recording.began()),
                persistence: self.cluster.persistence(),
                history: self.recording.finish(),
                finals_from: ends.finals_from,
                crossings: crossed.crossings,
                forgotten: crossed.forgotten,
                finals: ends.finals,
                finals_at: Some(ends.finals_at),
                later: Some(ends.later),
            },
            plans: self.plans,
        })
    }
}

fn sets_briefly(plan: &Plan) -> bool {
    let mut kinds = plan.mix.kinds();
    kinds.any(|kind| matches!(kind, Kind::SetBriefly | Kind::CutShort))
}

/// A whole history of traffic, ready to be judged.
#[derive(Debug)]
pub struct Exercised {
    /// The history, and what the nodes held at its end.
    pub saved: Saved,
    plans: Vec<Plan>,
}

impl Exercised {
    /// Whether there was traffic enough of every kind before the first fault, as the check `traffic`:
    /// where there was not, the history says nothing, and it is inconclusive.
    pub fn enough(&self) -> Finding {
        const PROMISE: &str = "there is traffic of every kind before the fault";
        let history = &self.saved.history;
        let fault = first_fault(history);
        let exercised = self.plans.iter();
        let exercised = exercised.map(|plan| plan.exercised(history, fault, MINIMUM_RATE));
        match exercised.collect::<Result<Vec<_>, _>>() {
            Ok(said) => judged("traffic", PROMISE, Ok::<_, String>(said.join("; "))),
            Err(missing) => unknown("traffic", PROMISE, missing),
        }
    }

    /// What every property says; without `convergence` where nodes were seen not to agree: that is
    /// told already, and the others tell why.
    pub fn judgements(&self, agreed: bool) -> Vec<Judgement> {
        let mut judgements = judge(&self.saved);
        judgements.retain(|it| agreed || it.finding.check != "convergence");
        judgements
    }
}

/// When the first fault was injected; the end, if there was none.
fn first_fault(history: &History) -> Moment {
    let injected = history.events.iter().find(|event| {
        matches!(
            event.subject,
            Subject::Fault {
                phase: Phase::Injected,
                ..
            }
        )
    });
    injected.map_or(history.length, |event| event.at)
}
