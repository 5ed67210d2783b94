//! `upgrade`: may we move from this release to that one?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};
use keydb_harness::check::{Event, plan};
use keydb_harness::console;
use keydb_harness::lab::Lab;
use keydb_harness::report::folder::{
    PLANS, SIDES, forget, keep_whole, prepare, timelines_of_sides, write_answer,
};
use keydb_harness::report::page::Page;
use keydb_harness::report::upgrade::{markdown, text};
use keydb_harness::scenario::Cost;
use keydb_harness::settings::{
    ENV_HAPROXY, ENV_SEED, ENV_TESTBED, Expect, Settings, TestbedChoice,
};
use keydb_harness::spec::{HaproxySpec, KeydbSpec};
use keydb_harness::upgrade::ruling::{Ruling, rule};
use keydb_harness::upgrade::side_by_side::Sides;
use keydb_harness::upgrade::{Answer, FORMAT, Part, configuration, data_files, measure, rolling};
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::Expectations;

use super::UsageProblem;

#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// Run only trials of the catalogue whose name contains one of these
    filters: Vec<String>,
    /// The KeyDB that runs now: image:REF, path:FILE or version:X.Y.Z
    #[arg(long, value_name = "SPEC")]
    from: KeydbSpec,
    /// The KeyDB to move to
    #[arg(long, value_name = "SPEC")]
    to: KeydbSpec,
    /// auto, docker or process
    #[arg(long, env = ENV_TESTBED, default_value = "auto", value_name = "TESTBED")]
    testbed: TestbedChoice,
    /// image:REF or path:FILE
    #[arg(long, env = ENV_HAPROXY, value_name = "SPEC")]
    haproxy: Option<HaproxySpec>,
    /// Look only at these sides of it [default: all]
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// Run only the trials of the catalogue that take seconds
    #[arg(long)]
    quick: bool,
    /// The team's keydb.conf [default: what the reference cluster is configured with]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A team's own expectations: what it accepts on the new release
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Rounds in which both are measured; below 11 no difference can be told
    #[arg(long, value_name = "N", default_value_t = 12)]
    rounds: usize,
    /// Make the new release late on purpose by so many milliseconds: it has to show
    #[arg(long, value_name = "MS", hide = true)]
    late: Option<u64>,
    /// Trials at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Print the summary as markdown, for a pull request
    #[arg(long, value_name = "markdown")]
    summary: Option<Summary>,
    /// Write the page index.html, upgrade.json, the summary, the plans, and what trials left that do
    /// not come out alike, into this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// The seed of everything that is drawn by chance
    #[arg(long, env = ENV_SEED, value_name = "N")]
    seed: Option<u64>,
    /// Changes are an error too
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Summary {
    /// For a pull request
    Markdown,
}

