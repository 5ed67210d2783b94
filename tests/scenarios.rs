//! Every variant of every scenario as a test of its own, on the testbed that the environment asks
//! for or the best that is here. Nothing is listed here: the table is the library's.
//!
//! Those that take more than seconds are ignored, of the kind `normal`: `cargo test --test scenarios --
//! --include-ignored` runs them too.
//!
//! Without a KeyDB the tests are ignored, with the reason; they never pass unseen. When a testbed
//! or a KeyDB was asked for and cannot be had, they fail.

use std::process::ExitCode;
use std::sync::Arc;

use keydb_harness::check::{Planned, available, plan, run_until_conclusive};
use keydb_harness::lab::Lab;
use keydb_harness::scenario::Cost;
use keydb_harness::settings::Settings;
use keydb_harness::verdict::Verdict;
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::{Expectations, Standing, judge};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They mostly wait.
    arguments.test_threads.get_or_insert(9);
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(exit::USAGE);
        }
    };
    let runtime = Arc::new(tokio::runtime::Runtime::new().expect("a runtime"));
    let mut absent = None;
    let tests = match runtime.block_on(Lab::open(&settings)) {
        Ok(lab) => {
            eprintln!("{}", lab.first_line());
            if !lab.identity().is_real() {
                absent = Some("only the harness's model of it".to_owned());
            }
            let release = lab.identity().release();
            let expectations = match Expectations::load(&settings.expect, release) {
                Ok(expectations) => Arc::new(expectations),
                Err(error) => {
                    eprintln!("{error}");
                    return ExitCode::from(exit::USAGE);
                }
            };
            let lab = Arc::new(lab);
            let test = |planned: Planned| {
                let (runtime, lab) = (Arc::clone(&runtime), Arc::clone(&lab));
                let expectations = Arc::clone(&expectations);
                let test = Trial::test(planned.id(), move || {
                    runtime.block_on(verdict(&lab, planned, expectations.as_ref().as_ref()))
                });
                match planned.cost() {
                    Cost::Quick => test,
                    cost => test.with_kind(cost.to_string()).with_ignored_flag(true),
                }
            };
            let (can, cannot) = runtime.block_on(available(&lab, plan(&[], Cost::Normal)));
            let unavailable = cannot.into_iter().map(|(planned, reason)| {
                let test = Trial::test(planned.id(), move || Err(Failed::from(reason)));
                test.with_ignored_flag(true)
            });
            can.into_iter().map(test).chain(unavailable).collect()
        }
        Err(error) => {
            let asked_for = settings.name_something();
            let reason = error.to_string();
            absent = Some(reason.clone());
            let test = |planned: Planned| {
                let reason = reason.clone();
                Trial::test(planned.id(), move || Err(Failed::from(reason)))
                    .with_ignored_flag(!asked_for)
            };
            plan(&[], Cost::Normal).into_iter().map(test).collect()
        }
    };
    let conclusion = libtest_mimic::run(&arguments, tests);
    if let Some(reason) = absent {
        eprintln!("REAL KEYDB: NOT RUN: {reason}");
    }
    conclusion.exit_code()
}

/// What a test says of a trial: as expected, or the findings that are not.
async fn verdict(
    lab: &Lab,
    planned: Planned,
    expectations: Option<&Expectations>,
) -> Result<(), Failed> {
    let finished = run_until_conclusive(lab, planned).await;
    let outcome = &finished.outcome;
    if let Some(reason) = &outcome.environment {
        return Err(Failed::from(format!("not run: {reason}")));
    }
    let unsaid = keydb_harness::upstream::unsaid(&finished)?;
    if !unsaid.is_empty() {
        return Err(Failed::from(unsaid.join("\n")));
    }
    let standing = judge(outcome, expectations);
    eprintln!(
        "{}: {}, {standing}: {}",
        outcome.id(),
        outcome.verdict(),
        outcome.headline
    );
    // Stale entries fail as well, so that they are noticed.
    if matches!(standing, Standing::AsExpected | Standing::Known) {
        return Ok(());
    }
    let findings = outcome
        .findings
        .iter()
        .filter(|finding| finding.verdict != Verdict::Holds)
        .map(|f| {
            format!(
                "{} {}: {}\n    {}\n{}",
                f.verdict, f.check, f.promise, f.evidence, f.state
            )
        })
        .collect::<Vec<_>>()
        .join("\n");
    Err(Failed::from(format!("{standing}\n{findings}")))
}
