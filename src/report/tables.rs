//! Tables for a document, made from the runs and upgrade checks that are kept as evidence: where it has
//! `<!-- table NAME -->` and `<!-- end -->` on lines of their own, what is between is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::results::Results;
use super::{health_matrix, upgrade_table};
use crate::defect::{self, Ending};
use crate::explanation;
use crate::record::{Record, Tally};
use crate::scenario;
use crate::spec::DEFAULT_KEYDB;
use crate::upgrade::Answer;
use crate::verdict::expectation::{Deviation, Expectations, Frequency};
use crate::verdict::{Verdict, trial_id};

const BEGIN: &str = "<!-- table ";
const END: &str = "<!-- end -->";

/// Makes every marked table of a document again.
///
/// # Errors
/// A mark names no table, or has no end; the harness's own tables do not parse.
pub fn fill(
    document: &str,
    record: &Record,
    runs: &[(PathBuf, Results)],
    upgrades: &[(PathBuf, Answer)],
) -> Result<String> {
    let mut filled = String::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        filled.push_str(line);
        filled.push('\n');
        let Some(rest) = line.strip_prefix(BEGIN) else {
            continue;
        };
        let name = rest.trim_end_matches("-->").trim();
        let table = match name {
            "runs" => of_runs(runs),
            "health-checks" => health_matrix::table(runs, DEFAULT_KEYDB),
            "upgrades" => upgrade_table::table(upgrades),
            "catalogue" => catalogue(record)?,
            "defects" => defects(record)?,
            "track-record" => track_record(record)?,
            other => bail!("there is no table '{other}'"),
        };
        let _ = write!(filled, "\n{table}\n{END}\n");
        let end = lines.find(|line| *line == END);
        end.with_context(|| format!("the table '{name}' has no '{END}'"))?;
    }
    Ok(filled)
}

/// A run on each line.
fn of_runs(runs: &[(PathBuf, Results)]) -> String {
    let mut table = String::from(
        "| KeyDB | testbed | on | trials | holds | broken | results |\n|---|---|---|---|---|---|---|\n",
    );
    for (path, run) in runs {
        let count = |wanted| run.trials.iter().filter(|it| it.verdict == wanted).count();
        let file = path.display();
        let name = path.file_name().unwrap_or_default().display();
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | [`{name}`](fixtures/runs/{file}) |",
            run.identity.release(),
            match run.identity.testbed.as_str() {
                "process" => "processes",
                "docker" => "containers",
                other => other,
            },
            run.date.split('T').next().unwrap_or_default(),
            run.n,
            count(Verdict::Holds),
            count(Verdict::Broken),
        );
    }
    table
}

/// What is known of a check that broke in a trial.
fn known<'a>(expectations: &'a Expectations, trial: &str, check: &str) -> Option<&'a Deviation> {
    let (scenario, variant) = trial.split_once('/').unwrap_or((trial, ""));
    let mut deviations = expectations.deviations.iter();
    deviations.find(|it| it.check == check && it.is_about(scenario, variant))
}

/// Trials down, releases across: what broke, by the ids of the defects, and in how many trials of how
/// many.
fn catalogue(record: &Record) -> Result<String> {
    let expectations = Expectations::shipped()?;
    let mut table = String::from("| trial |");
    let mut rule = String::from("\n|---|");
    for of_release in &expectations {
        let _ = write!(table, " {} |", of_release.version);
        rule.push_str("---|");
    }
    table.push_str(&rule);
    table.push('\n');
    for scenario in scenario::all() {
        for variant in scenario.variants.iter().chain(scenario.long) {
            let id = trial_id(scenario.name, variant);
            let cells = expectations.iter().map(|of_release| {
                let release = record.0.get(&of_release.version);
                let tally = release.and_then(|release| release.trials.get(&id));
                tally.map_or_else(|| "-".to_owned(), |tally| cell(of_release, &id, tally))
            });
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(table, "| {id} | {} |", cells.join(" | "));
        }
    }
    Ok(table)
}

/// What broke and is known of no deviation: mended in the harness since, or a finding of its own.
const UNEXPLAINED: &str = "unexplained";

/// `holds`, or the ids of what broke, each with how often unless it was every time; in brackets in
/// how many trials.
fn cell(expectations: &Expectations, trial: &str, tally: &Tally) -> String {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for (check, broken) in &tally.broken {
        let id = known(expectations, trial, check).map_or(UNEXPLAINED, |it| &it.id);
        let most = ids.entry(id).or_default();
        *most = broken.n.max(*most);
    }
    let n = tally.n;
    let told = ids.iter().map(|(id, broken)| match *broken == n {
        true => (*id).to_owned(),
        false => format!("{id} {broken}/{n}"),
    });
    match ids.is_empty() {
        true => format!("holds ({n})"),
        false => format!("{} ({n})", told.collect::<Vec<_>>().join(", ")),
    }
}

