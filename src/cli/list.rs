//! `list`: the scenarios, the faults, the quirks of the model and what catches them, the promises and
//! what looks at them, upstream's defects and what became of them, or what KeyDB's own tests ask.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use clap::Args;
use keydb_harness::console;
use keydb_harness::defect;
use keydb_harness::fault;
use keydb_harness::model::mutants;
use keydb_harness::promise::{self, Counts, Promise, Strength};
use keydb_harness::record::Record;
use keydb_harness::scenario;
use keydb_harness::spec::DEFAULT_KEYDB;
use keydb_harness::upstream::{self, Test};
use keydb_harness::verdict::expectation::Expectations;
use keydb_harness::verdict::{exit, trial_id};

use super::UsageProblem;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Show the quirks of the model, and which checks catch each
    #[arg(long)]
    quirks: bool,
    /// Show the kinds of faults that a cluster can meet
    #[arg(long, conflicts_with = "quirks")]
    faults: bool,
    /// Show what KeyDB's documentation promises, which checks look at it, and what turned them red
    #[arg(long, conflicts_with_all = ["quirks", "faults"])]
    promises: bool,
    /// Show the defects that KeyDB's tracker tells of, and what became of each on a release
    #[arg(long, conflicts_with_all = ["quirks", "faults", "promises"])]
    defects: bool,
    /// The release whose defects are shown
    #[arg(long, value_name = "X.Y.Z", default_value = DEFAULT_KEYDB, requires = "defects")]
    release: String,
    /// Show what KeyDB's own tests ask of active replicas, which checks ask the same, and which
    /// releases are known to break it
    #[arg(long, conflicts_with_all = ["quirks", "faults", "promises", "defects"])]
    upstream_tests: bool,
    /// Show what `check --inventory` looks at on a cluster that runs somewhere
    #[arg(long, conflicts_with_all = ["quirks", "faults", "promises", "defects", "upstream_tests"])]
    attached: bool,
}

pub(super) fn list(args: &ListArgs) -> Result<u8> {
    let text = match args {
        ListArgs { quirks: true, .. } => quirks()?,
        ListArgs { faults: true, .. } => faults(),
        ListArgs { promises: true, .. } => promises()?,
        ListArgs {
            defects: true,
            release,
            ..
        } => defects(release)?,
        ListArgs {
            upstream_tests: true,
            ..
        } => upstream_tests()?,
        ListArgs { attached: true, .. } => attached_checks(),
        _ => scenarios(),
    };
    console::text(text);
    Ok(exit::AS_EXPECTED)
}

fn attached_checks() -> String {
    let mut text = String::new();
    for check in keydb_harness::attached::check::all() {
        let faults = match check.strikes {
            true => "  (only with --allow-faults)",
            false => "",
        };
        let _ = writeln!(text, "{}{faults}", check.name);
        let _ = writeln!(text, "    promise  {}", check.promise);
        let _ = writeln!(text, "    source   {}", check.source);
    }
    text
}

fn scenarios() -> String {
    let mut text = String::new();
    for scenario in scenario::all() {
        let ids = |variants: &[&str]| {
            let ids = variants.iter();
            let ids: Vec<_> = ids.map(|it| trial_id(scenario.name, it)).collect();
            ids.join("  ")
        };
        if !scenario.variants.is_empty() {
            let _ = writeln!(text, "{}", ids(scenario.variants));
        }
        if !scenario.long.is_empty() {
            let _ = writeln!(text, "{}  (only with --long)", ids(scenario.long));
        }
        let _ = writeln!(text, "    promise  {}", scenario.promise);
        let _ = writeln!(text, "    source   {}", scenario.source);
        let cost = scenario.cost("");
        let _ = writeln!(
            text,
            "    cost     {cost}, about {} s each",
            scenario.seconds
        );
    }
    text
}

fn quirks() -> Result<String> {
    let mut text = String::new();
    let caught_by = mutants::caught_by().context("fixtures/mutants.toml")?;
    for (quirk, checks) in caught_by {
        let _ = writeln!(text, "{quirk} ({})", quirk.class());
        let _ = writeln!(text, "    does       {}", quirk.does());
        let _ = writeln!(text, "    mirrors    {}", quirk.mirrors());
        let _ = writeln!(text, "    caught by  {}", checks.join("\n               "));
    }
    Ok(text)
}

fn faults() -> String {
    let mut text = String::new();
    for kind in fault::all() {
        let _ = writeln!(text, "{}", kind.name);
        let _ = writeln!(text, "    strikes  {}", kind.strikes);
        let _ = writeln!(text, "    does     {}", kind.does);
    }
    text
}

