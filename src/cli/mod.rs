//! Commands, one file each. To add one: a file, a variant of [`Command`], a line in [`main`].

mod attached;
mod check;
mod clean;
mod doctor;
mod engine;
mod explain;
mod inspect;
mod judge;
mod list;
mod matrix;
mod minimise;
mod model;
mod playground;
mod report;
mod reproduce;
mod schedule;
mod sinks;
mod stress;
mod tables;
mod until_fail;
mod upgrade;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use keydb_harness::cleanup::leave_the_end_to_a_signal;
use keydb_harness::console;
use keydb_harness::settings::{ENV_HAPROXY, ENV_KEYDB, ENV_TESTBED, Settings, TestbedChoice};
use keydb_harness::spec::{HaproxySpec, KeydbSpec};
use keydb_harness::verdict::exit;

/// Tells whether your KeyDB, in your active-active topology, keeps its promises.
#[derive(Debug, Parser)]
#[command(
    name = "keydb-harness",
    version,
    after_help = "Exit codes: 0 as expected; 1 regression or unexpected break; 2 inconclusive; \
                  3 environment; 64 usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the scenarios and judge them
    Check(check::CheckArgs),
    /// Look at a cluster that runs somewhere, without writing to it: what is wrong or risky
    Inspect(inspect::InspectArgs),
    /// Tell whether one may move from one KeyDB to another
    Upgrade(upgrade::UpgradeArgs),
    /// Start a reference cluster to play with
    Up(playground::UpArgs),
    /// Remove the cluster that `up` started
    Down,
    /// Start a cluster and keep it until SIGTERM: what `up` runs in the background
    #[command(hide = true)]
    Hold(playground::UpArgs),
    /// Show the scenarios: name, promise, source, cost
    List(list::ListArgs),
    /// Explain known defects: what one notices, why, what to do; or show which there are
    Explain(explain::ExplainArgs),
    /// Judge a saved history again, without servers
    Judge(judge::JudgeArgs),
    /// Make the page and the summary of a run again from its report folder
    Report(report::ReportArgs),
    /// Show how conflicting writes ended in finished runs, each kind against each
    Matrix(matrix::MatrixArgs),
    /// Find the shortest schedule that still breaks what a longer one broke
    Minimise(minimise::MinimiseArgs),
    /// Write a folder that shows a defect without the harness, or show which there are
    Reproduce(reproduce::ReproduceArgs),
    /// Sum up the runs that are kept, and make the tables of a document from them again
    Tables(tables::TablesArgs),
    /// Run the harness's model of KeyDB as a server of its own
    Model(model::ModelArgs),
    /// Show what is here, what is missing, and how to get it
    Doctor(doctor::DoctorArgs),
    /// Remove what any earlier run left on the engine or the machine
    Clean(clean::CleanArgs),
}

/// What to run against: shared by the commands that start servers.
#[derive(Debug, Clone, Args)]
struct LabArgs {
    /// auto, docker, process, embedded or attached
    #[arg(long, env = ENV_TESTBED, default_value = "auto", value_name = "TESTBED")]
    testbed: TestbedChoice,
    /// image:REF, path:FILE, version:X.Y.Z or model [default: version:6.3.4]
    #[arg(long, env = ENV_KEYDB, value_name = "SPEC")]
    keydb: Option<KeydbSpec>,
    /// image:REF, path:FILE or built-in
    #[arg(long, env = ENV_HAPROXY, value_name = "SPEC")]
    haproxy: Option<HaproxySpec>,
}

impl LabArgs {
    fn settings(&self) -> Settings {
        Settings {
            testbed: self.testbed,
            keydb: self.keydb.clone(),
            haproxy: self.haproxy.clone(),
            ..Settings::default()
        }
    }

    /// The flags that say the same.
    fn to_flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--testbed={}", self.testbed)];
        flags.extend(self.keydb.iter().map(|spec| format!("--keydb={spec}")));
        flags.extend(self.haproxy.iter().map(|spec| format!("--haproxy={spec}")));
        flags
    }
}

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::from(error)),
    };
    let code = runtime.block_on(async {
        match cli.command {
            Command::Check(args) => check::check(args).await,
            Command::Inspect(args) => inspect::inspect(args).await,
            Command::Upgrade(args) => upgrade::upgrade(args).await,
            Command::Up(args) => playground::up(args).await,
            Command::Down => playground::down().await,
            Command::Hold(args) => playground::hold(args).await,
            Command::List(args) => list::list(&args),
            Command::Explain(args) => explain::explain(&args),
            Command::Judge(args) => judge::judge(&args),
            Command::Report(args) => report::report(&args),
            Command::Matrix(args) => matrix::matrix(&args),
            Command::Minimise(args) => minimise::minimise(args).await,
            Command::Reproduce(args) => reproduce::reproduce(&args),
            Command::Tables(args) => tables::tables(&args),
            Command::Model(args) => model::model(args).await,
            Command::Doctor(args) => doctor::doctor(args).await,
            Command::Clean(args) => clean::clean(args).await,
        }
    });
    let code = match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error),
    };
    leave_the_end_to_a_signal();
    code
}

/// One clear error, and the exit code for it.
fn failed(error: &anyhow::Error) -> ExitCode {
    console::problem(format_args!("keydb-harness: {error:#}"));
    ExitCode::from(code_of(error))
}

fn code_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<UsageProblem>() {
        Some(_) => exit::USAGE,
        None => exit::ENVIRONMENT,
    }
}

/// Something about the command line that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageProblem(String);
