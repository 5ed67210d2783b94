//! The upgrade itself: the reference cluster under mixed traffic, node after node from the old release
//! to the new one on the same data, and back.
//!
//! A plan is a schedule of the faults `become` (see [`crate::schedule`]), which the scenario of mixed
//! traffic follows, so that it is printed, stored with the history, and can be run again. What breaks
//! on the way counts against the upgrade only if a rolling restart without another release does not
//! break it on either of them, and is not known to (by its row in the expectations of either).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::side_by_side::is_silent;
use crate::check::{Event, Planned, run_in_labs};
use crate::fault::Named;
use crate::lab::Lab;
use crate::property::agreement;
use crate::scenario::{self, SCHEDULED};
use crate::schedule::{Act, Schedule, Step, When};
use crate::spec::KeydbSpec;
use crate::verdict::{Finding, Verdict};

/// Operations of each traffic between the steps.
const BETWEEN: usize = 150;
/// How often a plan is run again on which something broke.
pub const REPLAYS: u32 = 5;
/// Of these, how often it breaks again if it is more than chance.
pub const CERTAIN: usize = 3;
/// How often the rolling restart is made on each release.
pub const CONTROLS: u32 = 2;

/// In which order nodes are upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The replicas, then the primaries: what one is told to do.
    ReplicasFirst,
    /// The primaries, then the replicas.
    PrimariesFirst,
    /// The replicas first, and then all back to the old release on the data that the new one wrote.
    AndBack,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::ReplicasFirst => "replicas first",
            Self::PrimariesFirst => "primaries first",
            Self::AndBack => "replicas first, and back",
        })
    }
}

const WAYS: [Way; 3] = [Way::ReplicasFirst, Way::PrimariesFirst, Way::AndBack];
/// What nodes keep on disk: the variants of mixed traffic that restart every node.
const PERSISTENCE: [(&str, &str); 3] = [
    ("none", "rolling-none"),
    ("rdb", "rolling-rdb"),
    ("aof", "rolling-aof"),
];
const REPLICAS: [&str; 2] = ["replica1", "replica2"];
const PRIMARIES: [&str; 2] = ["primary2", "primary1"];

/// One plan, carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rolled {
    /// In which order.
    pub way: Way,
    /// What nodes keep on disk: `none`, `rdb` or `aof`.
    pub persistence: String,
    /// The trial that carries it out, for `check TRIAL --schedule FILE`.
    pub trial: String,
    /// The plan, as [`Schedule`] reads it.
    pub plan: String,
    /// What broke on the way that breaks in no rolling restart.
    pub broken: Vec<Finding>,
    /// In how many of [`REPLAYS`] further runs of the plan each of these broke again.
    pub again: BTreeMap<String, usize>,
    /// What broke, and breaks in a rolling restart on one of the releases, too.
    pub as_in_a_restart: BTreeSet<String>,
    /// Why it says nothing, if it does not: a fault that did not bite, a machine that lacks something.
    pub nothing: Option<String>,
}

impl Rolled {
    /// What breaks again and again, and not in a rolling restart.
    pub fn certain(&self) -> impl Iterator<Item = &Finding> {
        self.broken.iter().filter(|finding| {
            let again = self.again.get(&finding.check);
            again.is_some_and(|times| *times >= CERTAIN)
        })
    }
}

/// What a rolling restart without another release breaks, by release and persistence. A check that was
/// made and held has a 0; one that a run did not come to, as a server crashed before, is not there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Controls {
    /// On the old release: by persistence, the checks, and in how many of [`CONTROLS`] runs.
    pub from: BTreeMap<String, BTreeMap<String, u32>>,
    /// On the new one.
    pub to: BTreeMap<String, BTreeMap<String, u32>>,
    /// Whether what held is told; answers of before tell only what broke.
    #[serde(default)]
    pub tells_what_held: bool,
}

impl Controls {
    /// What every restart on the new release breaks, and was seen to hold on the old one: persistence and
    /// check. Some checks are found only where they break, and answers of before had no 0 at all.
    pub fn news(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.to.iter().flat_map(|(persistence, checks)| {
            checks
                .iter()
                .map(move |(check, broken)| (persistence, check, *broken))
        });
        all.filter(|(persistence, check, broken)| {
            let Some(before) = self.from.get(*persistence) else {
                return false;
            };
            let told = self.tells_what_held;
            let held = match before.get(*check) {
                Some(broken) => *broken == 0,
                // Judged once all is healed: where it was not, a server ended before.
                None => !told || is_silent(check) && before.contains_key(agreement::AT_THE_END),
            };
            *broken == CONTROLS && held
        })
        .map(|(persistence, check, _)| (persistence.as_str(), check.as_str()))
    }
}

