//! What follows from all that was found, by rule.

use serde::{Deserialize, Serialize};

use super::Answer;
use super::compare::Difference;
use super::configuration;
use super::data_files::{BACK, THERE};
use super::rolling::{CONTROLS, Controls};
use super::side_by_side::{Change, Direction, ENOUGH, Weight};
use crate::explanation;
use crate::verdict::exit;

/// Checks by which a reason shows a defect; the rest is counted.
const TOLD: usize = 2;
/// Below this chance a difference that is not proven counts as open.
const UNLIKELY: f64 = 0.05;

/// May one move?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// A guarantee is broken that the old release kept, or the upgrade itself breaks something, or the
    /// configuration no longer starts.
    Unsafe,
    /// Something was not exercised, or may be chance.
    Inconclusive,
    /// A limit, a hint, a default or a measurement changed.
    SafeWithChanges,
    /// Nothing is worse.
    Safe,
}

impl std::fmt::Display for Ruling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Unsafe => "unsafe",
            Self::Inconclusive => "inconclusive",
            Self::SafeWithChanges => "safe with changes",
            Self::Safe => "safe",
        })
    }
}

/// One thing that something follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What it alone would make of the answer.
    pub ruling: Ruling,
    /// What it is, in one sentence.
    pub says: String,
    /// The known defect that it is, where it is known: `explain` tells what to do about it.
    pub id: Option<String>,
    /// What to do about it, where that is known here.
    pub mend: Option<String>,
}

impl Ruling {
    /// The exit code: 0 for what is safe, also with changes, unless `strict`.
    pub fn exit_code(self, strict: bool) -> u8 {
        match self {
            Self::Unsafe => exit::BROKEN,
            Self::SafeWithChanges if strict => exit::BROKEN,
            Self::Inconclusive => exit::INCONCLUSIVE,
            Self::Safe | Self::SafeWithChanges => exit::AS_EXPECTED,
        }
    }
}

/// Everything that speaks against moving, what weighs most first, and what follows.
pub fn rule(answer: &Answer) -> (Ruling, Vec<Reason>) {
    let mut reasons = Vec::new();
    reasons.extend(of_the_catalogue(answer));
    reasons.extend(of_the_way(answer));
    reasons.extend(of_the_files(answer));
    reasons.extend(of_the_configuration(answer));
    reasons.extend(of_measurements(answer));
    reasons.extend(answer.failed.iter().map(|(part, why)| Reason {
        ruling: Ruling::Inconclusive,
        says: format!("{part} could not be looked at: {why}"),
        id: None,
        mend: None,
    }));
    let explanations = explanation::all().unwrap_or_default();
    for reason in reasons.iter_mut().filter(|reason| reason.mend.is_none()) {
        let known = explanations
            .iter()
            .find(|it| Some(&it.id) == reason.id.as_ref());
        reason.mend = known.map(|it| it.advice.join("; "));
    }
    reasons.sort_by_key(|reason| reason.ruling);
    let ruling = reasons.first().map_or(Ruling::Safe, |reason| reason.ruling);
    (ruling, reasons)
}

