//! `list`: the scenarios, the faults, or the quirks of the model and what catches them.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use clap::Args;
use keydb_harness::console;
use keydb_harness::fault;
use keydb_harness::model::mutants;
use keydb_harness::scenario;
use keydb_harness::verdict::{exit, trial_id};

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Show the quirks of the model, and which checks catch each
    #[arg(long)]
    quirks: bool,
    /// Show the kinds of faults that a cluster can meet
    #[arg(long, conflicts_with = "quirks")]
    faults: bool,
}

pub(super) fn list(args: &ListArgs) -> Result<u8> {
    let text = match (args.quirks, args.faults) {
        (true, _) => quirks()?,
        (_, true) => faults(),
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