/// The plan of a way.
fn plan(way: Way, from: &KeydbSpec, to: &KeydbSpec, seed: u64) -> Schedule {
    let orders: Vec<(&KeydbSpec, Vec<&str>)> = match way {
        Way::ReplicasFirst => vec![(to, [REPLICAS, PRIMARIES].concat())],
        Way::PrimariesFirst => vec![(to, [PRIMARIES, REPLICAS].concat())],
        Way::AndBack => vec![
            (to, [REPLICAS, PRIMARIES].concat()),
            (from, [PRIMARIES, REPLICAS].concat()),
        ],
    };
    let steps = orders.into_iter().flat_map(|(spec, nodes)| {
        nodes.into_iter().flat_map(move |node| {
            let becomes = Named {
                parameter: Some(spec.to_string()),
                ..Named::new("become", Some(node))
            };
            [Act::Inflict(becomes), Act::Recover(None)].map(|act| Step {
                when: When::Operations(BETWEEN),
                act,
            })
        })
    });
    Schedule {
        seed,
        steps: steps.collect(),
    }
}

fn planned(variant: &'static str, round: u32) -> Option<Planned> {
    let scenario = scenario::all().iter().find(|it| it.name == SCHEDULED)?;
    Some(Planned {
        scenario,
        variant,
        round,
    })
}