fn of_the_catalogue(answer: &Answer) -> Vec<Reason> {
    let Some(side_by_side) = &answer.side_by_side else {
        return Vec::new();
    };
    let changes = side_by_side.changes.iter().filter(|it| !it.accepted);
    let mut grouped: Vec<(Ruling, Option<&String>, Vec<String>)> = Vec::new();
    for change in changes {
        let ruling = match (change.direction, change.weight) {
            (Direction::Worse, Weight::Guarantee) => Ruling::Unsafe,
            (Direction::Worse, _) => Ruling::SafeWithChanges,
            // What broke on the old one alone does not speak against the new one.
            (Direction::Undecided, Weight::Guarantee)
                if change.to[0].broken > 0 && is_suspicious(change) =>
            {
                Ruling::Inconclusive
            }
            _ => continue,
        };
        let [from, to] = [change.from, change.to].map(|[here, shipped]| here.and(shipped));
        let says = format!(
            "{}: {} breaks in {to} known runs, and in {from} on the old release",
            change.trial, change.check
        );
        let id = change.id.as_ref();
        // One defect is one reason, in however many trials it shows.
        let known = grouped
            .iter_mut()
            .find(|(other, of, _)| *other == ruling && id.is_some() && *of == id);
        match known {
            Some((.., all)) => all.push(says),
            None => grouped.push((ruling, id, vec![says])),
        }
    }
    let told = |says: Vec<String>| match says.len() {
        n if n > TOLD => format!("{}; and {} more checks", says[..TOLD].join("; "), n - TOLD),
        _ => says.join("; "),
    };
    let mut reasons: Vec<Reason> = grouped
        .into_iter()
        .map(|(ruling, id, says)| Reason {
            ruling,
            says: told(says),
            id: id.cloned(),
            mend: None,
        })
        .collect();
    let ran = side_by_side.trials > 0 && side_by_side.checks > 0;
    if !ran {
        reasons.push(Reason {
            ruling: Ruling::Inconclusive,
            says: "no trial ran on both releases".to_owned(),
            id: None,
            mend: None,
        });
    }
    reasons
}

/// Whether what may be chance is unlikely enough to be looked into, or was not made often enough to
/// tell: else a race that both releases have would keep every answer open.
fn is_suspicious(change: &Change) -> bool {
    let sides = [change.from, change.to].map(|[here, shipped]| here.and(shipped));
    change.chance < UNLIKELY || sides.iter().any(|tally| tally.n < ENOUGH)
}

fn of_the_way(answer: &Answer) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (persistence, check) in answer.controls.iter().flat_map(Controls::news) {
        reasons.push(Reason {
            ruling: Ruling::Inconclusive,
            says: format!(
                "{check} breaks in every rolling restart on the new release ({persistence}), and was \
                 not seen to on the old one: {CONTROLS} runs each"
            ),
            id: None,
            mend: Some("run `check mixed-traffic/rolling --long --repeat 10` on both".to_owned()),
        });
    }
    for rolled in &answer.rolled {
        let way = format!("{} ({})", rolled.way, rolled.persistence);
        for finding in answer.broken_on(rolled) {
            let again = rolled.again.get(&finding.check).copied().unwrap_or(0);
            let certain = rolled.certain().any(|it| it.check == finding.check);
            reasons.push(Reason {
                ruling: match certain {
                    true => Ruling::Unsafe,
                    false => Ruling::Inconclusive,
                },
                says: format!(
                    "rolling upgrade, {way}: {} ({}); the same plan broke it again in {again} of {} \
                     runs",
                    finding.check,
                    finding.evidence,
                    super::rolling::REPLAYS
                ),
                id: None,
                mend: Some(format!(
                    "run the plan again: `check {} --schedule FILE`",
                    rolled.trial
                )),
            });
        }
        if let Some(why) = &rolled.nothing {
            reasons.push(Reason {
                ruling: Ruling::Inconclusive,
                says: format!("rolling upgrade, {way}: it says nothing: {why}"),
                id: None,
                mend: None,
            });
        }
    }
    reasons
}

fn of_the_files(answer: &Answer) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for carried in &answer.carried {
        let mut add = |ruling, way, mend: &str| {
            reasons.extend(carried.broken(way).map(|finding| Reason {
                ruling,
                says: format!(
                    "data files ({}): {}: {}",
                    carried.files, finding.check, finding.evidence
                ),
                id: None,
                mend: Some(mend.to_owned()),
            }));
        };
        add(
            Ruling::Unsafe,
            THERE,
            "let nodes come up empty and resync from the others",
        );
        // There is no way back, which one can prepare for.
        add(
            Ruling::SafeWithChanges,
            BACK,
            "keep a copy of the files from before the upgrade: there is no way back on the new ones",
        );
    }
    reasons
}

