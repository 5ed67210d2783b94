//! `check`: run the scenarios and judge them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};
use keydb_harness::check::{Planned, available, plan, run_all};
use keydb_harness::console;
use keydb_harness::history::{FILE, Saved};
use keydb_harness::lab::Lab;
use keydb_harness::model::Quirk;
use keydb_harness::report::folder::{keep, of_failed_run, prepare, timelines};
use keydb_harness::report::freeze::Frozen;
use keydb_harness::report::frequency::{frequencies, table};
use keydb_harness::report::github::annotations;
use keydb_harness::report::junit;
use keydb_harness::report::page::Page;
use keydb_harness::report::results::{FORMAT, Judged, Results};
use keydb_harness::report::terminal::{Progress, hint, summary};
use keydb_harness::reproduction::of_run;
use keydb_harness::run::state_dir;
use keydb_harness::scenario::{Cost, SCHEDULED};
use keydb_harness::settings::{ENV_EXPECT, ENV_SEED, Expect, Settings, TestbedChoice};
use keydb_harness::spec::KeydbSpec;
use keydb_harness::testbed::TestbedKind;
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::{Expectations, judge, limitations};

use super::reproduce::write_all;
use super::{LabArgs, UsageProblem, schedule};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Run only trials whose name contains one of these
    filters: Vec<String>,
    #[command(flatten)]
    lab: LabArgs,
    /// Run the variants too that take minutes, or are races to be run again and again
    #[arg(long)]
    long: bool,
    /// Run only the variants that take seconds
    #[arg(long, conflicts_with = "long")]
    quick: bool,
    /// Run against models that break this promise (see list --quirks); may be given several times
    #[arg(long = "quirk", value_name = "NAME")]
    quirks: Vec<Quirk>,
    /// Judge by this expectation file, or by none [default: the one shipped for the version]
    #[arg(long, env = ENV_EXPECT, value_name = "FILE|none")]
    expect: Option<Expect>,
    /// Trials at a time [default: 4; 12 on the embedded testbed, where they mostly wait]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Run only the K-th of N parts of the trials, as one of N machines
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Make each trial so many times, and say how often what was seen
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Follow this schedule of faults: a text file, or the folder of a saved history
    #[arg(long, value_name = "FILE|DIR")]
    schedule: Option<PathBuf>,
    /// Write the page index.html, results.json, histories, logs and INFO snapshots into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Write junit.xml into this file: what is known is skipped there, with its reason
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print annotations for this service at the end, besides the summary
    #[arg(long, value_name = "github")]
    format: Option<Format>,
    /// Write a folder for each thing that is broken, which shows it without the harness
    #[arg(long, value_name = "DIR")]
    reproduce: Option<PathBuf>,
    /// Freeze what was seen into this expectation file, for `--expect`
    #[arg(long, value_name = "FILE")]
    write_expectations: Option<PathBuf>,
    /// Add to what that file holds already, instead of replacing it
    #[arg(long, requires = "write_expectations")]
    merge: bool,
    /// The seed of everything that is drawn by chance
    #[arg(long, env = ENV_SEED, value_name = "N")]
    seed: Option<u64>,
    /// A known deviation that is gone is an error too
    #[arg(long)]
    strict: bool,
    /// Show every check and every measured number
    #[arg(long, short)]
    verbose: bool,
}

/// A part of the trials: every N-th, from the K-th on, so that the variants of a scenario spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    part: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let numbers = parts.and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) => Ok(Self { part, of }),
            _ => Err("write K/N, such as 1/3, with K from 1 to N".to_owned()),
        }
    }
}

impl Shard {
    fn has(self, position: usize) -> bool {
        position % self.of + 1 == self.part
    }
}

/// Who reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Runners of GitHub's actions
    Github,
}