/// Carries out every plan, and the rolling restarts that they are measured by. Plans on which more
/// breaks than in these are run again.
pub async fn roll(
    from: &Lab,
    to: &Lab,
    jobs: usize,
    on: &(dyn Fn(&Lab, Event<'_>) + Send + Sync),
) -> (Vec<Rolled>, Controls) {
    let controls = controls(from, to, jobs, on).await;
    let mut all = Vec::new();
    for (at, way) in WAYS.into_iter().enumerate() {
        for (number, (persistence, variant)) in PERSISTENCE.into_iter().enumerate() {
            let seed = from
                .seed()
                .wrapping_add((at * PERSISTENCE.len() + number) as u64);
            let schedule = plan(way, from.keydb(), to.keydb(), seed);
            let lab = from.with_schedule(schedule.clone());
            all.push((way, persistence, variant, schedule, lab));
        }
    }
    let queue: Vec<(&Lab, Planned)> = all
        .iter()
        .filter_map(|(_, _, variant, _, lab)| Some((lab, planned(variant, 0)?)))
        .collect();
    let finished = run_in_labs(&queue, jobs, on).await;
    let mut rolled = Vec::new();
    for ((way, persistence, _, schedule, _), finished) in all.iter().zip(finished) {
        let outcome = finished.outcome;
        let sides = [&controls.from, &controls.to];
        let usual: BTreeSet<&String> = sides
            .iter()
            .filter_map(|side| side.get(*persistence))
            .flatten()
            .filter(|(_, broken)| **broken > 0)
            .map(|(check, _)| check)
            .collect();
        let broken = outcome.findings.iter();
        let broken = broken.filter(|finding| finding.verdict == Verdict::Broken);
        let (as_in_a_restart, broken): (Vec<&Finding>, Vec<&Finding>) =
            broken.partition(|finding| usual.contains(&finding.check));
        let silent = match outcome.verdict() {
            Verdict::Inconclusive => {
                let open = outcome.findings.iter();
                let open = open.filter(|finding| finding.verdict == Verdict::Inconclusive);
                let open: Vec<&str> = open.map(|finding| &*finding.evidence).collect();
                Some(open.join("; "))
            }
            _ => None,
        };
        rolled.push(Rolled {
            way: *way,
            persistence: (*persistence).to_owned(),
            trial: outcome.id(),
            plan: schedule.to_string(),
            broken: broken.into_iter().cloned().collect(),
            again: BTreeMap::new(),
            as_in_a_restart: as_in_a_restart
                .into_iter()
                .map(|finding| finding.check.clone())
                .collect(),
            nothing: outcome.environment.or(silent),
        });
    }
    let mut replays = Vec::new();
    for (position, (_, _, variant, _, lab)) in all.iter().enumerate() {
        if !rolled[position].broken.is_empty() {
            for round in 1..=REPLAYS {
                replays.extend(planned(variant, round).map(|it| (position, lab, it)));
            }
        }
    }
    let queue: Vec<(&Lab, Planned)> = replays.iter().map(|(_, lab, it)| (*lab, *it)).collect();
    let finished = run_in_labs(&queue, jobs, on).await;
    for ((position, _, _), finished) in replays.into_iter().zip(finished) {
        let Rolled { broken, again, .. } = &mut rolled[position];
        for known in broken.iter() {
            let times = again.entry(known.check.clone()).or_default();
            let broke =
                finished.outcome.findings.iter().any(|finding| {
                    finding.check == known.check && finding.verdict == Verdict::Broken
                });
            *times += usize::from(broke);
        }
    }
    (rolled, controls)
}

async fn controls(
    from: &Lab,
    to: &Lab,
    jobs: usize,
    on: &(dyn Fn(&Lab, Event<'_>) + Send + Sync),
) -> Controls {
    let mut queue = Vec::new();
    let mut of = Vec::new();
    for round in 0..CONTROLS {
        for (persistence, variant) in PERSISTENCE {
            for (side, lab) in [from, to].into_iter().enumerate() {
                if let Some(planned) = planned(variant, round) {
                    queue.push((lab, planned));
                    of.push((side, persistence));
                }
            }
        }
    }
    let finished = run_in_labs(&queue, jobs, on).await;
    let mut controls = Controls {
        tells_what_held: true,
        ..Controls::default()
    };
    for ((side, persistence), finished) in of.into_iter().zip(finished) {
        let sides = [&mut controls.from, &mut controls.to];
        let broken = sides[side].entry(persistence.to_owned()).or_default();
        for finding in finished.outcome.findings {
            if finding.verdict != Verdict::Inconclusive {
                *broken.entry(finding.check).or_default() +=
                    u32::from(finding.verdict == Verdict::Broken);
            }
        }
    }
    controls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_back_and_ends_where_it_is_to() {
        let [from, to] = ["6.2.2", "6.3.4"].map(|it| KeydbSpec::Version(it.to_owned()));
        for way in WAYS {
            let schedule = plan(way, &from, &to, 7);
            let read: Schedule = schedule.to_string().parse().unwrap();
            assert_eq!(read, schedule);
            let text = schedule.to_string();
            let last = text.lines().rev().nth(1).unwrap();
            let wanted = if way == Way::AndBack { &from } else { &to };
            assert!(last.contains(&wanted.to_string()), "{text}");
            for node in REPLICAS.iter().chain(&PRIMARIES) {
                assert!(text.contains(node), "{text}");
            }
        }
    }

    #[test]
    fn what_only_the_new_release_breaks_every_time_is_news() {
        let side = |checks: &[(&str, u32)]| {
            let checks = checks.iter().map(|(check, n)| ((*check).to_owned(), *n));
            BTreeMap::from([("rdb".to_owned(), checks.collect::<BTreeMap<_, _>>())])
        };
        let news = |from: &[(&str, u32)], tells_what_held| {
            let to = [
                ("agreement", CONTROLS),
                ("reads", 1),
                ("quiet", CONTROLS),
                ("log:x", CONTROLS),
            ];
            let controls = Controls {
                from: side(from),
                to: side(&to),
                tells_what_held,
            };
            let news = controls.news().map(|(_, check)| check.to_owned());
            news.collect::<Vec<_>>()
        };
        let whole = [("agreement", 1), ("quiet", 0)];
        assert_eq!(news(&whole, true), ["log:x", "quiet"]);
        // A crash kept the old one from coming to what it would have held, or not.
        assert_eq!(news(&[("alive", CONTROLS), ("quiet", 0)], true), ["quiet"]);
        assert_eq!(news(&[("alive", CONTROLS)], true), [""; 0]);
        // As answers of before have it.
        assert_eq!(news(&[("agreement", 1)], false), ["log:x", "quiet"]);
    }

    #[test]
    fn the_variants_are_there() {
        let scenario = scenario::all().iter().find(|it| it.name == SCHEDULED);
        for (_, variant) in PERSISTENCE {
            assert!(scenario.unwrap().long.contains(&variant));
        }
    }
}