fn of_the_configuration(answer: &Answer) -> Vec<Reason> {
    let Some(configuration) = &answer.configuration else {
        return Vec::new();
    };
    let refused = configuration.refused.iter().map(|refusal| Reason {
        ruling: Ruling::Unsafe,
        says: match &*refusal.line {
            "" => format!("the new release does not start with it: {}", refusal.said),
            line => format!(
                "the configuration no longer starts: '{line}' is refused ({})",
                refusal.said
            ),
        },
        id: None,
        mend: Some("take the line out, or replace it, before the upgrade".to_owned()),
    });
    let setting = |what: &str, it: &configuration::Setting| {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        Reason {
            ruling: Ruling::SafeWithChanges,
            says: format!(
                "{what}: {} is {} on the old release and {} on the new one",
                it.option,
                shown(&it.from),
                shown(&it.to)
            ),
            id: None,
            mend: None,
        }
    };
    let ineffective = configuration.ineffective.iter().map(|it| Reason {
        mend: Some(format!("see what became of {}", it.option)),
        ..setting("a line of the file no longer has its effect", it)
    });
    let defaults = configuration.defaults.iter().map(|it| Reason {
        mend: Some(format!(
            "write `{} {}` to keep what is now",
            it.option,
            it.from.clone().unwrap_or_default()
        )),
        ..setting("a default changed", it)
    });
    let rewritten = configuration.rewritten.iter().map(|it| Reason {
        ruling: Ruling::SafeWithChanges,
        says: format!(
            "CONFIG REWRITE and a restart change {} from {} to {}",
            it.option,
            it.from.clone().unwrap_or_default(),
            it.to.clone().unwrap_or_default()
        ),
        id: None,
        mend: Some("look at the file after CONFIG REWRITE".to_owned()),
    });
    refused
        .chain(ineffective)
        .chain(rewritten)
        .chain(defaults)
        .collect()
}

