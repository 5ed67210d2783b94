//! `check`: run the scenarios and judge them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use keydb_harness::check::{Event, Finished, Planned, available, plan, run_until};
use keydb_harness::console;
use keydb_harness::history::{FILE, Saved};
use keydb_harness::lab::Lab;
use keydb_harness::model::Quirk;
use keydb_harness::report::frequency::{frequencies, table};
use keydb_harness::report::results::Results;
use keydb_harness::report::terminal::Progress;
use keydb_harness::reproduction::of_run;
use keydb_harness::scenario::{Cost, SCHEDULED};
use keydb_harness::settings::{ENV_EXPECT, ENV_SEED, Expect, Settings, TestbedChoice};
use keydb_harness::spec::KeydbSpec;
use keydb_harness::testbed::TestbedKind;
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::Expectations;

use super::reproduce::write_all;
use super::sinks::SinkArgs;
use super::stress::Stress;
use super::until_fail::{UntilFail, number};
use super::{LabArgs, UsageProblem, attached, schedule};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Run only trials whose name contains one of these
    pub(super) filters: Vec<String>,
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
    pub(super) expect: Option<Expect>,
    /// Trials at a time [default: 4 in containers, 6 as processes, 12 on the embedded testbed]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    jobs: Option<u8>,
    /// Run only the K-th of N parts of the trials, as one of N machines
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Make each trial so many times, and say how often what was seen
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Stop after the first trial that is broken in a way its expectations do not know; only what that
    /// one left is kept
    #[arg(long)]
    until_fail: bool,
    /// Keep every core busy, with threads of the harness's own, as long as trials run
    #[arg(long)]
    stress: bool,
    /// Give every trial a cluster of its own, as --repeat does; else one that a trial has left sound serves
    /// the next that needs an equal one, once a reset has proven that it is as good as new
    #[arg(long)]
    own_clusters: bool,
    /// Follow this schedule of faults: a text file, or the folder of a saved history
    #[arg(long, value_name = "FILE|DIR")]
    schedule: Option<PathBuf>,
    #[command(flatten)]
    pub(super) sinks: SinkArgs,
    /// Write a folder for each thing that is broken, which shows it without the harness
    #[arg(long, value_name = "DIR")]
    reproduce: Option<PathBuf>,
    /// The seed of everything that is drawn by chance
    #[arg(long, env = ENV_SEED, value_name = "N")]
    seed: Option<u64>,
    /// A known deviation that is gone is an error too
    #[arg(long)]
    pub(super) strict: bool,
    /// Show every check and every measured number
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// Check this cluster where it runs: see the README. Nothing is started
    #[arg(long, value_name = "FILE")]
    pub(super) inventory: Option<PathBuf>,
    /// On an attached cluster: strike nodes too, by the commands of the inventory
    #[arg(long)]
    pub(super) allow_faults: bool,
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

impl CheckArgs {
    /// The first flag that only means something for clusters that the harness starts itself.
    pub(super) fn needs_own_clusters(&self) -> Option<&'static str> {
        let flags = [
            ("--keydb", self.lab.keydb.is_some()),
            ("--haproxy", self.lab.haproxy.is_some()),
            ("--quirk", !self.quirks.is_empty()),
            ("--long", self.long),
            ("--quick", self.quick),
            ("--jobs", self.jobs.is_some()),
            ("--shard", self.shard.is_some()),
            ("--repeat", self.repeat > 1),
            ("--until-fail", self.until_fail),
            ("--stress", self.stress),
            ("--own-clusters", self.own_clusters),
            ("--schedule", self.schedule.is_some()),
            ("--reproduce", self.reproduce.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        let given = flags.iter().find(|(_, given)| *given);
        given.map(|(flag, _)| *flag)
    }
}

pub(super) async fn check(args: CheckArgs) -> Result<u8> {
    if args.inventory.is_some() || args.lab.testbed == TestbedChoice::Attached {
        return attached::check(args).await;
    }
    if args.allow_faults {
        return Err(UsageProblem(
            "--allow-faults is for clusters of others: it needs --inventory FILE".to_owned(),
        )
        .into());
    }
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
    args.sinks.ready()?;
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
    let lab = match args.sinks.report {
        Some(_) => lab.watched(),
        None => lab,
    };
    // What is made several times is to be made from the beginning.
    let lab = match args.own_clusters || args.repeat > 1 {
        true => lab,
        false => lab.sharing_clusters(),
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

    let frozen = args.sinks.frozen(&version)?;
    let (planned, unavailable) = available(&lab, planned).await;
    let rounds = planned.into_iter().flat_map(|it| it.repeated(args.repeat));
    let planned: Vec<Planned> = rounds.collect();
    for (planned, reason) in &unavailable {
        console::line(format_args!("unavailable  {:<26} {reason}", planned.id()));
    }
    let began = Instant::now();
    let progress = Progress::new(expectations.as_ref(), args.verbose);
    let jobs = args.jobs.map_or(lab.pace().jobs, usize::from);
    let stress = args.stress.then(Stress::begin).transpose()?;
    if let Some(stress) = &stress {
        let threads = stress.threads();
        console::line(format_args!("under stress: busy threads: {threads}"));
    }
    let mut until_fail = UntilFail::new(expectations.as_ref(), args.strict);
    let mut each = |finished: &mut Finished| match args.until_fail {
        true => until_fail.look(finished),
        false => ControlFlow::Continue(()),
    };
    let on = |event: Event<'_>| progress.show(event);
    let mut finished = run_until(&lab, &planned, jobs, &on, &mut each).await;
    if let Some(stress) = stress {
        let steps = stress.end();
        console::line(format_args!("under stress: steps made: {steps}"));
    }
    number(&mut finished);

    let outcomes = finished.iter().map(|finished| &finished.outcome);
    let mut results = Results::of(lab.identity(), outcomes, expectations.as_ref(), args.strict);
    results.seed = lab.seed();
    results.seconds = began.elapsed().as_secs_f64();
    let unavailable = unavailable.into_iter();
    results.unavailable = unavailable
        .map(|(planned, reason)| (planned.id(), reason))
        .collect();
    if args.repeat > 1 {
        results.frequencies = frequencies(&results.trials);
        console::line(table(&results.frequencies));
    }
    if let Some(dir) = &args.reproduce {
        let history = |trial: &str| {
            let of_it = finished.iter().filter(|it| it.outcome.id() == trial);
            let mut left = of_it.flat_map(|it| &it.artifacts);
            let (_, content) = left.find(|(name, _)| name == FILE)?;
            Saved::read(Path::new(FILE), content.as_slice()).ok()
        };
        write_all(&of_run(&results, None, &history), dir)?;
    }
    if args.until_fail {
        let left = planned.len() - finished.len();
        console::line(until_fail.sentence(args.repeat, left));
    }
    args.sinks
        .write(&results, expectations.as_ref(), &finished, frozen)?;
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
