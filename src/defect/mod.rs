//! The defects that upstream's tracker and source tell of, and what became of each here: the table
//! `fixtures/defects.toml`.
//!
//! A row names the checks that look at a defect and the ids under which it is known. What became of it
//! on a release is not written there: it is read from the expectations for that release and from the
//! [record] of the runs.
//!
//! [record]: crate::record

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use crate::model::Quirk;
use crate::record::Record;
use crate::verdict::Check;
use crate::verdict::expectation::{Expectations, Kind};
use crate::verdict::trial_id;

const TABLE: &str = include_str!("../../fixtures/defects.toml");

/// A defect that was reported, or read in the source.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defect {
    /// `D1`, `Q1`, `C1`, `L1`, `I1`, `E1`, `K1`, `U1` and so on.
    pub id: String,
    /// Reports in KeyDB's tracker, such as `#366`.
    #[serde(default)]
    pub upstream: Vec<String>,
    /// What goes wrong, in the harness's words.
    pub says: String,
    /// The checks that would see it.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// Ids of the expectations under which these checks break by it.
    #[serde(default)]
    pub known_as: Vec<String>,
    /// Quirks of the model that turn one of the checks red, where no release here does.
    #[serde(default)]
    pub quirks: Vec<String>,
    /// Why it cannot be decided here.
    pub undecidable: Option<String>,
}

/// What became of a defect on a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It shows: a check is known to break by it.
    Reproduced {
        /// The trials in which it does.
        trials: BTreeSet<String>,
        /// Whether nobody promised otherwise.
        by_design: bool,
    },
    /// It does not show in so many trials, and the checks that say so are seen red by it elsewhere.
    Fixed {
        /// How many trials.
        n: usize,
        /// On which other releases, or with which quirks.
        red_on: Vec<String>,
    },
    /// It does not show in so many trials, and nothing has turned the checks red by it.
    NotReproduced {
        /// How many trials.
        n: usize,
    },
    /// It cannot be decided here, for this reason.
    Undecidable(String),
    /// Nothing looks at it yet, or not on this release.
    NotTried,
}

impl Ending {
    /// In one word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reproduced { .. } => "reproduced",
            Self::Fixed { .. } => "fixed",
            Self::NotReproduced { .. } => "not reproduced",
            Self::Undecidable(_) => "not decidable",
            Self::NotTried => "not tried",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Reproduced { trials, by_design } => {
                let kind = if *by_design {
                    ", a limit by design"
                } else {
                    ""
                };
                let trials: Vec<&str> = trials.iter().map(String::as_str).collect();
                write!(f, "{kind}: {}", trials.join(", "))
            }
            Self::Fixed { n, red_on } => {
                write!(f, ": holds in {n} trials, red on {}", red_on.join(", "))
            }
            // Nothing in n tries: below 3/n with 95 percent.
            Self::NotReproduced { n } => {
                let bound = 300.0 / *n as f64;
                write!(
                    f,
                    " in {n} tries: in less than {:.0} % of them",
                    bound.min(100.0)
                )
            }
            Self::Undecidable(why) => write!(f, " here: {why}"),
            Self::NotTried => Ok(()),
        }
    }
}

/// All defects, in the order of their ids.
///
/// # Errors
/// The table does not parse: it was edited by hand.
pub fn all() -> Result<Vec<Defect>, toml::de::Error> {
    #[derive(Deserialize)]
    struct Table {
        defect: Vec<Defect>,
    }
    Ok(toml::from_str::<Table>(TABLE)?.defect)
}

impl Defect {
    /// What became of it on a release.
    pub fn on(&self, release: &str, expectations: &[Expectations], record: &Record) -> Ending {
        let mut shown: BTreeMap<&str, (BTreeSet<String>, bool)> = BTreeMap::new();
        for of_release in expectations {
            for deviation in &of_release.deviations {
                let looked_at = self.checks.iter().any(|it| it.is_broken_by(deviation));
                if !self.known_as.contains(&deviation.id) || !looked_at {
                    continue;
                }
                let (trials, by_design) = shown
                    .entry(of_release.version.as_str())
                    .or_insert_with(|| (BTreeSet::new(), true));
                *by_design &= deviation.kind == Kind::Limitation;
                match deviation.variants.is_empty() {
                    true => trials.extend([deviation.scenario.clone()]),
                    false => trials.extend(
                        deviation
                            .variants
                            .iter()
                            .map(|variant| trial_id(&deviation.scenario, variant)),
                    ),
                }
            }
        }
        if let Some((trials, by_design)) = shown.remove(release) {
            return Ending::Reproduced { trials, by_design };
        }
        let n = self.tries(release, record);
        let releases = shown.keys().map(|release| (*release).to_owned());
        let quirks = self.quirks.iter().map(|quirk| format!("quirk {quirk}"));
        let red_on: Vec<String> = releases.chain(quirks).collect();
        match (n, red_on.is_empty(), &self.undecidable) {
            (0, _, Some(why)) => Ending::Undecidable(why.clone()),
            (0, _, None) => Ending::NotTried,
            (n, true, _) => Ending::NotReproduced { n },
            (n, false, _) => Ending::Fixed { n, red_on },
        }
    }

    /// How often a trial that makes one of the checks was made on a release.
    fn tries(&self, release: &str, record: &Record) -> usize {
        let Some(release) = record.0.get(release) else {
            return 0;
        };
        let looks = |id: &str| {
            let (scenario, variant) = id.split_once('/').unwrap_or((id, ""));
            self.checks.iter().any(|check| {
                check.scenario == scenario
                    && check.variant.as_deref().is_none_or(|it| it == variant)
            })
        };
        let trials = release.trials.iter().filter(|(id, _)| looks(id));
        trials.map(|(_, tally)| tally.n).sum()
    }

    /// The names in `quirks` that are no quirk.
    pub fn unknown_quirks(&self) -> impl Iterator<Item = &str> {
        let names = self.quirks.iter().map(String::as_str);
        names.filter(|name| name.parse::<Quirk>().is_err())
    }
}

/// How many defects ended how on a release, by [`Ending::name`]; limits by design are a name of their
/// own.
pub fn counts(
    defects: &[Defect],
    release: &str,
    expectations: &[Expectations],
    record: &Record,
) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for defect in defects {
        let ending = defect.on(release, expectations, record);
        let name = match ending {
            Ending::Reproduced {
                by_design: true, ..
            } => LIMIT,
            other => other.name(),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// What [`counts`] calls those that show, and that nobody promised otherwise.
pub const LIMIT: &str = "limit by design";

#[cfg(test)]
mod tests;