/// What became of upstream's defects on each release, counted.
fn defects(record: &Record) -> Result<String> {
    let expectations = Expectations::shipped()?;
    let all = defect::all().context("fixtures/defects.toml")?;
    let mut table = String::from("| ended as |");
    let mut rule = String::from("\n|---|");
    let mut counted = Vec::new();
    for of_release in &expectations {
        let _ = write!(table, " {} |", of_release.version);
        rule.push_str("---|");
        counted.push(defect::counts(
            &all,
            &of_release.version,
            &expectations,
            record,
        ));
    }
    table.push_str(&rule);
    table.push('\n');
    let names = [
        "reproduced",
        defect::LIMIT,
        "fixed",
        "not reproduced",
        "not decidable",
        Ending::NotTried.name(),
    ];
    for name in names {
        let cells: Vec<String> = counted
            .iter()
            .map(|counts| counts.get(name).copied().unwrap_or(0).to_string())
            .collect();
        let _ = writeln!(table, "| {name} | {} |", cells.join(" | "));
    }
    let mut by_chance = Vec::new();
    let mut seldom_tried = Vec::new();
    for of_release in &expectations {
        let rows = of_release.deviations.iter();
        let rows = rows.filter(|it| it.frequency == Frequency::Sometimes);
        let tried = rows.map(|it| record.seen(&of_release.version, it).n);
        let tried: Vec<usize> = tried.collect();
        by_chance.push(tried.len().to_string());
        let seldom = tried.iter().filter(|n| **n < ENOUGH).count();
        seldom_tried.push(seldom.to_string());
    }
    let few = format!("*of these in fewer than {ENOUGH} trials so far*");
    for (name, counts) in [
        ("*checks that break by chance*", by_chance),
        (few.as_str(), seldom_tried),
    ] {
        let _ = writeln!(table, "| {name} | {} |", counts.join(" | "));
    }
    Ok(table)
}

/// In how many trials what breaks by chance was to be seen, for its frequency to say something.
const ENOUGH: usize = 20;

/// Where and when a defect was last seen red.
struct Last<'a> {
    date: &'a str,
    release: &'a str,
    trial: &'a str,
    check: &'a str,
    broken: usize,
    n: usize,
}

/// Each known defect: where it was last seen, and the command that looks again.
fn track_record(record: &Record) -> Result<String> {
    let expectations = Expectations::shipped()?;
    let explained = explanation::all().context("fixtures/explanations.toml")?;
    let mut table = String::from(
        "| defect | what | last seen red | there | to run it again |\n|---|---|---|---|---|\n",
    );
    let mut seen: BTreeMap<&str, Last<'_>> = BTreeMap::new();
    for of_release in &expectations {
        let Some(release) = record.0.get(&of_release.version) else {
            continue;
        };
        for (trial, tally) in &release.trials {
            for (check, broken) in &tally.broken {
                let Some(deviation) = known(of_release, trial, check) else {
                    continue;
                };
                let last = Last {
                    date: &broken.last,
                    release: &of_release.version,
                    trial,
                    check,
                    broken: broken.n,
                    n: tally.n,
                };
                // The newest release of the newest day; there, where it is most certain.
                let later = seen.get(deviation.id.as_str()).is_none_or(|before| {
                    let certain = |it: &Last<'_>| it.broken * 1000 / it.n.max(1);
                    (last.date, last.release, certain(&last))
                        > (before.date, before.release, certain(before))
                });
                if later {
                    seen.insert(&deviation.id, last);
                }
            }
        }
    }
    let mut named = BTreeSet::new();
    for it in &explained {
        let Some(last) = seen.get(it.id.as_str()) else {
            continue;
        };
        named.insert(it.id.as_str());
        let _ = writeln!(
            table,
            "| {} | {} | {}, {} | {}: {}, {} of {} | `check {} --keydb version:{}` |",
            it.id,
            it.title(),
            last.release,
            last.date,
            last.trial,
            last.check,
            last.broken,
            last.n,
            last.trial,
            last.release
        );
    }
    if let Some(id) = seen.keys().find(|id| !named.contains(*id)) {
        bail!("{id} is seen, and fixtures/explanations.toml does not explain it");
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_readme_is_as_the_runs_say() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let runs = crate::record::runs(&root.join("fixtures/runs")).unwrap();
        let document = std::fs::read_to_string(root.join("README.md")).unwrap();
        let upgrades = upgrade_table::answers(&root.join("fixtures/upgrades")).unwrap();
        let record = Record::shipped().unwrap();
        let filled = fill(&document, &record, &runs, &upgrades).unwrap();
        assert!(filled == document, "README.md: run `keydb-harness tables`");
        assert!(document.contains(BEGIN));
    }

    #[test]
    fn a_mark_without_a_table_or_an_end_is_an_error() {
        let error = |document: &str| {
            let filled = fill(document, &Record::default(), &[], &[]);
            format!("{:#}", filled.unwrap_err())
        };
        assert!(error("<!-- table no-such -->\n<!-- end -->\n").contains("no-such"));
        assert!(error("<!-- table runs -->\n").contains("no '<!-- end -->'"));
    }
}