pub(super) async fn upgrade(args: UpgradeArgs) -> Result<u8> {
    let wants = |part| args.only.is_empty() || args.only.contains(&part);
    let at_most = if args.quick {
        Cost::Quick
    } else {
        Cost::Normal
    };
    let planned = plan(&args.filters, at_most);
    if planned.is_empty() {
        return Err(UsageProblem(format!(
            "no trial is called like {}: `keydb-harness list` names them all",
            args.filters.join(" or ")
        ))
        .into());
    }
    for spec in [&args.from, &args.to] {
        if let KeydbSpec::Model(_) = spec {
            return Err(UsageProblem(
                "a model stands for no release: name an image, a path or a version".to_owned(),
            )
            .into());
        }
    }
    let accepted = args.expect.as_ref().map(|file| {
        let loaded = Expectations::load(&Expect::File(file.clone()), "");
        loaded.map_err(|error| UsageProblem(format!("--expect: {error}")))
    });
    let accepted = accepted.transpose()?.flatten();
    let config = args.config.as_ref().map(|file| {
        keydb_harness::input::file(file, keydb_harness::input::TEXT).map_err(|error| {
            UsageProblem(format!(
                "--config {}: {error}; name a keydb.conf that can be read",
                file.display()
            ))
        })
    });
    let config = config.transpose()?;
    if let Some(dir) = &args.report {
        prepare(dir).map_err(UsageProblem)?;
    }

    let began = Instant::now();
    let open = |keydb: &KeydbSpec| Settings {
        testbed: args.testbed,
        keydb: Some(keydb.clone()),
        haproxy: args.haproxy.clone(),
        seed: args.seed,
        ..Settings::default()
    };
    let labs = async {
        Ok((
            Lab::open(&open(&args.from)).await?,
            Lab::open(&open(&args.to)).await?,
        ))
    };
    let (from, to) = match labs.await {
        Ok(labs) => labs,
        Err::<_, keydb_harness::testbed::EnvironmentError>(error) => {
            console::problem(format_args!("keydb-harness: {error}"));
            return Ok(exit::ENVIRONMENT);
        }
    };
    console::line(format_args!("from {}", from.first_line()));
    console::line(format_args!("to   {}", to.first_line()));
    let watched = |lab: Lab| match args.report {
        Some(_) => lab.watched(),
        None => lab,
    };
    let (from, to) = (watched(from), watched(to));
    let (from, to) = (&from, &to.with_seed(from.seed()));
    let jobs = args.jobs.map_or(from.pace().jobs, usize::from);
    let told = |lab: &Lab, event: Event<'_>| {
        if let Event::Finished(finished) = event {
            let (planned, outcome) = (&finished.planned, &finished.outcome);
            if let Some(dir) = &args.report
                && let Err(error) = keep_whole(&place(dir, lab, from), finished)
            {
                console::problem(format_args!("keydb-harness: {error:#}"));
            }
            let why = outcome.environment.as_ref().map(|why| format!(": {why}"));
            console::line(format_args!(
                "{:<14} {:<12} {} ({:.1} s){}",
                lab.keydb().to_string(),
                outcome.verdict().to_string(),
                planned.folder(),
                outcome.seconds,
                why.unwrap_or_default()
            ));
        }
    };

    let mut answer = Answer {
        format: FORMAT,
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        date: String::new(),
        from: from.identity().clone(),
        to: to.identity().clone(),
        seed: from.seed(),
        seconds: 0.0,
        ruling: Ruling::Inconclusive,
        reasons: Vec::new(),
        side_by_side: None,
        measured: Vec::new(),
        skipped: Part::ALL.into_iter().filter(|part| !wants(*part)).collect(),
        failed: BTreeMap::new(),
        rolled: Vec::new(),
        controls: None,
        carried: Vec::new(),
        configuration: None,
    };
    if wants(Part::Configuration) {
        let (file, lines) = match (&args.config, &config) {
            (Some(file), Some(lines)) => (file.display().to_string(), lines.as_str()),
            _ => ("the reference cluster's".to_owned(), ""),
        };
        match configuration::compare(from, to, &file, lines).await {
            Ok(compared) => answer.configuration = Some(compared),
            Err(error) => answer.could_not(Part::Configuration, &error),
        }
    }
    if wants(Part::DataFiles) {
        match data_files::carry(from, to).await {
            Ok(carried) => answer.carried = carried,
            Err(error) => answer.could_not(Part::DataFiles, &error),
        }
    }
    if wants(Part::SideBySide) {
        let sides = Sides {
            from,
            to,
            accepted: accepted.as_ref(),
        };
        answer.side_by_side = Some(sides.compare(planned, jobs, &told).await?);
    }
    if wants(Part::Rolling) {
        let (rolled, controls) = rolling::roll(from, to, jobs, &told).await;
        answer.rolled = rolled;
        answer.controls = Some(controls);
    }
    if wants(Part::Measure) {
        let late = args.late.map(Duration::from_millis);
        let rounds = args.rounds;
        let on = move |number| {
            console::problem(format_args!("measuring: round {} of {rounds}", number + 1));
        };
        match measure(from, to, rounds, late, &on).await {
            Ok(measured) => answer.measured = measured,
            Err(error) => answer.could_not(Part::Measure, &error),
        }
    }
    (answer.ruling, answer.reasons) = rule(&answer);
    answer.seconds = began.elapsed().as_secs_f64();
    answer.date = jiff::Timestamp::now().to_string();

    if let Some(dir) = &args.report {
        write_answer(dir, &answer)?;
        let changes = answer.side_by_side.iter().flat_map(|it| &it.changes);
        let changed: BTreeSet<&str> = changes.map(|it| &*it.trial).collect();
        for side in SIDES {
            forget(&dir.join(side), |id| changed.contains(id))?;
        }
        let page = Page::of_upgrade(&answer, timelines_of_sides(dir, |_| true)?)?.write(dir)?;
        console::line(format_args!("page: {}", page.display()));
    }
    match args.summary {
        Some(Summary::Markdown) => console::text(markdown(&answer)),
        None => console::text(text(&answer)),
    }
    Ok(answer.ruling.exit_code(args.strict))
}

/// Where a trial's folder goes: by release; what follows a plan by the plan's seed.
fn place(dir: &Path, lab: &Lab, from: &Lab) -> PathBuf {
    match lab.schedule() {
        Some(plan) => dir.join(PLANS).join(plan.seed.to_string()),
        // Both may be the same release.
        None if std::ptr::eq(lab, from) => dir.join(SIDES[0]),
        None => dir.join(SIDES[1]),
    }
}
