//! The reproductions of what a run found broken.

use std::collections::BTreeMap;

use super::{Folder, ReproductionError, derived, explaining};
use crate::history::Saved;
use crate::report::results::Results;
use crate::spec::KeydbSpec;
use crate::verdict::{Verdict, trial_id};

/// A broken check of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The scenario.
    pub scenario: String,
    /// Its variant; empty if there is only one.
    pub variant: String,
    /// The check.
    pub check: String,
}

impl Broken {
    /// `scenario/variant: check`.
    pub fn told(&self) -> String {
        format!(
            "{}: {}",
            trial_id(&self.scenario, &self.variant),
            self.check
        )
    }
}

/// What reproduces some of what a run found broken.
#[derive(Debug)]
pub struct Reproduced {
    /// What the folder is to be called: the id of a reproduction, or trial and check.
    pub name: String,
    /// Whether it is derived from the history, and not written by hand.
    pub derived: bool,
    /// What it explains, in the order of the run.
    pub explains: Vec<Broken>,
    /// The folder, or why there is none.
    pub folder: Result<Folder, ReproductionError>,
}

/// Everything that a run found broken, in its order.
pub fn broken_of(results: &Results) -> Vec<Broken> {
    let trials = results.trials.iter().map(|trial| &trial.outcome);
    trials
        .flat_map(|outcome| {
            let broken = |finding: &&crate::verdict::Finding| finding.verdict == Verdict::Broken;
            outcome
                .findings
                .iter()
                .filter(broken)
                .map(|finding| Broken {
                    scenario: outcome.scenario.clone(),
                    variant: outcome.variant.clone(),
                    check: finding.check.clone(),
                })
        })
        .collect()
}

/// Reproductions of all that a run found broken: those that were written by hand where one explains
/// it, else what `history` (of a trial, by its id) yields. Images are those of the run's version
/// unless `keydb` is given.
pub fn of_run(
    results: &Results,
    keydb: Option<&KeydbSpec>,
    history: &dyn Fn(&str) -> Option<Saved>,
) -> Vec<Reproduced> {
    let version = results.identity.release();
    let of_the_run = ran_on(results);
    let keydb = keydb.or(of_the_run.as_ref());
    let mut found: Vec<Reproduced> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for broken in broken_of(results) {
        let Broken {
            scenario,
            variant,
            check,
        } = &broken;
        let trial = trial_id(scenario, variant);
        let authored = explaining(scenario, variant, check, version);
        let name = match authored {
            Some(reproduction) => reproduction.id.to_owned(),
            None => format!("{trial}-{check}").replace(['/', ':'], "-"),
        };
        if let Some(place) = places.get(&name) {
            found[*place].explains.push(broken);
            continue;
        }
        let folder = match authored {
            Some(reproduction) => reproduction.folder(keydb),
            None => match history(&trial) {
                Some(saved) => derived::folder(&saved, check, &name, keydb),
                None => Err(ReproductionError::NotDerived(
                    "nobody wrote a reproduction, and no history was recorded".to_owned(),
                )),
            },
        };
        places.insert(name.clone(), found.len());
        found.push(Reproduced {
            name,
            derived: authored.is_none(),
            explains: vec![broken],
            folder,
        });
    }
    found
}

/// The KeyDB of a run, as an image can be named for it: none if it was the harness's model.
fn ran_on(results: &Results) -> Option<KeydbSpec> {
    let keydb = &results.identity.keydb;
    match keydb.spec.parse() {
        _ if keydb.model.is_some() => None,
        Ok(spec @ KeydbSpec::Image(_)) => Some(spec),
        _ => Some(KeydbSpec::Version(keydb.version.clone())),
    }
}
