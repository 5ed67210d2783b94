//! `judge`: a saved history, judged without servers.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use keydb_harness::console;
use keydb_harness::history::Saved;
use keydb_harness::judge::{Statistics, judge as judgements};
use keydb_harness::property::over_history::Judgement;
use keydb_harness::verdict::{Verdict, exit};

use super::UsageProblem;

#[derive(Debug, Args)]
pub(super) struct JudgeArgs {
    /// The folder that holds a history, or its file
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn judge(args: &JudgeArgs) -> Result<u8> {
    let saved = Saved::load(&args.dir).map_err(|error| UsageProblem(error.to_string()))?;
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
    let verdicts = judgements.iter().map(|judgement| judgement.finding.verdict);
    Ok(match verdicts.max() {
        Some(Verdict::Holds) => exit::AS_EXPECTED,
        Some(Verdict::Broken) => exit::BROKEN,
        // Nothing was judged: that is no green.
        Some(Verdict::Inconclusive) | None => exit::INCONCLUSIVE,
    })
}
