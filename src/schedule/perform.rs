//! A schedule carried out on a cluster under traffic.

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::{Act, Schedule, Step, When};
use crate::cluster::Cluster;
use crate::fault::{Inflicted, Named, Toothless};
use crate::history::Recording;
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
    for (position, step) in schedule.steps.iter().enumerate() {
        let said = || format!("step {} of the schedule, '{step}'", position + 1);
        let done = carry_out(step, stage, &mut lasting).await;
        if let Some(toothless) = done.with_context(said)? {
            return Ok(Some(toothless));
        }
    }
    Ok(None)
}

async fn carry_out(
    Step { when, act }: &Step,
    stage: &Stage<'_>,
    lasting: &mut Vec<Lasting>,
) -> Result<Option<Toothless>> {
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
                // After an upgrade that failed everybody wants to know at which node.
                let named = one.named.clone();
                let recovered = stage.recover(one.inflicted).await;
                recovered.with_context(|| format!("taking back '{named}'"))?;
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
        Ok(Inflicted::noted(self.cluster, fault, Some(self.recording)).await)
    }

    async fn recover(&self, inflicted: Inflicted) -> Result<()> {
        inflicted
            .recover_noted(self.cluster, Some(self.recording))
            .await
    }
}
