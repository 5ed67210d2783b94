//! A schedule carried out on a cluster under traffic.

use anyhow::Result;
use tokio::time::sleep;

use super::{Act, Schedule, Step, When};
use crate::cluster::Cluster;
use crate::fault::{Inflicted, Named, Toothless};
use crate::history::{Phase, Recording};
use crate::workload::traffic::{Route, Traffic};

/// What a schedule is carried out on.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The cluster that is struck.
    pub cluster: &'a Cluster,
    /// Where faults are recorded.
    pub recording: &'a Recording,
    /// What works on the cluster, and where.
    pub traffics: &'a [(Route, Traffic)],
}

/// A fault that lasts.
struct Lasting {
    named: Named,
    inflicted: Inflicted,
}

/// Carries it out, step by step. What it does not take back lasts when it is done, but for faults of
/// links and the proxy: those are let go of.
///
/// `Ok` with the fault that did not bite, if one did not: the run says nothing, and is over.
///
/// # Errors
/// A fault could not be taken back, or operations are not acknowledged in time
/// ([`Unmet`](crate::wait::Unmet)).
pub async fn perform(schedule: &Schedule, stage: &Stage<'_>) -> Result<Option<Toothless>> {
    let mut lasting: Vec<Lasting> = Vec::new();
    for Step { when, act } in &schedule.steps {
        stage.wait(*when).await?;
        match act {
            Act::Nothing => {}
            Act::Inflict(named) => match stage.inflict(named).await? {
                Ok(inflicted) => lasting.push(Lasting {
                    named: named.clone(),
                    inflicted,
                }),
                Err(toothless) => return Ok(Some(toothless)),
            },
            Act::Recover(which) => {
                let is_meant = |one: &mut Lasting| which.as_ref().is_none_or(|it| *it == one.named);
                for one in lasting.extract_if(.., is_meant).collect::<Vec<_>>() {
                    stage.recover(one.inflicted).await?;
                }
            }
        }
    }
    Ok(None)
}

impl Stage<'_> {
    /// Waits until a step begins.
    async fn wait(&self, when: When) -> Result<()> {
        match when {
            When::AtOnce => Ok(()),
            When::After(time) => {
                sleep(time).await;
                Ok(())
            }
            When::Operations(count) => self.more(count).await,
        }
    }

    /// Waits until each traffic that has a server had so many more operations acknowledged.
    ///
    /// # Errors
    /// They are not in time, or there is no traffic left.
    pub async fn more(&self, count: usize) -> Result<()> {
        let before: Vec<usize> = self
            .traffics
            .iter()
            .map(|(_, it)| it.acknowledged())
            .collect();
        let mut any = false;
        for ((route, traffic), before) in self.traffics.iter().zip(before) {
            if self.serves(route).await {
                any = true;
                traffic.more_than(self.cluster, before, count).await?;
            }
        }
        anyhow::ensure!(
            any,
            "no traffic has a server left: nothing can be waited for"
        );
        Ok(())
    }

    /// Whether a traffic has a server: its node was not taken away on purpose, or the proxy has
    /// somebody to send it to.
    async fn serves(&self, route: &Route) -> bool {
        match (route, self.cluster.proxy()) {
            (Route::Node(name), _) => self.cluster.live().any(|node| node.name() == name),
            (Route::Proxy, Ok(proxy)) if proxy.should_run() => {
                let stats = proxy.backend_stats().await.unwrap_or_default();
                stats.iter().any(|stat| stat.status.starts_with("UP"))
            }
            (Route::Proxy, _) => false,
        }
    }

    async fn inflict(&self, named: &Named) -> Result<Result<Inflicted, Toothless>> {
        let fault = named.fault()?;
        let (name, nodes) = (fault.name(), fault.strikes());
        let note = |phase, seen: &str| self.recording.fault(&name, &nodes, phase, seen);
        note(Phase::Injected, "");
        Ok(match Inflicted::on(self.cluster, fault).await {
            Ok(inflicted) => {
                note(Phase::Bites, inflicted.bite());
                Ok(inflicted)
            }
            Err(toothless) => {
                note(Phase::Toothless, &toothless.to_string());
                Err(toothless)
            }
        })
    }

    async fn recover(&self, inflicted: Inflicted) -> Result<()> {
        let fault = inflicted.fault();
        let (name, nodes) = (fault.name(), fault.strikes());
        let note = |phase| self.recording.fault(&name, &nodes, phase, "");
        note(Phase::Recovering);
        inflicted.recover(self.cluster).await?;
        note(Phase::Healed);
        Ok(())
    }
}
