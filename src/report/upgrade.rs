//! The answer of an upgrade check: for a terminal, and as markdown for a pull request.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::lab::Identity;
use crate::upgrade::compare::{Comparison, Difference, FAMILY_WISE};
use crate::upgrade::data_files::{BACK, THERE};
use crate::upgrade::rolling::{REPLAYS, Rolled};
use crate::upgrade::ruling::{Reason, Ruling};
use crate::upgrade::side_by_side::{Change, Direction, SideBySide};
use crate::upgrade::{Answer, Measured};

/// How many reasons, or changes of a kind, markdown shows before the rest is folded away.
const SHOWN: usize = 12;

fn name(identity: &Identity) -> String {
    format!("KeyDB {}", identity.release())
}

/// `ms` figures with two decimals, bytes and rates without.
fn figure(value: f64, unit: &str) -> String {
    match unit {
        "bytes" | "writes/s" => format!("{value:.0} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

fn difference(measured: &Measured) -> &'static str {
    let (low, high) = measured.comparison.interval;
    match (measured.comparison.difference, measured.more_is_worse) {
        (Difference::None, _) if low > 1.0 || high < 1.0 => "too little to matter",
        (Difference::None, _) => "no difference",
        (Difference::Unknown, _) => "too few rounds",
        (Difference::Greater, true) | (Difference::Smaller, false) => "worse",
        _ => "better",
    }
}

fn percent(part: f64) -> String {
    match part {
        part if part < 10.0 => format!("{:.0} %", part * 100.0),
        _ => "more than tenfold".to_owned(),
    }
}

fn with_id(reason: &Reason) -> String {
    match &reason.id {
        Some(id) => format!("{} [{id}]", reason.says),
        None => reason.says.clone(),
    }
}

fn count(side_by_side: &SideBySide, direction: Direction) -> usize {
    let changes = side_by_side.changes.iter();
    changes.filter(|it| it.direction == direction).count()
}

fn in_numbers(side_by_side: &SideBySide) -> String {
    let of = |direction| count(side_by_side, direction);
    let accepted = side_by_side.changes.iter().filter(|it| it.accepted).count();
    let mut text = format!(
        "{} trials, {} checks made on both: {} worse, {} better, {} undecided, {} broken on both",
        side_by_side.trials,
        side_by_side.checks,
        of(Direction::Worse),
        of(Direction::Better),
        of(Direction::Undecided),
        side_by_side.broken_on_both,
    );
    if accepted > 0 {
        let _ = write!(text, "; {accepted} of the worse are accepted");
    }
    text
}

fn change(change: &Change) -> String {
    let [from, to] = [change.from, change.to].map(|[here, shipped]| match shipped.n {
        0 => here.to_string(),
        _ => format!("{here} (and {shipped} in shipped runs)"),
    });
    let id = change.id.as_ref().map(|id| format!(" [{id}]"));
    let accepted = if change.accepted { ", accepted" } else { "" };
    format!(
        "{}: {}: broken in {from}, now in {to}{}{accepted}",
        change.trial,
        change.check,
        id.unwrap_or_default()
    )
}

fn interval(comparison: &Comparison) -> String {
    format!(
        "{:.2} times ({:.2} to {:.2})",
        comparison.ratio, comparison.interval.0, comparison.interval.1
    )
}

fn rolled(answer: &Answer, it: &Rolled) -> String {
    if let Some(why) = &it.nothing {
        return format!("says nothing: {why}");
    }
    let mut parts: Vec<String> = it
        .broken
        .iter()
        .map(|finding| {
            let again = it.again.get(&finding.check).copied().unwrap_or(0);
            let new = answer.broken_on(it).any(|new| new.check == finding.check);
            let known = if new { "" } else { ", known of restarts" };
            format!(
                "{} breaks (again in {again} of {REPLAYS}{known})",
                finding.check
            )
        })
        .collect();
    if parts.is_empty() {
        parts.push("nothing breaks that a restart does not break".to_owned());
    }
    if !it.as_in_a_restart.is_empty() {
        let usual: Vec<&str> = it.as_in_a_restart.iter().map(String::as_str).collect();
        parts.push(format!("as in a rolling restart: {}", usual.join(", ")));
    }
    parts.join("; ")
}

/// For a terminal: what follows and why, then each side of it.
pub fn text(answer: &Answer) -> String {
    let mut text = String::new();
    if let Some(side_by_side) = &answer.side_by_side {
        let _ = writeln!(text, "side by side   {}", in_numbers(side_by_side));
        for it in &side_by_side.changes {
            let word = match it.direction {
                Direction::Worse => "worse",
                Direction::Better => "better",
                Direction::Undecided => "undecided",
            };
            let _ = writeln!(text, "    {word:<10} {}", change(it));
        }
        for (trial, why) in &side_by_side.left_out {
            let _ = writeln!(text, "    left out   {trial}: {why}");
        }
    }
    if !answer.measured.is_empty() {
        let n = answer.measured[0].comparison.n;
        let _ = writeln!(
            text,
            "measured       {n} rounds; at most {:.0} % of reports on equal releases call anything \
             different",
            FAMILY_WISE * 100.0
        );
        for it in &answer.measured {
            let comparison = &it.comparison;
            let _ = writeln!(
                text,
                "    {:<14} {:<34} {} -> {}, {}; a change of {} could have been told",
                difference(it),
                it.name,
                figure(comparison.from, &it.unit),
                figure(comparison.to, &it.unit),
                interval(comparison),
                percent(comparison.resolution)
            );
        }
    }
    for it in &answer.rolled {
        let way = format!("{} ({})", it.way, it.persistence);
        let _ = writeln!(text, "rolling        {way:<34} {}", rolled(answer, it));
    }
    for it in &answer.carried {
        let ways = [(THERE, "to the new release"), (BACK, "back")].map(|(way, called)| {
            match it.broken(way).count() {
                0 if it.findings.iter().any(|it| it.check.starts_with(way)) => {
                    format!("{called}: everything is there")
                }
                0 => format!("{called}: not tried"),
                broken => format!("{called}: {broken} checks broken"),
            }
        });
        let _ = writeln!(text, "data files     {:<34} {}", it.files, ways.join("; "));
    }
    if let Some(configuration) = &answer.configuration {
        let _ = writeln!(
            text,
            "configuration  {}: {} lines refused by the new release, {} ineffective, {} defaults \
             changed, {} options added, {} gone, {} lines not tried",
            configuration.file,
            configuration.refused.len(),
            configuration.ineffective.len(),
            configuration.defaults.len(),
            configuration.added.len(),
            configuration.gone.len(),
            configuration.left_out.len()
        );
    }
    let _ = writeln!(
        text,
        "{}: from {} to {}, {:.0} s{}",
        answer.ruling.to_string().to_uppercase(),
        name(&answer.from),
        name(&answer.to),
        answer.seconds,
        not_looked_at(answer)
    );
    let mut mends = BTreeSet::new();
    for reason in &answer.reasons {
        let _ = writeln!(text, "    {:<18} {}", reason.ruling, with_id(reason));
        // What mends several is told once.
        if let Some(mend) = reason.mend.as_ref().filter(|mend| mends.insert(*mend)) {
            let _ = writeln!(text, "    {:<18}     {mend}", "");
        }
    }
    let _ = match ids(answer) {
        ids if ids.is_empty() => Ok(()),
        ids => writeln!(text, "`keydb-harness explain {}` tells more", ids.join(" ")),
    };
    text
}

/// What the ruling says nothing of.
fn not_looked_at(answer: &Answer) -> String {
    let parts: Vec<String> = answer.skipped.iter().map(ToString::to_string).collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("; not looked at: {}", parts.join(", ")),
    }
}

/// The known defects among the reasons, each once.
fn ids(answer: &Answer) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for id in answer
        .reasons
        .iter()
        .filter_map(|reason| reason.id.as_deref())
    {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// Characters that would break a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
        .replace(['\n', '\r'], " ")
        .replace('<', "&lt;")
}

/// For a pull request: the ruling, its reasons, and the rest folded away.
pub fn markdown(answer: &Answer) -> String {
    let mut text = String::new();
    let sign = match answer.ruling {
        Ruling::Unsafe => "❌",
        Ruling::Inconclusive => "❔",
        Ruling::SafeWithChanges => "⚠️",
        Ruling::Safe => "✅",
    };
    let _ = writeln!(
        text,
        "### {sign} {} → {}: {}{}\n",
        name(&answer.from),
        name(&answer.to),
        answer.ruling,
        not_looked_at(answer)
    );
    if answer.reasons.is_empty() {
        let _ = writeln!(text, "Nothing speaks against it.\n");
    } else {
        let _ = writeln!(text, "| | why | known as |\n|---|---|---|");
        for reason in answer.reasons.iter().take(SHOWN) {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                reason.ruling,
                cell(&reason.says),
                reason.id.as_deref().unwrap_or("")
            );
        }
        let rest = answer.reasons.len().saturating_sub(SHOWN);
        if rest > 0 {
            let _ = writeln!(text, "\nand {rest} more.");
        }
        text.push('\n');
    }
    if let Some(side_by_side) = &answer.side_by_side {
        fold(
            &mut text,
            &format!("Side by side: {}", in_numbers(side_by_side)),
            |text| {
                for it in &side_by_side.changes {
                    let _ = writeln!(text, "- {}", cell(&change(it)));
                }
            },
        );
    }
    if !answer.measured.is_empty() {
        fold(&mut text, "Measured", |text| {
            let _ = writeln!(
                text,
                "| | old | new | ratio | | could have been told |\n|---|---|---|---|---|---|"
            );
            for it in &answer.measured {
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {} |",
                    it.name,
                    figure(it.comparison.from, &it.unit),
                    figure(it.comparison.to, &it.unit),
                    interval(&it.comparison),
                    difference(it),
                    percent(it.comparison.resolution)
                );
            }
        });
    }
    if !answer.rolled.is_empty() {
        fold(&mut text, "Rolling upgrade", |text| {
            for it in &answer.rolled {
                let says = cell(&rolled(answer, it));
                let _ = writeln!(text, "- {} ({}): {says}", it.way, it.persistence);
            }
        });
    }
    let _ = writeln!(
        text,
        "<sub>keydb-harness {}, {}; old: {}; new: {}; seed {}</sub>",
        answer.harness,
        answer.date,
        cell(&answer.from.to_string()),
        cell(&answer.to.to_string()),
        answer.seed
    );
    text
}

