//! What clients saw behind each health check of the proxy, as a table: from the newest runs of
//! `health-checks` and `returns-under-checks` on a release.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::results::{Judged, Results};
use crate::topology::HealthCheck;
use crate::verdict::Measure;

/// What clients saw, checks down, events across; nothing where that was not run.
#[derive(Debug, Clone)]
pub(super) struct HealthMatrix {
    pub columns: Vec<&'static str>,
    pub rows: Vec<&'static str>,
    pub cells: Vec<Vec<Option<Cell>>>,
}

/// How many sessions failed how, and for how long nobody was served.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    /// By kind, the number of sessions.
    failed: Vec<String>,
    /// The longest time in which nobody was served, in seconds.
    pub gap: f64,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.failed.is_empty() {
            true => write!(f, "none; {:.2} s", self.gap),
            false => write!(f, "{}; {:.2} s", self.failed.join(", "), self.gap),
        }
    }
}

/// Heading, trial without the check's name (`*`), and what its measures begin with.
const EVENTS: &[(&str, &str, &str)] = &[
    ("stands still", "health-checks/*", "frozen"),
    ("stops", "health-checks/*", "stopped"),
    ("loads for 6 s", "health-checks/*", "loading"),
    ("returns with 1 MB", "returns-under-checks/*-1mb", "returns"),
    ("with 50 MB", "returns-under-checks/*-50mb", "returns"),
    ("with 200 MB", "returns-under-checks/*-200mb", "returns"),
];

/// The matrix of the trials that `find` finds by their id.
pub(super) fn matrix<'a>(find: impl Fn(&str) -> Option<&'a Judged>) -> HealthMatrix {
    let row = |check: &str| -> Vec<Option<Cell>> {
        let cells = EVENTS.iter().map(|(_, trial, when)| {
            let trial = find(&trial.replace('*', check))?;
            Some(cell(&trial.outcome.measures, when))
        });
        cells.collect()
    };
    let rows = HealthCheck::ALL.iter().map(|(check, _)| *check);
    HealthMatrix {
        columns: EVENTS.iter().map(|(heading, ..)| *heading).collect(),
        cells: rows.clone().map(row).collect(),
        rows: rows.collect(),
    }
}

/// The same as a table, from the newest runs on a release.
pub(super) fn table(runs: &[(PathBuf, Results)], release: &str) -> String {
    let matrix = matrix(|id| newest(runs, release, id));
    let mut table = String::from("| check |");
    let mut rule = String::from("\n|---|");
    for heading in &matrix.columns {
        let _ = write!(table, " {heading} |");
        rule.push_str("---|");
    }
    table.push_str(&rule);
    table.push('\n');
    for (check, cells) in matrix.rows.iter().zip(&matrix.cells) {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| {
                cell.as_ref()
                    .map_or_else(|| "-".to_owned(), Cell::to_string)
            })
            .collect();
        let _ = writeln!(table, "| {check} | {} |", cells.join(" | "));
    }
    table
}

fn newest<'a>(runs: &'a [(PathBuf, Results)], release: &str, id: &str) -> Option<&'a Judged> {
    let runs = runs
        .iter()
        .filter(|(_, run)| run.identity.release() == release && run.identity.testbed == "process");
    let trials = runs.flat_map(|(_, run)| {
        let of_it = run.trials.iter().filter(|it| it.id == id);
        of_it.map(|trial| (&run.date, trial))
    });
    trials.max_by_key(|(date, _)| *date).map(|(_, trial)| trial)
}

fn cell(measures: &[Measure], when: &str) -> Cell {
    let mut failed = Vec::new();
    let mut gap = 0.0;
    for measure in measures {
        let Some(name) = measure.name.strip_prefix(&format!("{when}: ")) else {
            continue;
        };
        match (name, measure.unit.as_str()) {
            ("longest gap of all clients", _) => gap = measure.value,
            ("sent to it", _) => {}
            (kind, "sessions") => failed.push(format!("{} {kind}", measure.value)),
            _ => {}
        }
    }
    Cell { failed, gap }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_tells_errors_by_kind_and_the_longest_gap() {
        let measure = |name: &str, value: f64, unit: &str| Measure {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
        };
        let measures = [
            measure("loading: LOADING", 12.0, "sessions"),
            measure("loading: last LOADING after", 3.0, "s"),
            measure("loading: sent to it", 12.0, "sessions"),
            measure("loading: longest gap of all clients", 0.25, "s"),
            measure("loading: for", 6.0, "s"),
        ];
        assert_eq!(cell(&measures, "loading").to_string(), "12 LOADING; 0.25 s");
        assert_eq!(cell(&measures, "frozen").to_string(), "none; 0.00 s");
    }
}
