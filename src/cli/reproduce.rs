//! `reproduce`: folders that show defects without the harness.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use keydb_harness::console;
use keydb_harness::history::Saved;
use keydb_harness::report::folder::results;
use keydb_harness::reproduction::{Reproduced, SCRIPT, all, named, of_run};
use keydb_harness::spec::KeydbSpec;
use keydb_harness::verdict::exit;

use super::UsageProblem;

#[derive(Debug, Args)]
pub(super) struct ReproduceArgs {
    /// Which defect, for example F6; all are shown if none is named
    #[arg(value_name = "ID", conflicts_with = "from")]
    id: Option<String>,
    /// The folder to write
    #[arg(value_name = "DIR", requires = "id")]
    dir: Option<PathBuf>,
    /// Reproduce what a run found broken: the folder that `check --report` wrote; folders go to its
    /// `reproductions`
    #[arg(long, value_name = "REPORT_DIR")]
    from: Option<PathBuf>,
    /// The image's KeyDB: version:X.Y.Z or image:REF [default: one on which it was seen]
    #[arg(long, value_name = "SPEC")]
    keydb: Option<KeydbSpec>,
}

pub(super) fn reproduce(args: &ReproduceArgs) -> Result<u8> {
    if let Some(report) = &args.from {
        return from_report(report, args.keydb.as_ref());
    }
    let Some(id) = &args.id else {
        for it in all() {
            console::line(format_args!(
                "{:<8} {} (KeyDB {})",
                it.id,
                it.title,
                it.seen_on.join(", ")
            ));
        }
        return Ok(exit::AS_EXPECTED);
    };
    let it = named(id).ok_or_else(|| {
        let ids: Vec<_> = all().iter().map(|it| it.id).collect();
        UsageProblem(format!(
            "no reproduction is called {id}; there are {}",
            ids.join(", ")
        ))
    })?;
    let dir = args
        .dir
        .as_ref()
        .ok_or_else(|| UsageProblem(format!("where to? Write `reproduce {id} DIR`")))?;
    let folder = it
        .folder(args.keydb.as_ref())
        .map_err(|error| UsageProblem(error.to_string()))?;
    folder.write(dir)?;
    console::line(format_args!("{}: {}", it.id, dir.join(SCRIPT).display()));
    Ok(exit::AS_EXPECTED)
}

fn from_report(report: &Path, keydb: Option<&KeydbSpec>) -> Result<u8> {
    let results = results(report).map_err(|error| UsageProblem(format!("--from {error}")))?;
    let history = |trial: &str| Saved::load(&report.join(trial.replace('/', "-"))).ok();
    write_all(
        &of_run(&results, keydb, &history),
        &report.join("reproductions"),
    )?;
    Ok(exit::AS_EXPECTED)
}

/// Writes each into a folder of its own below `dir`, and says so.
pub(super) fn write_all(reproduced: &[Reproduced], dir: &Path) -> Result<()> {
    if reproduced.is_empty() {
        console::line("nothing is broken: no reproduction was written");
    }
    for it in reproduced {
        let explained: Vec<String> = it.explains.iter().map(|broken| broken.told()).collect();
        let explained = explained.join(", ");
        match &it.folder {
            Ok(folder) => {
                let path = dir.join(&it.name);
                folder.write(&path).context("a reproduction")?;
                let derived = if it.derived { "derived" } else { "written" };
                console::line(format_args!(
                    "{derived:<9} {} ({explained})",
                    path.join(SCRIPT).display()
                ));
            }
            Err(error) => console::line(format_args!("{:<9} {error} ({explained})", "none")),
        }
    }
    Ok(())
}
