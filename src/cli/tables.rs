//! `tables`: sums up the runs that are kept as evidence, and writes the tables made from them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use keydb_harness::console;
use keydb_harness::record::{Record, runs};
use keydb_harness::report::tables::fill;
use keydb_harness::report::upgrade_table::answers;
use keydb_harness::verdict::exit;

#[derive(Debug, Args)]
pub(super) struct TablesArgs {
    /// The folder with the results.json files of the runs
    #[arg(long, value_name = "DIR", default_value = "fixtures/runs")]
    runs: PathBuf,
    /// The folder with the answers of upgrade checks
    #[arg(long, value_name = "DIR", default_value = "fixtures/upgrades")]
    upgrades: PathBuf,
    /// The file that gets their sum
    #[arg(long, value_name = "FILE", default_value = "fixtures/record.toml")]
    record: PathBuf,
    /// The document whose marked tables are made again
    #[arg(value_name = "FILE", default_value = "README.md")]
    document: PathBuf,
}

pub(super) fn tables(args: &TablesArgs) -> Result<u8> {
    let record = Record::of(&args.runs).with_context(|| {
        let runs = args.runs.display();
        format!(
            "--runs {runs}: name the folder with the runs, or work where the harness's source is"
        )
    })?;
    write(&args.record, &record.text()?)?;
    let name = args.document.display();
    let text = fs::read_to_string(&args.document)
        .with_context(|| format!("{name}: name a document that has marked tables"))?;
    let upgrades = answers(&args.upgrades).with_context(|| {
        format!(
            "--upgrades {}: name the folder with them",
            args.upgrades.display()
        )
    })?;
    let filled = fill(&text, &record, &runs(&args.runs)?, &upgrades);
    let filled = filled.with_context(|| name.to_string())?;
    write(&args.document, &filled)?;
    console::line(format_args!(
        "{} and {name} are as the runs say",
        args.record.display()
    ));
    Ok(exit::AS_EXPECTED)
}

fn write(file: &PathBuf, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