fn fold(text: &mut String, title: &str, inside: impl FnOnce(&mut String)) {
    let _ = writeln!(text, "<details><summary>{}</summary>\n", cell(title));
    inside(text);
    let _ = writeln!(text, "\n</details>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;
    use crate::upgrade::Part;
    use crate::upgrade::compare::Pairs;
    use crate::upgrade::configuration::{Configuration, Refusal, Setting};
    use crate::upgrade::data_files::Carried;
    use crate::upgrade::fisher::Tally;
    use crate::upgrade::rolling::Way;
    use crate::upgrade::ruling::rule;
    use crate::upgrade::side_by_side::Weight;
    use crate::verdict::{Finding, Verdict};

    fn change(direction: Direction, broken: [usize; 2], weight: Weight) -> Change {
        let tally = |broken| {
            [
                Tally { n: 1, broken },
                Tally {
                    n: 6,
                    broken: broken * 6,
                },
            ]
        };
        Change {
            trial: "total-outage/aof".to_owned(),
            check: "newest-wins".to_owned(),
            promise: "the newest write wins".to_owned(),
            from: tally(broken[0]),
            to: tally(broken[1]),
            chance: 0.001,
            direction,
            weight,
            id: Some("F3".to_owned()),
            evidence: "key:1 is old".to_owned(),
            accepted: false,
        }
    }

    /// An answer where nothing is worse.
    fn calm() -> Answer {
        Answer {
            format: 1,
            harness: "0.1.0".to_owned(),
            date: "2026-11-25T10:34:50Z".to_owned(),
            from: samples::identity("6.2.2"),
            to: samples::identity("6.3.4"),
            seed: 7,
            seconds: 100.0,
            ruling: Ruling::Safe,
            reasons: Vec::new(),
            side_by_side: Some(SideBySide {
                trials: 3,
                checks: 30,
                ..SideBySide::default()
            }),
            measured: Vec::new(),
            skipped: Default::default(),
            failed: Default::default(),
            rolled: Vec::new(),
            controls: None,
            carried: Vec::new(),
            configuration: Some(Configuration::default()),
        }
    }

    fn ruled(mut answer: Answer) -> Answer {
        (answer.ruling, answer.reasons) = rule(&answer);
        answer
    }

    /// An answer with something of everything.
    fn stormy() -> Answer {
        let mut answer = calm();
        let rounds: Vec<(f64, f64)> = (0..12).map(|n| (1.0 + f64::from(n) / 50.0, 6.0)).collect();
        let pairs = Pairs {
            rounds: &rounds,
            matters: 0.3,
            noticed: 0.5,
        };
        answer.measured = vec![Measured {
            name: "propagation to the slowest node".to_owned(),
            unit: "ms".to_owned(),
            more_is_worse: true,
            comparison: pairs.compare(7, 1),
            rounds: rounds.clone(),
        }];
        answer.side_by_side = Some(SideBySide {
            trials: 3,
            checks: 30,
            broken_on_both: 2,
            changes: vec![
                change(Direction::Worse, [0, 1], Weight::Guarantee),
                change(Direction::Undecided, [0, 1], Weight::Guarantee),
                change(Direction::Better, [1, 0], Weight::Guarantee),
            ],
            left_out: [("bulk-load/200k".to_owned(), "no memory | left".to_owned())].into(),
        });
        let finding = Finding {
            check: "agreement".to_owned(),
            promise: "all nodes hold the same data".to_owned(),
            verdict: Verdict::Broken,
            evidence: "3 keys differ".to_owned(),
            state: String::new(),
        };
        let quiet = Finding {
            check: "quiet".to_owned(),
            evidence: "it never ends".to_owned(),
            ..finding.clone()
        };
        answer.rolled = vec![Rolled {
            way: Way::AndBack,
            persistence: "rdb".to_owned(),
            trial: "mixed-traffic/rolling-rdb".to_owned(),
            plan: "seed 1".to_owned(),
            // The one is known of restarts, the other not.
            broken: vec![finding, quiet],
            again: ["agreement", "quiet"]
                .map(|check| (check.to_owned(), 4))
                .into(),
            as_in_a_restart: ["exactly-once".to_owned()].into(),
            nothing: None,
        }];
        let lost = |check: &str| Finding {
            check: check.to_owned(),
            promise: "the same keys".to_owned(),
            verdict: Verdict::Broken,
            evidence: "3 of 90 keys are missing".to_owned(),
            state: String::new(),
        };
        answer.carried = vec![Carried {
            files: "aof".to_owned(),
            findings: vec![lost("there-values"), lost("back-values")],
        }];
        answer.configuration = Some(Configuration {
            file: "keydb.conf".to_owned(),
            refused: vec![Refusal {
                line: "replicaof 10.0.0.1 6379".to_owned(),
                said: "wrong order".to_owned(),
            }],
            defaults: vec![Setting {
                option: "maxmemory-samples".to_owned(),
                wanted: None,
                from: Some("5".to_owned()),
                to: Some("16".to_owned()),
            }],
            ..Configuration::default()
        });
        ruled(answer)
    }

    #[test]
    fn the_answer_on_a_terminal() {
        insta::assert_snapshot!(text(&stormy()));
    }

    #[test]
    fn the_answer_in_a_pull_request() {
        insta::assert_snapshot!(markdown(&stormy()));
    }

    #[test]
    fn what_follows_is_the_worst_that_was_found() {
        let with = |fill: &dyn Fn(&mut Answer)| {
            let mut answer = calm();
            fill(&mut answer);
            ruled(answer).ruling
        };
        let of = |change: Change| {
            with(&|answer| {
                answer.side_by_side.as_mut().unwrap().changes = vec![change.clone()];
            })
        };
        assert_eq!(with(&|_| {}), Ruling::Safe);
        assert_eq!(with(&|it| it.side_by_side = None), Ruling::Safe);
        let nothing_ran = |it: &mut Answer| it.side_by_side = Some(SideBySide::default());
        assert_eq!(with(&nothing_ran), Ruling::Inconclusive);
        let failed = |it: &mut Answer| {
            it.failed.insert(Part::Measure, "no".to_owned());
        };
        assert_eq!(with(&failed), Ruling::Inconclusive);

        let guarantee = change(Direction::Worse, [0, 1], Weight::Guarantee);
        assert_eq!(of(guarantee.clone()), Ruling::Unsafe);
        let accepted = Change {
            accepted: true,
            ..guarantee
        };
        assert_eq!(of(accepted), Ruling::Safe);
        let limit = change(Direction::Worse, [0, 1], Weight::Limitation);
        assert_eq!(of(limit), Ruling::SafeWithChanges);
        let better = change(Direction::Better, [1, 0], Weight::Guarantee);
        assert_eq!(of(better), Ruling::Safe);
        let open = |broken| of(change(Direction::Undecided, broken, Weight::Guarantee));
        assert_eq!(open([0, 1]), Ruling::Inconclusive);
        assert_eq!(open([1, 0]), Ruling::Safe);
        assert_eq!(stormy().ruling, Ruling::Unsafe);
        assert_eq!(Ruling::SafeWithChanges.exit_code(false), 0);
        assert_eq!(Ruling::SafeWithChanges.exit_code(true), 1);
        assert_eq!(Ruling::Unsafe.exit_code(false), 1);
        assert_eq!(Ruling::Inconclusive.exit_code(false), 2);
    }
}
