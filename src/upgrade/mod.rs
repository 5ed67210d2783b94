//! 'May we move from this release to that one?': one question, answered from several sides.
//!
//! [`side_by_side`] runs the catalogue on both; [`mod@measure`] and [`compare`] tell whether the new
//! release is slower; [`rolling`] carries out the upgrade and the way back under traffic;
//! [`data_files`] carries files over; [`configuration`] tries the team's own. What they found becomes one [`Ruling`] in [`ruling`].

pub mod compare;
pub mod configuration;
pub mod data_files;
pub mod fisher;
pub mod measure;
pub mod rolling;
pub mod ruling;
pub mod side_by_side;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use self::compare::{Comparison, Pairs};
use self::configuration::Configuration;
use self::data_files::Carried;
use self::measure::{Figures, MEASUREMENTS, round};
use self::rolling::{Controls, Rolled};
use self::ruling::{Reason, Ruling};
use self::side_by_side::SideBySide;
use crate::lab::{Identity, Lab};
use crate::settings::Expect;
use crate::verdict::Finding;
use crate::verdict::expectation::Expectations;

/// The version of `upgrade.json`; it grows when a reader of the older one could be misled.
pub const FORMAT: u32 = 1;

/// A side of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The configuration on both.
    Configuration,
    /// Files of the one release, loaded by the other, and back.
    DataFiles,
    /// The catalogue on both releases.
    SideBySide,
    /// The upgrade itself, under traffic, and back.
    Rolling,
    /// Latency, throughput, memory and fail-over of both.
    Measure,
}

impl Part {
    /// All of them, in the order in which they are looked at: what takes seconds first.
    pub const ALL: [Self; 5] = [
        Self::Configuration,
        Self::DataFiles,
        Self::SideBySide,
        Self::Rolling,
        Self::Measure,
    ];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Configuration => "configuration",
            Self::DataFiles => "data-files",
            Self::SideBySide => "side-by-side",
            Self::Rolling => "rolling",
            Self::Measure => "measure",
        })
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|part| part.to_string() == text);
        found.ok_or_else(|| {
            let all = Self::ALL.map(|part| part.to_string());
            format!("there are {}", all.join(", "))
        })
    }
}

/// What was measured of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What.
    pub name: String,
    /// In which unit.
    pub unit: String,
    /// Whether more of it is worse.
    pub more_is_worse: bool,
    /// The old release's figure and the new one's, by rounds.
    pub rounds: Vec<(f64, f64)>,
    /// How they compare.
    pub comparison: Comparison,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The harness's own version.
    pub harness: String,
    /// When it ended, RFC 3339.
    pub date: String,
    /// The old release, by the servers' own words.
    pub from: Identity,
    /// The new one.
    pub to: Identity,
    /// The seed.
    pub seed: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// What follows.
    pub ruling: Ruling,
    /// From what it follows: what weighs most first.
    pub reasons: Vec<Reason>,
    /// The catalogue on both.
    pub side_by_side: Option<SideBySide>,
    /// What was measured on both.
    #[serde(default)]
    pub measured: Vec<Measured>,
    /// Sides that were not to be looked at: the ruling says nothing of them.
    #[serde(default)]
    pub skipped: BTreeSet<Part>,
    /// Sides that could not be looked at, and why.
    #[serde(default)]
    pub failed: BTreeMap<Part, String>,
    /// The upgrade itself.
    #[serde(default)]
    pub rolled: Vec<Rolled>,
    /// What restarts break without an upgrade.
    pub controls: Option<Controls>,
    /// Files of the one release, loaded by the other.
    #[serde(default)]
    pub carried: Vec<Carried>,
    /// The team's configuration.
    pub configuration: Option<Configuration>,
}

impl Answer {
    /// What broke on a way, and is not known to break in rolling restarts of one of the two releases: two
    /// controls each tell little of a race.
    pub fn broken_on<'a>(&'a self, rolled: &'a Rolled) -> impl Iterator<Item = &'a Finding> {
        let known: Vec<Expectations> = [&self.from, &self.to]
            .into_iter()
            .filter_map(|it| {
                Expectations::load(&Expect::Shipped, it.release())
                    .ok()
                    .flatten()
            })
            .collect();
        let (scenario, variant) = rolled.trial.split_once('/').unwrap_or((&rolled.trial, ""));
        rolled.broken.iter().filter(move |finding| {
            let mut deviations = known.iter().flat_map(|it| &it.deviations);
            !deviations.any(|it| it.check == finding.check && it.is_about(scenario, variant))
        })
    }

    /// Notes that a side could not be looked at: the rest of the answer stands.
    pub fn could_not(&mut self, part: Part, error: &anyhow::Error) {
        self.failed.insert(part, format!("{error:#}"));
    }
}

/// Measures both releases in so many rounds, in turns the old one first; with `late`, the new one's
/// primaries tell each other everything so much later: the proof that it would show.
///
/// # Errors
/// A cluster does not start, or does not come to what is measured.
pub async fn measure(
    from: &Lab,
    to: &Lab,
    rounds: usize,
    late: Option<Duration>,
    on: &(dyn Fn(usize) + Send + Sync),
) -> Result<Vec<Measured>> {
    let mut figures: Vec<[Figures; 2]> = Vec::new();
    for number in 0..rounds {
        on(number);
        let mut of: [Option<Figures>; 2] = [None, None];
        for turn in 0..2 {
            let side = (number + turn) % 2;
            let taken = match side {
                0 => round(from, None).await,
                _ => round(to, late).await,
            };
            of[side] = Some(taken?);
        }
        if let [Some(old), Some(new)] = of {
            figures.push([old, new]);
        }
    }
    let seed = from.seed();
    let measured = MEASUREMENTS.iter().enumerate().map(|(at, measurement)| {
        let rounds: Vec<(f64, f64)> = figures
            .iter()
            .map(|[old, new]| (old.0[at], new.0[at]))
            .collect();
        let pairs = Pairs {
            rounds: &rounds,
            matters: measurement.matters,
            noticed: measurement.noticed,
        };
        Measured {
            name: measurement.name.to_owned(),
            unit: measurement.unit.to_owned(),
            more_is_worse: measurement.more_is_worse,
            comparison: pairs.compare(MEASUREMENTS.len(), seed.wrapping_add(at as u64)),
            rounds,
        }
    });
    Ok(measured.collect())
}
