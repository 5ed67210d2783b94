//! What a run would find here, told without starting, fetching or removing anything.

use super::select::{candidates, programs};
use crate::settings::Settings;
#[cfg(feature = "docker")]
use crate::spec::{HaproxySpec, KeydbSpec};
#[cfg(feature = "docker")]
use crate::testbed::docker::DockerTestbed;
use crate::testbed::embedded::EmbeddedTestbed;
use crate::testbed::process::ProcessTestbed;
use crate::testbed::{EnvironmentError, Program, Testbed, TestbedKind};

/// What a run would find on one testbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// Everything is here.
    Ready,
    /// The engine has to fetch these images first. Whether it can, only an attempt tells.
    Fetches(Vec<String>),
    /// The testbed or a program is not here.
    Refused(EnvironmentError),
}

/// The testbeds that a run with these settings tries, in this order, and what it would find there.
/// It takes the first that is ready or can be made so.
pub async fn outlook(settings: &Settings) -> Vec<(TestbedKind, Outlook)> {
    let mut outlooks = Vec::new();
    for kind in candidates(settings.testbed) {
        let outlook = match look(kind, settings).await {
            Ok(outlook) => outlook,
            Err(error) => Outlook::Refused(error),
        };
        outlooks.push((kind, outlook));
    }
    outlooks
}

async fn look(kind: TestbedKind, settings: &Settings) -> Result<Outlook, EnvironmentError> {
    let (keydb, haproxy) = programs(kind, settings)?;
    let programs = [Program::Keydb(keydb), Program::Haproxy(haproxy)];
    match kind {
        #[cfg(not(feature = "docker"))]
        TestbedKind::Docker => Err(super::select::no_docker()),
        #[cfg(feature = "docker")]
        TestbedKind::Docker => {
            let testbed = DockerTestbed::connect().await?;
            let mut absent = Vec::new();
            for program in &programs {
                let reference = testbed.image_of(program).await?;
                if !is_path(program) && !testbed.image_present(&reference).await {
                    absent.push(reference);
                }
            }
            Ok(match absent.is_empty() {
                true => Outlook::Ready,
                false => Outlook::Fetches(absent),
            })
        }
        TestbedKind::Embedded => {
            for program in &programs {
                EmbeddedTestbed.prepare(program).await?;
            }
            Ok(Outlook::Ready)
        }
        TestbedKind::Process => {
            // Here it only looks.
            for program in &programs {
                ProcessTestbed.prepare(program).await?;
            }
            Ok(Outlook::Ready)
        }
    }
}

/// A file of this machine is imported, not fetched.
#[cfg(feature = "docker")]
fn is_path(program: &Program) -> bool {
    matches!(
        program,
        Program::Keydb(KeydbSpec::Path(_)) | Program::Haproxy(HaproxySpec::Path(_))
    )
}
