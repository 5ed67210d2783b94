//! `minimise`: the shortest schedule that still breaks what a longer one broke.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use keydb_harness::check::{Planned, plan, run_one};
use keydb_harness::console;
use keydb_harness::lab::Lab;
use keydb_harness::scenario::{Cost, SCHEDULED};
use keydb_harness::schedule::{Schedule, minimised};
use keydb_harness::verdict::{Verdict, exit};

use super::{LabArgs, UsageProblem, schedule};

#[derive(Debug, Args)]
pub(super) struct MinimiseArgs {
    /// The trial whose cluster and traffic are used, such as mixed-traffic/cut
    trial: String,
    /// The schedule: a text file, or the folder of a saved history
    #[arg(long, value_name = "FILE|DIR")]
    schedule: PathBuf,
    /// How often a schedule is tried before it counts as breaking nothing
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
    /// Write the shortest schedule into this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    lab: LabArgs,
}

pub(super) async fn minimise(args: MinimiseArgs) -> Result<u8> {
    let schedule = schedule::read(&args.schedule)?;
    let planned = plan(std::slice::from_ref(&args.trial), Cost::Long)
        .into_iter()
        .find(|planned| planned.id() == args.trial && planned.scenario.name == SCHEDULED);
    let Some(planned) = planned else {
        return Err(UsageProblem(format!(
            "{} follows no schedule: name a variant of {SCHEDULED}, as `keydb-harness list` has them",
            args.trial
        ))
        .into());
    };
    let lab = Lab::open(&args.lab.settings()).await?;
    console::line(lab.first_line());
    console::line(&schedule);
    let broken = broken(&lab, planned, &schedule, args.tries, None).await?;
    if broken.is_empty() {
        console::line(format_args!(
            "nothing is broken in {} tries: there is nothing to make shorter",
            args.tries
        ));
        return Ok(exit::INCONCLUSIVE);
    }
    let names: Vec<_> = broken.iter().map(String::as_str).collect();
    console::line(format_args!("broken: {}", names.join(", ")));
    let smallest = minimised(&schedule, async |candidate: &Schedule| {
        let tried = self::broken(&lab, planned, candidate, args.tries, Some(&broken)).await?;
        let stays = !tried.is_disjoint(&broken);
        let (faults, word) = (
            candidate.faults().count(),
            if stays { "still" } else { "not" },
        );
        console::line(format_args!("with {faults} faults: {word} broken"));
        Ok::<_, anyhow::Error>(stays)
    });
    let smallest = smallest.await?;
    console::line(format_args!(
        "the shortest that was found ({} of {} faults):\n{smallest}",
        smallest.faults().count(),
        schedule.faults().count()
    ));
    if let Some(file) = &args.out {
        std::fs::write(file, format!("{smallest}\n")).map_err(|error| {
            UsageProblem(format!(
                "--out {}: {error}; name a file that can be written",
                file.display()
            ))
        })?;
    }
    Ok(exit::AS_EXPECTED)
}

/// The checks that break under a schedule, of the first try in which any does (any of `wanted`, if
/// that is given).
async fn broken(
    lab: &Lab,
    planned: Planned,
    schedule: &Schedule,
    tries: u32,
    wanted: Option<&BTreeSet<String>>,
) -> Result<BTreeSet<String>> {
    let lab = lab.with_schedule(schedule.clone());
    for _ in 0..tries {
        let outcome = run_one(&lab, planned).await.outcome;
        if let Some(reason) = outcome.environment {
            anyhow::bail!("{}: {reason}", planned.id());
        }
        let findings = outcome.findings.into_iter();
        let broken: BTreeSet<String> = findings
            .filter(|finding| finding.verdict == Verdict::Broken)
            .map(|finding| finding.check)
            .collect();
        let counts = match wanted {
            Some(wanted) => !broken.is_disjoint(wanted),
            None => !broken.is_empty(),
        };
        if counts {
            return Ok(broken);
        }
    }
    Ok(BTreeSet::new())
}
