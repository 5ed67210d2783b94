//! `check`: run the scenarios and judge them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use keydb_harness::check::{Planned, available, plan, run_all};
use keydb_harness::console;
use keydb_harness::history::{FILE, Saved};
use keydb_harness::lab::Lab;
use keydb_harness::model::Quirk;
use keydb_harness::report::frequency::{frequencies, table};
use keydb_harness::report::results::{FORMAT, Judged, Results, write_artifacts};
use keydb_harness::report::terminal::{Progress, hint, summary};
use keydb_harness::reproduction::of_run;
use keydb_harness::scenario::SCHEDULED;
use keydb_harness::settings::{ENV_EXPECT, ENV_SEED, Expect, Settings, TestbedChoice};
use keydb_harness::spec::KeydbSpec;
use keydb_harness::testbed::TestbedKind;
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::{Expectations, judge};

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
    /// Run against models that break this promise (see list --quirks); may be given several times
    #[arg(long = "quirk", value_name = "NAME")]
    quirks: Vec<Quirk>,
    /// Judge by this expectation file, or by none [default: the one shipped for the version]
    #[arg(long, env = ENV_EXPECT, value_name = "FILE|none")]
    expect: Option<Expect>,
    /// Trials at a time [default: 3; 8 on the embedded testbed, where they mostly wait]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Make each trial so many times, and say how often what was seen
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Follow this schedule of faults: a text file, or the folder of a saved history
    #[arg(long, value_name = "FILE|DIR")]
    schedule: Option<PathBuf>,
    /// Write logs, INFO snapshots and results.json into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Write a folder for each thing that is broken, which shows it without the harness
    #[arg(long, value_name = "DIR")]
    reproduce: Option<PathBuf>,
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

pub(super) async fn check(args: CheckArgs) -> Result<u8> {
    let planned = plan(&args.filters, args.long);
    if planned.is_empty() {
        return Err(UsageProblem(format!(
            "no trial is called like {}: `keydb-harness list` names them all, and which of them need \
             --long",
            args.filters.join(" or ")
        ))
        .into());
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
        std::fs::create_dir_all(dir).map_err(|error| {
            UsageProblem(format!(
                "--report {}: {error}; name a directory that can be written",
                dir.display()
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
    console::line(lab.first_line());
    for sentence in lab.passed_over() {
        console::line(format_args!("not taken: {sentence}"));
    }
    let version = lab.identity().release().to_owned();
    let expectations = Expectations::load(&expect, &version)?;
    if expectations.is_none() {
        console::line(format_args!(
            "no expectations for {version}: judged by promises alone"
        ));
    }

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
                outcome: outcome.clone(),
            })
            .collect(),
    };
    if args.repeat > 1 {
        results.frequencies = frequencies(&results.trials);
        console::line(table(&results.frequencies));
    }
    if let Some(dir) = &args.report {
        results.write(dir)?;
        write_artifacts(dir, &finished)?;
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
