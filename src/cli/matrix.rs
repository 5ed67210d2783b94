//! `matrix`: how conflicting writes ended in finished runs, as tables.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use keydb_harness::console;
use keydb_harness::report::folder::results;
use keydb_harness::report::matrix::{legend, matrices};
use keydb_harness::report::results::Results;
use keydb_harness::verdict::exit;

use super::UsageProblem;

#[derive(Debug, Args)]
pub(super) struct MatrixArgs {
    /// Folders that `check --report` wrote, or results.json files; trials of the same release are put
    /// together
    #[arg(value_name = "DIR|JSON", required = true)]
    runs: Vec<PathBuf>,
    /// Only the tables of this state of the links: up, delayed, frozen, cut or cut-full
    #[arg(long, value_name = "STATE")]
    links: Option<String>,
    /// Tables for a Markdown document
    #[arg(long)]
    markdown: bool,
}

pub(super) fn matrix(args: &MatrixArgs) -> Result<u8> {
    let runs: Vec<Results> = args
        .runs
        .iter()
        .map(|path| read(path))
        .collect::<Result<_>>()?;
    let mut all = matrices(&runs);
    if let Some(links) = &args.links {
        all.retain(|matrix| matrix.links == *links);
    }
    if all.is_empty() {
        let problem = "no trial of conflict-matrix is in there: run `keydb-harness check \
                       conflict-matrix --report DIR`";
        return Err(UsageProblem(problem.to_owned()).into());
    }
    for matrix in &all {
        match args.markdown {
            true => console::line(matrix.markdown()),
            false => console::line(matrix.text()),
        }
    }
    if !args.markdown {
        console::text("Rows: written on primary1. Columns: written on primary2, later.\n");
        console::text(
            "-: not measured (one needs a key and the other none, or a command is missing)\n",
        );
        console::text(legend(&all));
    }
    Ok(exit::AS_EXPECTED)
}

fn read(path: &Path) -> Result<Results> {
    Ok(results(path).map_err(|error| UsageProblem(error.to_string()))?)
}
