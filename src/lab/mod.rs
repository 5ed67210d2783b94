//! A lab: a testbed together with the programs a run uses there, probed and named.

mod identity;
mod outlook;
mod select;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use identity::last_words;
pub use identity::{HaproxyIdentity, Identity, KeydbIdentity};
pub use outlook::{Outlook, outlook};

use crate::console;
use crate::schedule::Schedule;
use crate::settings::Settings;
use crate::spec::{HaproxySpec, KeydbSpec};
use crate::testbed::process::{ProcessTestbed, keydb_beside};
use crate::testbed::{EnvironmentError, Pace, Testbed};
use crate::topology::NodeSpec;

/// A testbed with a KeyDB and an HAProxy that were seen to run there.
#[derive(Debug, Clone)]
pub struct Lab {
    testbed: Arc<dyn Testbed>,
    keydb: KeydbSpec,
    haproxy: HaproxySpec,
    identity: Identity,
    passed_over: Vec<String>,
    seed: u64,
    pace: Pace,
    lacks: BTreeSet<String>,
    schedule: Option<Schedule>,
    watched: bool,
    shares: bool,
}

impl Lab {
    /// Takes the testbed that the settings ask for, or the best that is here, removes what dead
    /// runs left there, and asks the servers who they are.
    ///
    /// # Errors
    /// Nothing that fits the settings can run here; the text says what is missing and the mend.
    pub async fn open(settings: &Settings) -> Result<Self, EnvironmentError> {
        let chosen = select::select(settings).await?;
        // What others left does not keep a run from running: `clean` fails where this only tells.
        if let Err(error) = chosen.testbed.sweep(false).await {
            console::problem(format_args!("keydb-harness: goes on: {error}"));
        }
        // Whatever the testbed, a run has its folder on this machine.
        ProcessTestbed.sweep(false).await?;
        let (identity, lacks) =
            Identity::probe(chosen.testbed.as_ref(), &chosen.keydb, &chosen.haproxy).await?;
        Ok(Self {
            pace: chosen.testbed.kind().pace(),
            testbed: chosen.testbed,
            keydb: chosen.keydb,
            haproxy: chosen.haproxy,
            identity,
            lacks,
            schedule: None,
            watched: false,
            shares: false,
            passed_over: chosen.passed_over,
            seed: settings.seed.unwrap_or_else(rand::random),
        })
    }

    /// Where clusters run.
    pub fn testbed(&self) -> &dyn Testbed {
        self.testbed.as_ref()
    }

    /// The KeyDB of every node that does not name its own.
    pub fn keydb(&self) -> &KeydbSpec {
        &self.keydb
    }

    /// The KeyDB of a node that names its own, as [`keydb_beside`] has it.
    pub fn keydb_beside(&self, own: &KeydbSpec) -> KeydbSpec {
        keydb_beside(&self.keydb, own)
    }

    /// The KeyDB that a node runs: its own, or the run's.
    pub(crate) fn keydb_of(&self, node: &NodeSpec) -> KeydbSpec {
        let own = node.keydb.as_ref();
        own.map_or_else(|| self.keydb.clone(), |own| self.keydb_beside(own))
    }

    /// The HAProxy of every proxy.
    pub fn haproxy(&self) -> &HaproxySpec {
        &self.haproxy
    }

    /// What the servers say they are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Testbeds that `auto` would have preferred, and why they cannot run here, a sentence each.
    pub fn passed_over(&self) -> &[String] {
        &self.passed_over
    }

    /// The commands (in capitals) and options (in small letters) that scenarios need or traffic sends,
    /// and that the servers do not have.
    pub fn lacks(&self) -> &BTreeSet<String> {
        &self.lacks
    }

    /// How long conditions are waited for.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The same lab, where no condition is waited for longer than `deadline`: for tests that break
    /// something on purpose and expect to run into it.
    #[must_use]
    pub fn impatient(&self, deadline: Duration) -> Self {
        let mut lab = self.clone();
        lab.pace.deadline = lab.pace.deadline.min(deadline);
        lab
    }

    /// The same lab with another KeyDB.
    #[must_use]
    pub fn with_keydb(&self, keydb: KeydbSpec) -> Self {
        Self {
            keydb,
            ..self.clone()
        }
    }

    /// The same lab with another seed.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Self {
        Self {
            seed,
            ..self.clone()
        }
    }

    /// The same lab, where scenarios that follow a schedule follow this one.
    #[must_use]
    pub fn with_schedule(&self, schedule: Schedule) -> Self {
        Self {
            schedule: Some(schedule),
            ..self.clone()
        }
    }

    /// The same lab, where what the servers of every trial show is recorded as it changes, for a
    /// timeline.
    #[must_use]
    pub fn watched(&self) -> Self {
        Self {
            watched: true,
            ..self.clone()
        }
    }

    /// Whether what servers show is recorded.
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// The same lab, where a cluster that a trial has left as good as new serves the next that starts an
    /// equal one.
    #[must_use]
    pub fn sharing_clusters(&self) -> Self {
        Self {
            shares: true,
            ..self.clone()
        }
    }

    /// Whether trials share clusters.
    pub fn shares_clusters(&self) -> bool {
        self.shares
    }

    /// What goes wrong when, if that is given.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    /// The seed of everything that is drawn by chance.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The first line of every run: testbed, versions as the servers report them, seed.
    pub fn first_line(&self) -> String {
        format!("{}, seed {}", self.identity, self.seed)
    }
}
