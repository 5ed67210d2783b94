//! The catalogue on both releases, trial by trial side by side: what breaks on the one and not on the
//! other.
//!
//! Every trial runs on both at about the same time, so that a slow machine hits both. What comes out
//! differently is run again on both, until chance is unlikely: the error of the whole report is
//! [`FAMILY_WISE`], shared among all checks that were made. What the runs that the harness ships tell
//! of a release counts as well.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::compare::FAMILY_WISE;
use super::fisher::{Tally, chance};
use crate::check::{Event, Finished, Planned, available, run_in_labs};
use crate::lab::Lab;
use crate::model::Class;
use crate::promise::{self, Strength};
use crate::record::Record;
use crate::scenario;
use crate::settings::Expect;
use crate::verdict::expectation::{Expectations, Kind, was_made};
use crate::verdict::{Check, Outcome, Verdict};

/// How often what came out differently is run again on both: the least that tells always from never
/// among a thousand checks.
const AGAIN: u32 = 11;
/// So often a check was made on a side once it was run again.
pub const ENOUGH: usize = 1 + AGAIN as usize;
/// From so many shipped runs on a release is known.
const KNOWN: usize = 5;

/// Which way a check changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It breaks on the new release, or more often there.
    Worse,
    /// It came out differently, and that may be chance.
    Undecided,
    /// It no longer breaks, or less often.
    Better,
}

/// How much is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// A guarantee.
    Guarantee,
    /// Something that the documents only hint at, or contradict each other about.
    Hint,
    /// A limit by design.
    Limitation,
}

/// A check that does not come out alike on both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// `scenario`, or `scenario/variant`.
    pub trial: String,
    /// The check's name.
    pub check: String,
    /// What it is about, as a sentence.
    pub promise: String,
    /// How often it broke on the old release: in this run, and in the shipped runs.
    pub from: [Tally; 2],
    /// The same of the new one.
    pub to: [Tally; 2],
    /// The chance of that if both are equal.
    pub chance: f64,
    /// Which way.
    pub direction: Direction,
    /// How much was promised.
    pub weight: Weight,
    /// The known defect by which it breaks, where it is known.
    pub id: Option<String>,
    /// What was seen, in one sentence: where it broke.
    pub evidence: String,
    /// Whether the team's own expectations accept it on the new release.
    pub accepted: bool,
}

/// What the catalogue says of two releases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SideBySide {
    /// Trials that ran on both.
    pub trials: usize,
    /// Checks that were made on both.
    pub checks: usize,
    /// Checks that came out alike, and broken.
    pub broken_on_both: usize,
    /// What did not come out alike: worse first.
    pub changes: Vec<Change>,
    /// Trials that only one of them can make, or that the machine kept from being made, and why.
    pub left_out: BTreeMap<String, String>,
}

/// The two releases, and what is known of them.
#[derive(Debug)]
pub struct Sides<'a> {
    /// The old release.
    pub from: &'a Lab,
    /// The new one.
    pub to: &'a Lab,
    /// What the team accepts on the new one.
    pub accepted: Option<&'a Expectations>,
}

/// One check of one trial.
#[derive(Debug, Default)]
struct Seen {
    promise: String,
    evidence: [String; 2],
    tallies: [Tally; 2],
}

type Checks = BTreeMap<(String, String), Seen>;

