//! `check --inventory`: a cluster that runs somewhere, checked where it runs.

use std::time::Instant;

use anyhow::Result;
use keydb_harness::attached::inventory::Inventory;
use keydb_harness::attached::{self, plan};
use keydb_harness::cleanup::install_signal_handler;
use keydb_harness::console;
use keydb_harness::report::results::Results;
use keydb_harness::report::terminal::Progress;
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::Expectations;

use super::UsageProblem;
use super::check::CheckArgs;

pub(super) async fn check(args: CheckArgs) -> Result<u8> {
    let Some(file) = &args.inventory else {
        return Err(UsageProblem(
            "--testbed attached: name the cluster with --inventory FILE".to_owned(),
        )
        .into());
    };
    if let Some(flag) = args.needs_own_clusters() {
        return Err(UsageProblem(format!(
            "{flag}: on an attached cluster nothing is started; leave it out, or leave --inventory out"
        ))
        .into());
    }
    let inventory = Inventory::read(file).map_err(|error| UsageProblem(error.0))?;
    let (planned, left_out) = plan(&inventory, &args.filters, args.allow_faults);
    if planned.is_empty() && left_out.is_empty() {
        return Err(UsageProblem(format!(
            "no check is called like {}: `keydb-harness list --attached` names them all",
            args.filters.join(" or ")
        ))
        .into());
    }
    args.sinks.ready()?;
    let expect = args.expect.clone().unwrap_or_default();
    // What is struck is healed and what is written goes, also after Ctrl-C.
    install_signal_handler();
    let cluster = match attached::open(inventory).await {
        Ok(cluster) => cluster,
        Err(error) => {
            console::problem(format_args!("keydb-harness: {error}"));
            console::problem("REAL KEYDB: NOT RUN");
            return Ok(exit::ENVIRONMENT);
        }
    };
    let identity = cluster.identity().clone();
    console::line(&identity);
    let expectations = Expectations::load(&expect, identity.release())?;
    let frozen = args.sinks.frozen(identity.release())?;
    let mut told = Vec::new();
    for (planned, reason) in &left_out {
        let name = planned.check.name;
        if !told.contains(&name) {
            told.push(name);
            console::line(format_args!("left out     {name:<26} {reason}"));
        }
    }
    let began = Instant::now();
    let progress = Progress::new(expectations.as_ref(), args.verbose);
    let outcomes = cluster
        .run(&planned, &|outcome| progress.over(outcome))
        .await;
    match cluster.leave().await {
        Ok(said) => console::line(said),
        Err(problem) => console::problem(format_args!("keydb-harness: {problem}")),
    }
    let left_out = left_out
        .into_iter()
        .map(|(planned, reason)| (planned.id(), reason));
    let mut results = Results::of(
        &identity,
        outcomes.iter(),
        expectations.as_ref(),
        args.strict,
    );
    results.unavailable = left_out.collect();
    results.seconds = began.elapsed().as_secs_f64();
    args.sinks
        .write(&results, expectations.as_ref(), &[], frozen)?;
    if !identity.is_real() {
        console::line("REAL KEYDB: NOT RUN");
    }
    Ok(results.exit_code)
}
