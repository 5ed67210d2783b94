//! `doctor`: what is here, what is missing, and how to get it.

mod docker;
mod machine;
mod row;

use anyhow::Result;
use clap::Args;
use keydb_harness::console;
use keydb_harness::lab::{Outlook, outlook};
use keydb_harness::testbed::TestbedKind;
use keydb_harness::verdict::exit;

use self::row::{State, table};
use super::LabArgs;

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    lab: LabArgs,
}

pub(super) async fn doctor(args: DoctorArgs) -> Result<u8> {
    let mut rows = docker::rows().await;
    rows.extend(machine::programs());
    let state = machine::state_dir();
    let writable = state.state == State::Here;
    rows.push(state);
    rows.extend(machine::system());
    rows.push(machine::leftovers().await);
    console::text(table(&rows));

    let settings = args.lab.settings();
    let outlooks = outlook(&settings).await;
    console::line(format_args!(
        "\n`check` with --testbed {}:",
        settings.testbed
    ));
    for line in conclusion(&outlooks) {
        console::line(format_args!("  {line}"));
    }
    let could_run = outlooks
        .iter()
        .any(|(_, outlook)| !matches!(outlook, Outlook::Refused(_)));
    Ok(match could_run && writable {
        true => exit::AS_EXPECTED,
        false => exit::ENVIRONMENT,
    })
}

/// A line per testbed: whether it is taken, and why.
fn conclusion(outlooks: &[(TestbedKind, Outlook)]) -> Vec<String> {
    let mut open = "is taken";
    let mut lines = Vec::new();
    for (kind, outlook) in outlooks {
        let what = match outlook {
            Outlook::Ready if open.is_empty() => "could be taken, too".to_owned(),
            Outlook::Ready => format!("{open}: what it needs is here"),
            Outlook::Fetches(images) => {
                format!(
                    "is taken if the engine can fetch {}; not tried now",
                    images.join(" and ")
                )
            }
            Outlook::Refused(error) => format!("is not taken: {error}"),
        };
        lines.push(format!("{:<8} {what}", kind.to_string()));
        open = match outlook {
            Outlook::Ready => "",
            Outlook::Fetches(_) if !open.is_empty() => "is taken otherwise",
            _ => open,
        };
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use keydb_harness::testbed::EnvironmentError;

    #[test]
    fn the_first_that_is_ready_is_taken() {
        let refused = Outlook::Refused(EnvironmentError::new("no engine: start it"));
        let fetches = Outlook::Fetches(vec!["a:1".to_owned(), "b:2".to_owned()]);
        let lines = |first: Outlook| {
            conclusion(&[
                (TestbedKind::Docker, first),
                (TestbedKind::Process, Outlook::Ready),
            ])
        };
        assert_eq!(
            lines(refused),
            [
                "docker   is not taken: no engine: start it",
                "process  is taken: what it needs is here"
            ]
        );
        assert_eq!(
            lines(fetches),
            [
                "docker   is taken if the engine can fetch a:1 and b:2; not tried now",
                "process  is taken otherwise: what it needs is here"
            ]
        );
        assert_eq!(
            lines(Outlook::Ready),
            [
                "docker   is taken: what it needs is here",
                "process  could be taken, too"
            ]
        );
    }
}