pub(super) async fn check(args: CheckArgs) -> Result<u8> {
    let at_most = match (args.quick, args.long) {
        (true, _) => Cost::Quick,
        (_, true) => Cost::Long,
        _ => Cost::Normal,
    };
    let planned = plan(&args.filters, at_most);
    if planned.is_empty() {
        return Err(UsageProblem(format!(
            "no trial is called like {}: `keydb-harness list` names them all, and which of them need \
             --long",
            args.filters.join(" or ")
        ))
        .into());
    }
    let planned: Vec<Planned> = match args.shard {
        None => planned,
        Some(shard) => {
            let all = planned.into_iter().enumerate();
            all.filter(|(position, _)| shard.has(*position))
                .map(|(_, planned)| planned)
                .collect()
        }
    };
    if planned.is_empty() {
        return Err(UsageProblem("--shard: there are fewer trials than parts".to_owned()).into());
    }
    let schedule = args.schedule.as_deref().map(schedule::read).transpose()?;
    let follows = |planned: &Planned| planned.scenario.name == SCHEDULED;
    if let Some(other) = planned.iter().find(|it| schedule.is_some() && !follows(it)) {
        return Err(UsageProblem(format!(
            "--schedule: {} follows no schedule: name variants of {SCHEDULED} only",
            other.id()
        ))
        .into());
    }
    let expect = args.expect.clone().unwrap_or_default();
    if let Expect::File(_) = &expect {
        // A file that cannot be used is told before anything is started.
        Expectations::load(&expect, "").map_err(|error| {
            UsageProblem(format!(
                "--expect: {error}; name a file that parses, or none"
            ))
        })?;
    }
    if let Some(dir) = &args.report {
        prepare(dir).map_err(UsageProblem)?;
    }
    if let Some(file) = &args.junit {
        // Found out before the run, not after it.
        std::fs::File::create(file).map_err(|error| {
            UsageProblem(format!(
                "--junit {}: {error}; name a file that can be written",
                file.display()
            ))
        })?;
    }
    let mut settings = Settings {
        expect: expect.clone(),
        seed: args.seed,
        ..args.lab.settings()
    };
    if !args.quirks.is_empty() {
        settings.keydb = Some(KeydbSpec::Model(args.quirks.iter().copied().collect()));
        if settings.testbed == TestbedChoice::Auto {
            settings.testbed = TestbedChoice::Only(TestbedKind::Embedded);
        }
    }
    let lab = match Lab::open(&settings).await {
        Ok(lab) => lab,
        Err(error) => {
            console::problem(format_args!("keydb-harness: {error}"));
            console::problem("REAL KEYDB: NOT RUN");
            return Ok(exit::ENVIRONMENT);
        }
    };
    let lab = match schedule {
        Some(schedule) => lab.with_schedule(schedule),
        None => lab,
    };
    let lab = match args.report {
        Some(_) => lab.watched(),
        None => lab,
    };
    console::line(lab.first_line());
    for sentence in lab.passed_over() {
        console::line(format_args!("not taken: {sentence}"));
    }
    let version = lab.identity().release().to_owned();
    let expectations = Expectations::load(&expect, &version)?;
    if expectations.is_none() {
        console::line(format_args!(
            "no expectations for {version}: judged by promises alone; `check --write-expectations FILE` \
             freezes what it does now, and `--expect FILE` then tells of changes only"
        ));
    }

    let frozen = args.write_expectations.as_deref();
    let frozen = frozen.map(|file| Frozen::into(file, args.merge, &version));
    let frozen = frozen
        .transpose()
        .map_err(|error| UsageProblem(format!("{error:#}")))?;
    let (planned, unavailable) = available(&lab, planned).await;
    let rounds = planned.into_iter().flat_map(|it| it.repeated(args.repeat));
    let planned: Vec<Planned> = rounds.collect();
    for (planned, reason) in &unavailable {
        console::line(format_args!("unavailable  {:<26} {reason}", planned.id()));
    }
    let began = Instant::now();
    let progress = Progress::new(expectations.as_ref(), args.verbose);
    let jobs = args.jobs.map_or(lab.pace().jobs, usize::from);
    let finished = run_all(&lab, &planned, jobs, &|event| progress.show(event)).await;

    let judged = || {
        finished
            .iter()
            .map(|f| (&f.outcome, judge(&f.outcome, expectations.as_ref())))
    };
    let mut results = Results {
        format: FORMAT,
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        date: jiff::Timestamp::now().to_string(),
        identity: lab.identity().clone(),
        seed: lab.seed(),
        expectations: expectations
            .as_ref()
            .map(|expectations| expectations.version.clone()),
        n: finished.len(),
        seconds: began.elapsed().as_secs_f64(),
        exit_code: exit::code(judged(), args.strict),
        unavailable: unavailable
            .into_iter()
            .map(|(planned, reason)| (planned.id(), reason))
            .collect(),
        frequencies: BTreeMap::new(),
        trials: judged()
            .map(|(outcome, standing)| Judged {
                id: outcome.id(),
                verdict: outcome.verdict(),
                standing,
                limitations: limitations(outcome, expectations.as_ref()),
                outcome: outcome.clone(),
            })
            .collect(),
    };
    if args.repeat > 1 {
        results.frequencies = frequencies(&results.trials);
        console::line(table(&results.frequencies));
    }
    let report = match &args.report {
        Some(dir) => Some(dir.clone()),
        None if results.exit_code == exit::BROKEN => {
            Some(of_failed_run(&state_dir()?, results.seed)?)
        }
        None => None,
    };
    if let Some(dir) = &report {
        results.write(dir)?;
        for finished in &finished {
            keep(dir, finished)?;
        }
        let timelines = timelines(dir, &results, |_| true)?;
        let page = Page::of_run(&results, expectations.as_ref(), timelines)?.write(dir)?;
        console::line(format_args!("page: {}", page.display()));
    }
    if let Some(file) = &args.junit {
        junit::write(&results, expectations.as_ref(), file)?;
    }
    if args.format == Some(Format::Github) {
        for line in annotations(&results, expectations.as_ref()) {
            console::line(line);
        }
    }
    if let Some(frozen) = frozen {
        console::line(frozen.write(&results)?);
    }
    if let Some(dir) = &args.reproduce {
        let history = |trial: &str| {
            let of_it = finished.iter().find(|it| it.outcome.id() == trial)?;
            let (_, content) = of_it.artifacts.iter().find(|(name, _)| name == FILE)?;
            Saved::read(Path::new(FILE), content.as_slice()).ok()
        };
        write_all(&of_run(&results, None, &history), dir)?;
    }
    if let Some(hint) = hint(&results, expectations.as_ref()) {
        console::line(hint);
    }
    console::line(summary(&results));
    if !lab.identity().is_real() {
        console::line("REAL KEYDB: NOT RUN");
    }
    Ok(results.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trial_is_in_one_part() {
        let parts: Vec<Shard> = ["1/3", "2/3", "3/3"]
            .iter()
            .map(|text| text.parse().expect("a part"))
            .collect();
        for position in 0..10 {
            let of_it = parts.iter().filter(|part| part.has(position));
            assert_eq!(of_it.count(), 1);
        }
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
