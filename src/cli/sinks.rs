//! Where a run's results go besides the terminal.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use keydb_harness::check::Finished;
use keydb_harness::console;
use keydb_harness::report::folder::{keep, of_failed_run, prepare, timelines};
use keydb_harness::report::freeze::Frozen;
use keydb_harness::report::github::annotations;
use keydb_harness::report::junit;
use keydb_harness::report::page::Page;
use keydb_harness::report::results::Results;
use keydb_harness::report::terminal::{hint, summary};
use keydb_harness::run::state_dir;
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::Expectations;

use super::UsageProblem;

#[derive(Debug, Args)]
pub(super) struct SinkArgs {
    /// Write the page index.html, results.json, histories, logs and INFO snapshots into this directory
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
    /// Write junit.xml into this file: what is known is skipped there, with its reason
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print annotations for this service at the end, besides the summary
    #[arg(long, value_name = "github")]
    format: Option<Format>,
    /// Freeze what was seen into this expectation file, for `--expect`
    #[arg(long, value_name = "FILE")]
    write_expectations: Option<PathBuf>,
    /// Add to what that file holds already, instead of replacing it
    #[arg(long, requires = "write_expectations")]
    merge: bool,
}

/// Who reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Runners of GitHub's actions
    Github,
}

impl SinkArgs {
    /// What cannot be written is found out before the run, not after it.
    pub(super) fn ready(&self) -> Result<(), UsageProblem> {
        if let Some(dir) = &self.report {
            prepare(dir).map_err(UsageProblem)?;
        }
        if let Some(file) = &self.junit {
            std::fs::File::create(file).map_err(|error| {
                UsageProblem(format!(
                    "--junit {}: {error}; name a file that can be written",
                    file.display()
                ))
            })?;
        }
        Ok(())
    }

    /// The file into which a run of this version is to be frozen.
    pub(super) fn frozen(&self, version: &str) -> Result<Option<Frozen>, UsageProblem> {
        let file = self.write_expectations.as_deref();
        let frozen = file.map(|file| Frozen::into(file, self.merge, version));
        frozen
            .transpose()
            .map_err(|error| UsageProblem(format!("{error:#}")))
    }

    /// Writes everything that was asked for, and a page of a run that failed in any case; then the
    /// summary.
    pub(super) fn write(
        &self,
        results: &Results,
        expectations: Option<&Expectations>,
        finished: &[Finished],
        frozen: Option<Frozen>,
    ) -> Result<()> {
        let report = match &self.report {
            Some(dir) => Some(dir.clone()),
            None if results.exit_code == exit::BROKEN => {
                Some(of_failed_run(&state_dir()?, results.seed)?)
            }
            None => None,
        };
        if let Some(dir) = &report {
            results.write(dir)?;
            for finished in finished {
                if !finished.artifacts.is_empty() {
                    keep(dir, finished)?;
                }
            }
            let timelines = timelines(dir, results, |_| true)?;
            let page = Page::of_run(results, expectations, timelines)?.write(dir)?;
            console::line(format_args!("page: {}", page.display()));
        }
        if let Some(file) = &self.junit {
            junit::write(results, expectations, file)?;
        }
        if self.format == Some(Format::Github) {
            for line in annotations(results, expectations) {
                console::line(line);
            }
        }
        if let Some(frozen) = frozen {
            console::line(frozen.write(results)?);
        }
        if let Some(hint) = hint(results, expectations) {
            console::line(hint);
        }
        console::line(summary(results));
        Ok(())
    }
}
