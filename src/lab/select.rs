//! Which testbed a run takes. To add a testbed: one line in [`candidates`], one in [`connect`].

use std::sync::Arc;

use crate::model::Quirks;
use crate::settings::{Settings, TestbedChoice};
use crate::spec::{DEFAULT_HAPROXY_IMAGE, HaproxySpec, KeydbSpec};
#[cfg(feature = "docker")]
use crate::testbed::docker::DockerTestbed;
use crate::testbed::embedded::EmbeddedTestbed;
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
        // A pipeline that believes to check KeyDB must not pass on the model.
        TestbedChoice::Auto if is_ci() => vec![TestbedKind::Docker, TestbedKind::Process],
        TestbedChoice::Auto => vec![
            TestbedKind::Docker,
            TestbedKind::Process,
            TestbedKind::Embedded,
        ],
        TestbedChoice::Only(kind) => vec![kind],
        TestbedChoice::Attached => Vec::new(),
    }
}

/// Whether this is a pipeline's run: nearly all set the variable.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// Takes the first candidate on which both programs can run.
pub(super) async fn select(settings: &Settings) -> Result<Chosen, EnvironmentError> {
    if settings.testbed == TestbedChoice::Attached {
        return Err(EnvironmentError::new(
            "on an attached cluster nothing is started: only `check --inventory FILE` goes there; use auto, docker, process or embedded here",
        ));
    }
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
    if settings.testbed == TestbedChoice::Auto && is_ci() {
        let unasked = "in CI (the variable CI is set) the model is not taken unasked: set KEYDB_HARNESS_TESTBED=embedded to run without KeyDB";
        refusals.push((TestbedKind::Embedded, EnvironmentError::new(unasked)));
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
    let keydb = match (&settings.keydb, kind) {
        (Some(spec), _) => spec.clone(),
        (None, TestbedKind::Embedded) => KeydbSpec::Model(Quirks::default()),
        (None, _) => KeydbSpec::default(),
    };
    let haproxy = match (&settings.haproxy, kind) {
        (Some(spec), _) => spec.clone(),
        (None, TestbedKind::Docker) => HaproxySpec::Image(DEFAULT_HAPROXY_IMAGE.to_owned()),
        (None, TestbedKind::Process) => HaproxySpec::Path(find_haproxy(None)?),
        // The real one if it is installed.
        (None, TestbedKind::Embedded) => {
            find_haproxy(None).map_or(HaproxySpec::BuiltIn, HaproxySpec::Path)
        }
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
        #[cfg(feature = "docker")]
        TestbedKind::Docker => Arc::new(DockerTestbed::connect().await?),
        #[cfg(not(feature = "docker"))]
        TestbedKind::Docker => return Err(no_docker()),
        TestbedKind::Process => Arc::new(ProcessTestbed),
        TestbedKind::Embedded => Arc::new(EmbeddedTestbed),
    })
}

#[cfg(not(feature = "docker"))]
pub(super) fn no_docker() -> EnvironmentError {
    EnvironmentError::new(
        "keydb-harness was built without containers: depend on it with its feature `docker`",
    )
}
