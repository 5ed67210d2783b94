//! `list`: the scenarios, the faults, the quirks of the model and what catches them, or the promises
//! and what looks at them.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use clap::Args;
use keydb_harness::console;
use keydb_harness::fault;
use keydb_harness::model::mutants;
use keydb_harness::promise::{self, Counts, Promise, Strength};
use keydb_harness::scenario;
use keydb_harness::verdict::expectation::Expectations;
use keydb_harness::verdict::{exit, trial_id};

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
}

pub(super) fn list(args: &ListArgs) -> Result<u8> {
    let text = match args {
        ListArgs { quirks: true, .. } => quirks()?,
        ListArgs { faults: true, .. } => faults(),
        ListArgs { promises: true, .. } => promises()?,
        _ => scenarios(),
    };
    console::text(text);
    Ok(exit::AS_EXPECTED)
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
        let _ = writeln!(text, "    cost     about {} s each", scenario.seconds);
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
