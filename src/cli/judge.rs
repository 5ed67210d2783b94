//! `judge`: a saved history, judged without servers.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use keydb_harness::console;
use keydb_harness::history::{FILE, Saved};
use keydb_harness::judge::{Statistics, judge as judgements};
use keydb_harness::property::over_history::Judgement;
use keydb_harness::verdict::{Verdict, exit};

use super::UsageProblem;

#[derive(Debug, Args)]
pub(super) struct JudgeArgs {
    /// The folder that holds a history, or its file; of a report folder all histories in it
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn judge(args: &JudgeArgs) -> Result<u8> {
    let mut verdicts = Vec::new();
    for dir in histories(&args.dir) {
        verdicts.extend(of_history(&dir)?);
    }
    Ok(match verdicts.into_iter().max() {
        Some(Verdict::Holds) => exit::AS_EXPECTED,
        Some(Verdict::Broken) => exit::BROKEN,
        // Nothing was judged: that is no green.
        Some(Verdict::Inconclusive) | None => exit::INCONCLUSIVE,
    })
}

/// The folders below a report folder that hold a history, in the order of their names; else the path
/// itself.
fn histories(path: &Path) -> Vec<PathBuf> {
    let folders = match path.join(FILE).exists() {
        true => None,
        false => std::fs::read_dir(path).ok(),
    };
    let entries = folders.into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|folder| folder.join(FILE).exists())
        .collect();
    found.sort();
    match found.is_empty() {
        true => vec![path.to_owned()],
        false => found,
    }
}

fn of_history(path: &Path) -> Result<Vec<Verdict>> {
    let saved = Saved::load(path).map_err(|error| UsageProblem(error.to_string()))?;
    console::line(format_args!("{}, seed {}", saved.identity, saved.seed));
    if !saved.schedule.is_empty() {
        console::line(&saved.schedule);
    }
    console::text(Statistics::of(&saved));
    let judgements = judgements(&saved);
    for Judgement { finding, power, .. } in &judgements {
        console::line(format_args!(
            "{:12} {}: {}\n{:13}{}",
            finding.verdict, finding.check, finding.promise, "", finding.evidence
        ));
        if finding.verdict == Verdict::Holds {
            console::line(format_args!("{:13}{power}", ""));
        }
        for line in finding.state.lines() {
            console::line(format_args!("{:13}| {line}", ""));
        }
    }
    let verdicts = judgements.iter();
    Ok(verdicts
        .map(|judgement| judgement.finding.verdict)
        .collect())
}
