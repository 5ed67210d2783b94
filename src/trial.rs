//! One scenario on one cluster: what it works with, and where it puts what it finds.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::cluster::{Client, ClientError, Cluster};
use crate::fault::{Fault, Inflicted};
use crate::history::Recording;
use crate::schedule::Schedule;
use crate::verdict::{Finding, Measure, Verdict};
use crate::wait::{Said, Unmet};

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

/// The finding of a check: `Ok` carries what was seen if the promise held, `Err` what was seen
/// instead.
pub(crate) fn judged<T: Display, E: Into<Broken>>(
    check: &str,
    promise: &str,
    seen: Result<T, E>,
) -> Finding {
    let (verdict, evidence, state) = match seen {
        Ok(seen) => (Verdict::Holds, seen.to_string(), String::new()),
        Err(broken) => {
            let Broken { evidence, state } = broken.into();
            (Verdict::Broken, evidence, state)
        }
    };
    Finding {
        check: check.to_owned(),
        promise: promise.to_owned(),
        verdict,
        evidence,
        state,
    }
}

/// The finding of a check that the run did not exercise, and why.
pub(crate) fn unknown(check: &str, promise: &str, why: impl Into<String>) -> Finding {
    Finding {
        check: check.to_owned(),
        promise: promise.to_owned(),
        verdict: Verdict::Inconclusive,
        evidence: why.into(),
        state: String::new(),
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
    terms: Terms,
    record: Mutex<Record>,
}

/// What a trial is told of the run that it belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    /// What it runs against, as the first line of a run says it.
    pub(crate) identity: String,
    /// What goes wrong when, instead of what the scenario itself has.
    pub(crate) schedule: Option<Schedule>,
    /// Where faults are noted beside what the servers show, if that is recorded.
    pub(crate) recording: Option<Recording>,
}

/// What a trial has found so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) findings: Vec<Finding>,
    pub(crate) measures: Vec<Measure>,
    pub(crate) headline: Vec<String>,
    /// Name and content.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl Trial {
    pub(crate) fn new(cluster: Cluster, variant: &'static str, seed: u64) -> Self {
        Self {
            cluster,
            variant,
            seed,
            terms: Terms::default(),
            record: Mutex::new(Record::default()),
        }
    }

    /// The same trial as a part of a run.
    pub(crate) fn under(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// What it runs against, as the first line of a run says it.
    pub fn identity(&self) -> &str {
        &self.terms.identity
    }

    /// The schedule that the run asks for instead of the scenario's own.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.terms.schedule.as_ref()
    }

    /// Says something before it is over: a schedule before it is carried out.
    pub fn announce(&self, text: impl Into<String>) {
        self.cluster.tell(Said::Text(text.into()));
    }

    /// Where what the servers show is recorded, if it is.
    pub(crate) fn recording(&self) -> Option<&Recording> {
        self.terms.recording.as_ref()
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
        self.found(judged(check, promise, seen))
    }

    /// Records a finding. Gives back whether the promise held.
    pub(crate) fn found(&self, finding: Finding) -> bool {
        let holds = finding.verdict == Verdict::Holds;
        self.record().findings.push(finding);
        holds
    }

    /// Records that the run did not exercise a promise, and why.
    pub fn inconclusive(&self, check: &str, promise: &str, why: impl Into<String>) {
        self.found(unknown(check, promise, why));
    }

    /// Injects a fault without which there is nothing to judge: `promise` says what it sees to. None
    /// if it does not bite, which is recorded as an inconclusive check named `fault`.
    pub async fn inflict(&self, fault: Arc<dyn Fault>, promise: &str) -> Option<Inflicted> {
        match Inflicted::noted(&self.cluster, fault, self.recording()).await {
            Ok(fault) => Some(fault),
            Err(toothless) => {
                self.inconclusive("fault", promise, toothless.to_string());
                None
            }
        }
    }

    /// Takes a fault back, and waits until what it struck is well again.
    ///
    /// # Errors
    /// As [`Inflicted::recover`].
    pub async fn heal(&self, inflicted: Inflicted) -> anyhow::Result<()> {
        inflicted
            .recover_noted(&self.cluster, self.recording())
            .await
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

    /// Adds a file to what the report keeps of the trial; one that is there already goes on with it.
    pub fn attach(&self, name: impl Into<String>, content: Vec<u8>) {
        let name = name.into();
        let files = &mut self.record().files;
        match files.iter_mut().find(|(known, _)| *known == name) {
            Some((_, before)) => before.extend(content),
            None => files.push((name, content)),
        }
    }

    /// The seed of its chance.
    pub fn seed(&self) -> u64 {
        self.seed
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

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Broken as IsBroken, Holds, Inconclusive};
    use rstest::rstest;
    use std::time::Duration;

    fn unmet() -> Broken {
        Unmet {
            what: "every link is up".to_owned(),
            waited: Duration::from_millis(1600),
            last: "replica1's link is down".to_owned(),
            state: "primary1: running\n".to_owned(),
        }
        .into()
    }

    fn refused() -> Broken {
        ClientError::Refused("LOADING wait".to_owned()).into()
    }

    #[rstest]
    #[case::something_was_seen_holds(Ok("7 keys"), Holds, "7 keys", "")]
    #[case::nothing_to_say_holds(Ok(""), Holds, "", "")]
    #[case::something_else_was_seen_broken(Err("6 keys".to_owned().into()), IsBroken, "6 keys", "")]
    #[case::a_wait_ran_out_broken(
        Err(unmet()),
        IsBroken,
        "not within 2 s: every link is up; last seen: replica1's link is down",
        "primary1: running\n"
    )]
    #[case::the_server_refused_broken(Err(refused()), IsBroken, "LOADING wait", "")]
    fn findings(
        #[case] seen: Result<&str, Broken>,
        #[case] verdict: Verdict,
        #[case] evidence: &str,
        #[case] state: &str,
    ) {
        let finding = judged("c", "p", seen);
        assert_eq!((&*finding.check, &*finding.promise), ("c", "p"));
        assert_eq!((finding.verdict, &*finding.evidence), (verdict, evidence));
        assert_eq!(finding.state, state);
    }

    #[test]
    fn a_promise_that_was_not_exercised_unknown() {
        let finding = unknown("c", "p", "no traffic");
        assert_eq!((&*finding.check, &*finding.promise), ("c", "p"));
        assert_eq!(
            (finding.verdict, &*finding.evidence),
            (Inconclusive, "no traffic")
        );
    }
}
