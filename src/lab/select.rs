//! Which testbed a run takes. To add a testbed: one line in [`candidates`], one in [`connect`].

use std::sync::Arc;

use crate::settings::{Settings, TestbedChoice};
use crate::spec::{DEFAULT_HAPROXY_IMAGE, HaproxySpec, KeydbSpec};
use crate::testbed::docker::DockerTestbed;
use crate::testbed::process::{ProcessTestbed, find_haproxy};
use crate::testbed::{EnvironmentError, Program, Testbed, TestbedKind};

/// A testbed that can run the programs beside it.
pub(super) struct Chosen {
    pub(super) testbed: Arc<dyn Testbed>,
    pub(super) keydb: KeydbSpec,
    pub(super) haproxy: HaproxySpec,
    /// Better testbeds that cannot run here, and why, a sentence each.
    pub(super) passed_over: Vec<String>,
}

/// The testbeds that a choice allows, best first. An explicit choice never falls back.
pub(super) fn candidates(choice: TestbedChoice) -> Vec<TestbedKind> {
    match choice {
        TestbedChoice::Auto => vec![TestbedKind::Docker, TestbedKind::Process],
        TestbedChoice::Only(kind) => vec![kind],
    }
}

/// Takes the first candidate on which both programs can run.
pub(super) async fn select(settings: &Settings) -> Result<Chosen, EnvironmentError> {
    let mut refusals: Vec<(TestbedKind, EnvironmentError)> = Vec::new();
    for kind in candidates(settings.testbed) {
        match attempt(kind, settings).await {
            Ok(chosen) => {
                let passed_over = refusals
                    .iter()
                    .map(|(kind, error)| format!("{kind}: {error}"));
                let passed_over = passed_over.collect();
                return Ok(Chosen {
                    passed_over,
                    ..chosen
                });
            }
            Err(error) => refusals.push((kind, error)),
        }
    }
    if let [(_, only)] = &refusals[..] {
        return Err(only.clone());
    }
    let reasons: Vec<_> = refusals
        .iter()
        .map(|(kind, error)| format!("{kind}: {error}"))
        .collect();
    Err(EnvironmentError::new(format!(
        "no testbed can run here. {}",
        reasons.join(". ")
    )))
}

/// What a run with these settings runs on a testbed.
pub(super) fn programs(
    kind: TestbedKind,
    settings: &Settings,
) -> Result<(KeydbSpec, HaproxySpec), EnvironmentError> {
    let keydb = settings.keydb.clone().unwrap_or_default();
    let haproxy = match (&settings.haproxy, kind) {
        (Some(spec), _) => spec.clone(),
        (None, TestbedKind::Docker) => HaproxySpec::Image(DEFAULT_HAPROXY_IMAGE.to_owned()),
        (None, TestbedKind::Process) => HaproxySpec::Path(find_haproxy(None)?),
    };
    Ok((keydb, haproxy))
}

async fn attempt(kind: TestbedKind, settings: &Settings) -> Result<Chosen, EnvironmentError> {
    let (keydb, haproxy) = programs(kind, settings)?;
    let testbed = connect(kind).await?;
    testbed.prepare(&Program::Keydb(keydb.clone())).await?;
    testbed.prepare(&Program::Haproxy(haproxy.clone())).await?;
    Ok(Chosen {
        testbed,
        keydb,
        haproxy,
        passed_over: Vec::new(),
    })
}

async fn connect(kind: TestbedKind) -> Result<Arc<dyn Testbed>, EnvironmentError> {
    Ok(match kind {
        TestbedKind::Docker => Arc::new(DockerTestbed::connect().await?),
        TestbedKind::Process => Arc::new(ProcessTestbed),
    })
}