fn promises() -> Result<String> {
    let promises = promise::all().context("fixtures/promises.toml")?;
    let expectations = Expectations::shipped()?;
    let mut text = String::new();
    for it in &promises {
        let _ = writeln!(text, "{} ({})", it.id, it.strength);
        let mut row = |name: &str, said: &[String]| {
            if !said.is_empty() {
                let said = said.join("\n               ");
                let _ = writeln!(text, "    {name:<10} {said}");
            }
        };
        row("promise", std::slice::from_ref(&it.says));
        row("source", &[format!("KeyDB {}", it.source)]);
        row("why", it.why.as_slice());
        row("covered by", &covered_by(it));
        row("turned red", &turned_red(it, &expectations));
        row("left out", it.note.as_slice());
    }
    let _ = writeln!(text, "{}", Counts::of(&promises, &expectations));
    Ok(text)
}

fn upstream_tests() -> Result<String> {
    let tests = upstream::all().context("fixtures/upstream-tests.toml")?;
    let expectations = Expectations::shipped()?;
    let mut text = String::new();
    for it in &tests {
        let _ = writeln!(text, "{} {}", it.number, it.says);
        let left_out = if it.ran {
            ""
        } else {
            ", which its runner leaves out"
        };
        let since = &it.since;
        let _ = writeln!(text, "    upstream   {}, since {since}{left_out}", it.file);
        let checks: Vec<String> = it.checks.iter().map(ToString::to_string).collect();
        let checks = checks.join("\n               ");
        let _ = writeln!(text, "    asked by   {checks}");
        let _ = writeln!(text, "    known      {}", known_of(it, &expectations));
        if let Some(note) = &it.note {
            let _ = writeln!(text, "    otherwise  {note}");
        }
    }
    let _ = writeln!(text, "{}", upstream::Counts::of(&tests, &expectations));
    Ok(text)
}

/// The verdict that is known of each release.
fn known_of(it: &Test, expectations: &[Expectations]) -> String {
    let known = it.known(expectations).into_iter().map(|(release, ids)| {
        let ids: Vec<&str> = ids.into_iter().collect();
        match ids.is_empty() {
            true => format!("{release} holds"),
            false => format!("{release} broken ({})", ids.join(", ")),
        }
    });
    known.collect::<Vec<_>>().join("; ")
}

fn covered_by(it: &Promise) -> Vec<String> {
    let mut said: Vec<String> = it.checks.iter().map(ToString::to_string).collect();
    let properties = it.properties.iter();
    said.extend(properties.map(|name| format!("every history: {name}")));
    if said.is_empty() && it.strength != Strength::NotTestable {
        said.push("not covered yet".to_owned());
    }
    said
}

fn turned_red(it: &Promise, expectations: &[Expectations]) -> Vec<String> {
    let mut said: Vec<String> = it.quirks.iter().map(|it| format!("quirk {it}")).collect();
    said.extend(it.relay.iter().map(|it| format!("relay, {it}")));
    said.extend(it.sabotages.iter().map(|it| format!("sabotage, {it}")));
    for (release, ids) in it.broken_on(expectations) {
        let ids: Vec<&str> = ids.into_iter().collect();
        said.push(format!("KeyDB {release}, {}", ids.join(", ")));
    }
    if said.is_empty() && it.is_covered() {
        said.push("by nothing yet".to_owned());
    }
    said
}

fn defects(release: &str) -> Result<String> {
    let expectations = Expectations::shipped()?;
    if !expectations.iter().any(|it| it.version == release) {
        let known: Vec<&str> = expectations.iter().map(|it| it.version.as_str()).collect();
        return Err(UsageProblem(format!(
            "--release {release}: nothing is known of it; there are {}",
            known.join(", ")
        ))
        .into());
    }
    let record = Record::shipped()?;
    let defects = defect::all().context("fixtures/defects.toml")?;
    let mut text = String::new();
    for it in &defects {
        let upstream = match it.upstream.is_empty() {
            true => String::new(),
            false => format!(" ({})", it.upstream.join(" ")),
        };
        let _ = writeln!(text, "{}{upstream}: {}", it.id, it.says);
        let _ = writeln!(text, "    {}", it.on(release, &expectations, &record));
    }
    let counts = defect::counts(&defects, release, &expectations, &record);
    let counts: Vec<String> = counts
        .iter()
        .map(|(name, n)| format!("{n} {name}"))
        .collect();
    let _ = writeln!(
        text,
        "{} defects, on {release}: {}",
        defects.len(),
        counts.join(", ")
    );
    Ok(text)
}
