//! `report`: the page and the summary of a run, made again from what it left.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use keydb_harness::console;
use keydb_harness::report::folder::{Kept, timelines, timelines_of_sides, write_answer};
use keydb_harness::report::junit;
use keydb_harness::report::page::Page;
use keydb_harness::report::results::schema;
use keydb_harness::report::terminal::summary;
use keydb_harness::report::upgrade::text;
use keydb_harness::settings::{ENV_EXPECT, Expect};
use keydb_harness::upgrade::ruling::rule;
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::Expectations;

use super::UsageProblem;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder that `check --report` or `upgrade --report` wrote
    #[arg(value_name = "DIR", required_unless_present = "schema")]
    dir: Option<PathBuf>,
    /// Only timelines of trials whose name contains one of these
    filters: Vec<String>,
    /// Where reasons of known deviations come from [default: what is shipped for the version]
    #[arg(long, env = ENV_EXPECT, value_name = "FILE|none")]
    expect: Option<Expect>,
    /// Write junit.xml into this file as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print the JSON schema of results.json instead
    #[arg(long, exclusive = true)]
    schema: bool,
}

/// The exit code says whether the page could be made; that of the run is in its summary.
pub(super) fn report(args: &ReportArgs) -> Result<u8> {
    let Some(dir) = &args.dir else {
        console::line(serde_json::to_string_pretty(&schema())?);
        return Ok(exit::AS_EXPECTED);
    };
    let wanted = |id: &str| {
        let mut filters = args.filters.iter();
        args.filters.is_empty() || filters.any(|filter| id.contains(filter.as_str()))
    };
    let mut kept = Kept::read(dir).map_err(|error| UsageProblem(error.to_string()))?;
    if let Kept::Upgrade(answer) = &mut kept {
        // By the rules of this version, as a history is judged again.
        (answer.ruling, answer.reasons) = rule(answer);
    }
    let page = match &kept {
        Kept::Run(results) => {
            let expect = args.expect.clone().unwrap_or_default();
            let version = results.expectations.as_deref().unwrap_or_default();
            let expectations = Expectations::load(&expect, version)
                .map_err(|error| UsageProblem(format!("--expect: {error}")))?;
            if let Some(file) = &args.junit {
                junit::write(results, expectations.as_ref(), file)?;
            }
            let timelines = timelines(dir, results, wanted)?;
            let page = Page::of_run(results, expectations.as_ref(), timelines)?;
            console::line(summary(results));
            page.write(dir)?
        }
        Kept::Upgrade(answer) => {
            if args.junit.is_some() {
                let problem = "--junit: an upgrade check has no junit.xml; it has upgrade.md";
                return Err(UsageProblem(problem.to_owned()).into());
            }
            write_answer(dir, answer)?;
            let page = Page::of_upgrade(answer, timelines_of_sides(dir, wanted)?)?;
            console::text(text(answer));
            page.write(dir)?
        }
    };
    console::line(format_args!("page: {}", page.display()));
    Ok(exit::AS_EXPECTED)
}
