//! One scenario on one cluster: what it works with, and where it puts what it finds.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::cluster::{Client, ClientError, Cluster};
use crate::verdict::{Finding, Measure, Verdict};
use crate::wait::Unmet;

/// A broken promise: what was seen instead, and the state of the nodes if it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// One sentence.
    pub evidence: String,
    /// The state of every node; empty if it tells nothing.
    pub state: String,
}

impl From<Unmet> for Broken {
    fn from(unmet: Unmet) -> Self {
        Self {
            evidence: unmet.sentence(),
            state: unmet.state,
        }
    }
}

impl From<String> for Broken {
    fn from(evidence: String) -> Self {
        Self {
            evidence,
            state: String::new(),
        }
    }
}

impl From<ClientError> for Broken {
    fn from(error: ClientError) -> Self {
        error.to_string().into()
    }
}

/// A scenario at work on a cluster of its own.
///
/// Findings are made with [`Trial::check`], numbers with [`Trial::measure`]. When the scenario
/// ends with an error, an [`Unmet`] in it counts as a broken promise, an
/// [`crate::testbed::EnvironmentError`] as no verdict at all, anything else as inconclusive.
#[derive(Debug)]
pub struct Trial {
    cluster: Cluster,
    variant: &'static str,
    seed: u64,
    record: Mutex<Record>,
}

/// What a trial has found so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) findings: Vec<Finding>,
    pub(crate) measures: Vec<Measure>,
    pub(crate) headline: Vec<String>,
}

impl Trial {
    pub(crate) fn new(cluster: Cluster, variant: &'static str, seed: u64) -> Self {
        Self {
            cluster,
            variant,
            seed,
            record: Mutex::new(Record::default()),
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The variant's name.
    pub fn variant(&self) -> &'static str {
        self.variant
    }

    /// Chance that is the same for the same seed and variant.
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }

    /// Records whether a promise held. `Ok` carries what was seen if it holds, for the report;
    /// `Err` what was seen instead. Gives back whether it held.
    pub fn check<T: Display, E: Into<Broken>>(
        &self,
        check: &str,
        promise: &str,
        seen: Result<T, E>,
    ) -> bool {
        let (verdict, evidence, state) = match seen {
            Ok(seen) => (Verdict::Holds, seen.to_string(), String::new()),
            Err(broken) => {
                let Broken { evidence, state } = broken.into();
                (Verdict::Broken, evidence, state)
            }
        };
        let holds = verdict == Verdict::Holds;
        self.record().findings.push(Finding {
            check: check.to_owned(),
            promise: promise.to_owned(),
            verdict,
            evidence,
            state,
        });
        holds
    }

    /// Records that the run did not exercise a promise, and why.
    pub fn inconclusive(&self, check: &str, promise: &str, why: impl Into<String>) {
        self.record().findings.push(Finding {
            check: check.to_owned(),
            promise: promise.to_owned(),
            verdict: Verdict::Inconclusive,
            evidence: why.into(),
            state: String::new(),
        });
    }

    /// Records a number.
    pub fn measure(&self, name: impl Into<String>, value: f64, unit: &str) {
        self.record().measures.push(Measure {
            name: name.into(),
            value,
            unit: unit.to_owned(),
        });
    }

    /// Adds to the line that the summary shows.
    pub fn headline(&self, part: impl Into<String>) {
        self.record().headline.push(part.into());
    }

    /// A client through the proxy.
    ///
    /// # Errors
    /// There is no proxy, or it does not connect.
    pub async fn proxy_client(&self) -> anyhow::Result<Client> {
        Ok(self.cluster.proxy()?.client().await?)
    }

    pub(crate) fn finish(self) -> (Cluster, Record) {
        (
            self.cluster,
            self.record
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