impl Sides<'_> {
    /// Runs the trials on both, and again what came out differently.
    ///
    /// # Errors
    /// The harness's own tables cannot be read.
    pub async fn compare(
        &self,
        planned: Vec<Planned>,
        jobs: usize,
        on: &(dyn Fn(&Lab, Event<'_>) + Send + Sync),
    ) -> Result<SideBySide> {
        let known = Known::of(self)?;
        let mut result = SideBySide::default();
        let (planned, cannot_from) = available(self.from, planned).await;
        let (planned, cannot_to) = available(self.to, planned).await;
        for (which, cannot) in [("old", cannot_from), ("new", cannot_to)] {
            for (planned, why) in cannot {
                let why = format!("not on the {which} release: {why}");
                result.left_out.insert(planned.id(), why);
            }
        }
        result.trials = planned.len();
        let mut checks = Checks::new();
        self.round(&planned, jobs, on, &mut checks, &mut result.left_out)
            .await;
        let level = FAMILY_WISE / checks.len().max(1) as f64;
        let unsure: Vec<Planned> = planned
            .iter()
            .filter(|planned| {
                let id = planned.id();
                checks.iter().any(|((trial, check), seen)| {
                    let direction = known.direction(trial, check, seen, level);
                    *trial == id && direction == Some(Direction::Undecided)
                })
            })
            .copied()
            .collect();
        let again: Vec<Planned> = unsure
            .into_iter()
            .flat_map(|planned| (1..=AGAIN).map(move |round| Planned { round, ..planned }))
            .collect();
        self.round(&again, jobs, on, &mut checks, &mut result.left_out)
            .await;

        for ((trial, check), seen) in checks {
            if seen.tallies.iter().all(|tally| tally.n > 0) {
                result.checks += 1;
            }
            match known.direction(&trial, &check, &seen, level) {
                Some(direction) => {
                    let change = known.change(trial, check, seen, direction);
                    result.changes.push(change);
                }
                None if seen.tallies.iter().all(|tally| tally.broken > 0) => {
                    result.broken_on_both += 1;
                }
                None => {}
            }
        }
        result
            .changes
            .sort_by_key(|it| (it.accepted, it.direction, it.weight));
        Ok(result)
    }

    /// Each trial on both, the one begun right after the other, in turns the old release first.
    async fn round(
        &self,
        planned: &[Planned],
        jobs: usize,
        on: &(dyn Fn(&Lab, Event<'_>) + Send + Sync),
        checks: &mut Checks,
        left_out: &mut BTreeMap<String, String>,
    ) {
        let sides = [self.from, self.to];
        let mut order = Vec::new();
        let mut queue = Vec::new();
        for (position, planned) in planned.iter().enumerate() {
            for turn in 0..2 {
                let side = (position + turn) % 2;
                order.push(side);
                queue.push((sides[side], *planned));
            }
        }
        let finished = run_in_labs(&queue, jobs, on).await;
        for (side, Finished { outcome, .. }) in order.into_iter().zip(finished) {
            if let Some(why) = &outcome.environment {
                left_out.insert(outcome.id(), why.clone());
            }
            note(checks, side, &outcome);
        }
        fill(checks);
    }
}

/// Takes note of what a trial found on one side.
fn note(checks: &mut Checks, side: usize, outcome: &Outcome) {
    let id = outcome.id();
    for finding in &outcome.findings {
        let key = (id.clone(), finding.check.clone());
        let seen = checks.entry(key).or_default();
        if finding.verdict == Verdict::Inconclusive {
            continue;
        }
        seen.promise.clone_from(&finding.promise);
        let broken = finding.verdict == Verdict::Broken;
        if broken {
            seen.evidence[side].clone_from(&finding.evidence);
        }
        seen.tallies[side].add(broken);
    }
    // What is only found where it is broken was made wherever the rest was.
    for ((trial, check), seen) in checks.iter_mut() {
        let found = outcome.findings.iter().any(|it| it.check == *check);
        let silent = is_silent(check);
        if *trial == id && silent && !found && is_whole(outcome, check) {
            seen.tallies[side].add(false);
        }
    }
}

/// Whether a check is found only where it is broken.
pub(super) fn is_silent(check: &str) -> bool {
    matches!(check, "starts" | "completes") || check.starts_with("log:")
}

fn is_whole(outcome: &Outcome, check: &str) -> bool {
    match check {
        "starts" | "completes" => !outcome.findings.is_empty(),
        check => was_made(outcome, check),
    }
}

/// What only one side found, as it is only found where it is broken: the other was made as often as
/// its trial, and was not broken.
fn fill(checks: &mut Checks) {
    let made: BTreeMap<String, [usize; 2]> =
        checks
            .iter()
            .fold(BTreeMap::new(), |mut made, ((trial, _), seen)| {
                let most = made.entry(trial.clone()).or_insert([0, 0]);
                for (most, tally) in most.iter_mut().zip(seen.tallies) {
                    *most = (*most).max(tally.n);
                }
                made
            });
    for ((trial, check), seen) in checks.iter_mut() {
        let silent = is_silent(check);
        for (tally, most) in seen.tallies.iter_mut().zip(made[trial]) {
            if silent && tally.n < most {
                tally.n = most;
            }
        }
    }
}

/// What is known beforehand: shipped runs and expectations of both releases, and the promises.
struct Known<'a> {
    record: Record,
    versions: [String; 2],
    expectations: [Option<Expectations>; 2],
    accepted: Option<&'a Expectations>,
    promises: Vec<promise::Promise>,
}

impl<'a> Known<'a> {
    fn of(sides: &Sides<'a>) -> Result<Self> {
        let versions = [sides.from, sides.to].map(|lab| lab.identity().release().to_owned());
        let [from, to] = &versions;
        Ok(Self {
            record: Record::shipped()?,
            expectations: [
                Expectations::load(&Expect::Shipped, from)?,
                Expectations::load(&Expect::Shipped, to)?,
            ],
            accepted: sides.accepted,
            promises: promise::all()?,
            versions,
        })
    }

    /// What the shipped runs tell of a check on one side.
    fn shipped(&self, side: usize, trial: &str, check: &str) -> Tally {
        let release = self.record.0.get(&self.versions[side]);
        let Some(tally) = release.and_then(|release| release.trials.get(trial)) else {
            return Tally::default();
        };
        Tally {
            n: tally.n,
            broken: tally.broken.get(check).map_or(0, |broken| broken.n),
        }
    }

    fn direction(&self, trial: &str, check: &str, seen: &Seen, level: f64) -> Option<Direction> {
        let [from, to] = seen.tallies;
        if from.n == 0 || to.n == 0 {
            return None;
        }
        let shipped = [0, 1].map(|side| self.shipped(side, trial, check));
        direction(seen.tallies, shipped, level)
    }

    fn change(&self, trial: String, check: String, seen: Seen, direction: Direction) -> Change {
        let shipped = [0, 1].map(|side| self.shipped(side, &trial, &check));
        let [from, to] = [0, 1].map(|side| [seen.tallies[side], shipped[side]]);
        // Where it breaks: what is worse breaks on the new release.
        let side = usize::from(direction != Direction::Better);
        let [old, new] = seen.evidence;
        let evidence = match direction {
            Direction::Better => old,
            _ if new.is_empty() => old,
            _ => new,
        };
        let (scenario, variant) = trial.split_once('/').unwrap_or((&trial, ""));
        let of_it = |expectations: &Expectations| {
            let mut all = expectations.deviations.iter();
            all.find(|it| it.check == check && it.is_about(scenario, variant))
                .cloned()
        };
        let deviation = self.expectations[side].as_ref().and_then(of_it);
        let accepted = self.accepted.and_then(of_it).is_some();
        let weight = match &deviation {
            Some(deviation) if deviation.kind == Kind::Limitation => Weight::Limitation,
            _ => self.weight(scenario, variant, &check),
        };
        Change {
            promise: seen.promise,
            chance: chance(from[0].and(from[1]), to[0].and(to[1])),
            from,
            to,
            direction,
            weight,
            id: deviation.map(|deviation| deviation.id),
            evidence,
            accepted: accepted && direction == Direction::Worse,
            trial,
            check,
        }
    }

    /// A guarantee, unless all that is promised of the check is a hint, or it is about what a server
    /// shows of itself and no document promises that: no data are wrong.
    fn weight(&self, scenario: &str, variant: &str, check: &str) -> Weight {
        let it = Check {
            scenario: scenario.to_owned(),
            variant: (!variant.is_empty()).then(|| variant.to_owned()),
            check: check.to_owned(),
        };
        let about: Vec<Strength> = self
            .promises
            .iter()
            .filter(|promise| promise.looked_at_by().iter().any(|of| of.includes(&it)))
            .map(|promise| promise.strength)
            .collect();
        match () {
            () if about.contains(&Strength::Guarantee) => Weight::Guarantee,
            () if !about.is_empty() || shows_only(scenario, check) => Weight::Hint,
            () => Weight::Guarantee,
        }
    }
}

/// Whether a check is about nothing but what INFO or CONFIG show.
fn shows_only(scenario: &str, check: &str) -> bool {
    let counts = ["expires", "expires-on-"];
    let counts = check == counts[0] || check.starts_with(counts[1]) || check.ends_with("-expires");
    let mut all = scenario::all().iter();
    counts || all.any(|it| it.name == scenario && it.damage == [Class::WrongInfo])
}

/// Which way a check changed, from what this run saw of both sides and what is known of them; none if
/// it did not.
fn direction(seen: [Tally; 2], shipped: [Tally; 2], level: f64) -> Option<Direction> {
    let [from, to] = [0, 1].map(|side| seen[side].and(shipped[side]));
    let towards = |old: f64, new: f64| match new > old {
        true => Direction::Worse,
        false => Direction::Better,
    };
    if chance(from, to) <= level {
        return Some(towards(from.part(), to.part()));
    }
    let flipped = (seen[0].broken == 0) != (seen[1].broken == 0);
    let known = shipped.iter().all(|tally| tally.n >= KNOWN);
    if known {
        // Never on the one and mostly on the other, and this run agrees.
        let [old, new] = shipped.map(Tally::part);
        let apart = (old == 0.0 && new >= 0.5) || (new == 0.0 && old >= 0.5);
        let agrees = towards(old, new) == towards(seen[0].part(), seen[1].part());
        if apart && flipped && agrees {
            return Some(towards(old, new));
        }
        // Known to break by chance on both: that it did on one alone says nothing.
        if shipped.iter().all(|tally| tally.broken > 0) {
            return None;
        }
    }
    flipped.then_some(Direction::Undecided)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const LEVEL: f64 = FAMILY_WISE / 700.0;

    fn tally((broken, n): (usize, usize)) -> Tally {
        Tally { n, broken }
    }

    #[rstest]
    #[case::alike([(0, 1), (0, 1)], [(0, 0), (0, 0)], None)]
    #[case::broken_on_both([(1, 1), (1, 1)], [(0, 0), (0, 0)], None)]
    #[case::once_is_chance([(0, 1), (1, 1)], [(0, 0), (0, 0)], Some(Direction::Undecided))]
    #[case::always([(0, 12), (12, 12)], [(0, 0), (0, 0)], Some(Direction::Worse))]
    #[case::never_again([(12, 12), (0, 12)], [(0, 0), (0, 0)], Some(Direction::Better))]
    #[case::known([(0, 1), (1, 1)], [(0, 6), (6, 6)], Some(Direction::Worse))]
    #[case::known_better([(1, 1), (0, 1)], [(6, 6), (0, 6)], Some(Direction::Better))]
    #[case::known_the_other_way([(1, 1), (0, 1)], [(0, 6), (6, 6)], Some(Direction::Undecided))]
    #[case::by_chance_on_both([(0, 1), (1, 1)], [(2, 6), (1, 6)], None)]
    #[case::not_known_there([(0, 1), (1, 1)], [(0, 6), (0, 6)], Some(Direction::Undecided))]
    #[case::too_few_are_known([(0, 1), (1, 1)], [(0, 2), (2, 2)], Some(Direction::Undecided))]
    fn what_counts_as_a_change(
        #[case] seen: [(usize, usize); 2],
        #[case] shipped: [(usize, usize); 2],
        #[case] wanted: Option<Direction>,
    ) {
        assert_eq!(
            direction(seen.map(tally), shipped.map(tally), LEVEL),
            wanted
        );
    }

    #[rstest]
    #[case("info-well-formed", "multi-master-shown", true)]
    #[case("primary-returns", "expires", true)]
    #[case("mixed-resync", "expires-on-replica1", true)]
    #[case("primary-returns", "agreement", false)]
    #[case("mixed-traffic", "expiries", false)]
    #[case("upstream-pair", "expires-everywhere", false)]
    fn what_a_server_shows_is_no_data(
        #[case] scenario: &str,
        #[case] check: &str,
        #[case] wanted: bool,
    ) {
        assert_eq!(shows_only(scenario, check), wanted);
    }

    #[test]
    fn what_is_run_again_tells_always_from_never() {
        let apart = chance(tally((0, ENOUGH)), tally((ENOUGH, ENOUGH)));
        assert!(apart <= FAMILY_WISE / 1000.0, "{apart}");
    }

    #[test]
    fn what_is_only_found_where_it_is_broken_was_made_on_the_other_side_too() {
        use crate::verdict::Finding;
        let outcome = |checks: &[(&str, Verdict)]| Outcome {
            scenario: "s".to_owned(),
            variant: String::new(),
            findings: checks
                .iter()
                .map(|(check, verdict)| Finding {
                    check: (*check).to_owned(),
                    promise: String::new(),
                    verdict: *verdict,
                    evidence: "e".to_owned(),
                    state: String::new(),
                })
                .collect(),
            measures: Vec::new(),
            headline: String::new(),
            seconds: 0.0,
            tries: 1,
            served_before: 0,
            environment: None,
        };
        let mut checks = Checks::new();
        let held = [("a", Verdict::Holds), ("logs", Verdict::Holds)];
        let broken = [("a", Verdict::Holds), ("log:x", Verdict::Broken)];
        for round in 0..2 {
            note(&mut checks, 0, &outcome(&held));
            note(
                &mut checks,
                1,
                &outcome(if round == 0 { &held } else { &broken }),
            );
            fill(&mut checks);
        }
        let seen = &checks[&("s".to_owned(), "log:x".to_owned())];
        assert_eq!(seen.tallies, [tally((0, 2)), tally((1, 2))]);
    }
}