fn of_measurements(answer: &Answer) -> Vec<Reason> {
    let worse = answer.measured.iter().filter_map(|measured| {
        let comparison = &measured.comparison;
        let ruling = match (comparison.difference, measured.more_is_worse) {
            (Difference::Greater, true) | (Difference::Smaller, false) => Ruling::SafeWithChanges,
            _ => return None,
        };
        Some(Reason {
            ruling,
            says: format!(
                "{}: {:.2} times what it was ({:.2} to {:.2})",
                measured.name, comparison.ratio, comparison.interval.0, comparison.interval.1
            ),
            id: None,
            mend: Some("see whether time-outs and capacity allow for it".to_owned()),
        })
    });
    let unknown = answer.measured.iter();
    let unknown = unknown.filter(|it| it.comparison.difference == Difference::Unknown);
    let few = unknown
        .map(|it| it.rounds.len())
        .max()
        .map(|rounds| Reason {
            ruling: Ruling::Inconclusive,
            says: format!("{rounds} rounds of measurements are too few to tell any difference"),
            id: None,
            mend: Some("leave out --rounds, or ask for 11 and more".to_owned()),
        });
    worse.chain(few).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upgrade::Part;
    use crate::upgrade::fisher::Tally;
    use crate::upgrade::rolling::{Rolled, Way};
    use rstest::rstest;

    #[rstest]
    #[case::a_race_on_both([0, 13], [2, 20], 0.35, false)]
    #[case::unlikely([0, 13], [5, 12], 0.01, true)]
    #[case::not_made_again([0, 1], [1, 1], 1.0, true)]
    fn what_may_be_chance(
        #[case] from: [usize; 2],
        #[case] to: [usize; 2],
        #[case] chance: f64,
        #[case] wanted: bool,
    ) {
        let tally = |[broken, n]: [usize; 2]| [Tally { n, broken }, Tally::default()];
        let change = Change {
            trial: "t".to_owned(),
            check: "c".to_owned(),
            promise: "p".to_owned(),
            from: tally(from),
            to: tally(to),
            chance,
            direction: Direction::Undecided,
            weight: Weight::Guarantee,
            id: None,
            evidence: "e".to_owned(),
            accepted: false,
        };
        assert_eq!(is_suspicious(&change), wanted);
    }

    /// The answers kept in a folder of `fixtures/upgrades`: each was seen on real KeyDB, and the rules of
    /// this version come to the same of it.
    fn kept(folder: &str) -> Vec<Answer> {
        let upgrades = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/upgrades");
        let folder = std::path::Path::new(upgrades).join(folder);
        let answers = crate::report::upgrade_table::answers(&folder).unwrap();
        for (path, answer) in &answers {
            assert!(answer.from.is_real() && answer.to.is_real(), "{path:?}");
            assert_eq!(rule(answer).0, answer.ruling, "{path:?}");
        }
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    #[test]
    fn the_rulings_that_are_kept_follow_from_what_was_seen() {
        assert!(kept("").len() >= 4);
    }

    /// 6.0.18 and 6.2.2 undo deletes in one restart of several, and two controls missed it.
    #[test]
    fn what_restarts_are_known_to_break_is_not_held_against_an_upgrade() {
        let answers = kept("").into_iter();
        let mut of_step = answers
            .filter(|it| it.from.release() == "6.0.18" && it.skipped.contains(&Part::SideBySide));
        let answer = of_step.next().unwrap();
        let checks = |rolled: &Rolled| -> Vec<String> {
            answer
                .broken_on(rolled)
                .map(|it| it.check.clone())
                .collect()
        };
        let mut ways = answer.rolled.iter();
        let undone = ways.find(|it| it.certain().any(|it| it.check == "deletes-stay"));
        assert_eq!(checks(undone.unwrap()), [""; 0]);
        assert_eq!(answer.ruling, Ruling::SafeWithChanges);
    }

    /// 5.3.3 does not know what 6.0.18 sends it: no restart shows that.
    #[test]
    fn what_only_the_step_breaks_is_held_against_it() {
        let answers = kept("").into_iter();
        let mut of_step = answers
            .filter(|it| it.from.release() == "5.3.3" && it.skipped.contains(&Part::SideBySide));
        let answer = of_step.next().unwrap();
        let unknown = |rolled: &&Rolled| {
            let mut new = answer.broken_on(rolled);
            new.any(|it| it.check == "log:unknown-command")
        };
        let ways: Vec<Way> = answer
            .rolled
            .iter()
            .filter(unknown)
            .map(|it| it.way)
            .collect();
        assert!(
            !ways.contains(&Way::ReplicasFirst) && ways.len() == 6,
            "{ways:?}"
        );
        assert_eq!(answer.ruling, Ruling::Unsafe);
    }

    /// Twenty times one release against itself, on a machine with much else to do.
    #[test]
    fn a_release_never_differed_from_itself() {
        let answers = kept("equal");
        assert_eq!(answers.len(), 20);
        for answer in answers {
            assert_eq!(answer.from.keydb.sha256, answer.to.keydb.sha256);
            assert_eq!(answer.ruling, Ruling::Safe);
            assert!(!answer.measured.is_empty());
            for measured in answer.measured {
                let difference = measured.comparison.difference;
                assert_eq!(difference, Difference::None, "{}", measured.name);
            }
        }
    }

    #[test]
    fn too_few_rounds_leave_an_answer_open() {
        let mut answer = kept("equal").remove(0);
        assert_eq!(rule(&answer).0, Ruling::Safe);
        answer.measured[0].comparison.difference = Difference::Unknown;
        let (ruling, reasons) = rule(&answer);
        assert_eq!(ruling, Ruling::Inconclusive);
        assert!(reasons[0].says.contains("too few"), "{reasons:?}");
    }

    /// A relay held back by 5 ms what the primaries of the one side told each other.
    #[test]
    fn a_release_that_is_five_milliseconds_late_is_seen_to_be() {
        let answers = kept("late");
        assert_eq!(answers.len(), 1);
        let mut measured = answers[0].measured.iter();
        let propagation = measured.find(|it| it.name.starts_with("propagation"));
        let comparison = &propagation.unwrap().comparison;
        assert_eq!(comparison.difference, Difference::Greater);
        assert!(comparison.to - comparison.from > 4.0, "milliseconds");
    }
}
