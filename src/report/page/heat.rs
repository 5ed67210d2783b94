//! The matrices of a run in the form that the page shows as heat maps.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::property::conflict::Ending;
use crate::report::health_matrix;
use crate::report::matrix::{Matrix, matrices};
use crate::report::results::Results;

/// Conflicting writes with the links in one state.
#[derive(Debug, Clone, Serialize)]
pub struct Heat {
    title: String,
    release: String,
    links: String,
    /// The first primary's writes.
    rows: Vec<&'static str>,
    /// The second primary's, which are newer.
    columns: Vec<&'static str>,
    cells: Vec<Vec<Option<Cell>>>,
    /// What endings mean.
    words: BTreeMap<String, Word>,
}

#[derive(Debug, Clone, Serialize)]
struct Word {
    means: &'static str,
    converges: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Cell {
    text: String,
    converges: bool,
    /// Keys by ending.
    endings: BTreeMap<String, u32>,
}

impl Heat {
    /// Those of a run.
    pub(super) fn all(results: &Results) -> Vec<Self> {
        let found = matrices(std::slice::from_ref(results));
        found.iter().map(Self::of).collect()
    }

    fn of(matrix: &Matrix) -> Self {
        let (rows, columns) = (matrix.firsts(), matrix.seconds());
        let cell = |first: &str, second: &str| {
            let cell = matrix.cell(first, second)?;
            let counts = cell.counts();
            Some(Cell {
                text: cell.to_string(),
                converges: cell.converges(),
                endings: counts.map(|(it, keys)| (it.to_string(), keys)).collect(),
            })
        };
        let row = |first: &&str| columns.iter().map(|second| cell(first, second)).collect();
        let word = |it: Ending| Word {
            means: it.means(),
            converges: it.converges(),
        };
        let words = Ending::ALL.into_iter();
        Self {
            words: words.map(|it| (it.to_string(), word(it))).collect(),
            title: matrix.title(),
            release: matrix.release.clone(),
            links: matrix.links.clone(),
            cells: rows.iter().map(row).collect(),
            rows: rows.clone(),
            columns: columns.clone(),
        }
    }
}

/// What clients saw behind each health check of the proxy.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    columns: Vec<&'static str>,
    rows: Vec<&'static str>,
    cells: Vec<Vec<String>>,
    /// The longest time in which nobody was served, in seconds.
    gaps: Vec<Vec<Option<f64>>>,
}

impl Health {
    /// That of a run; none if it has none of these trials.
    pub(super) fn of(results: &Results) -> Option<Self> {
        let matrix = health_matrix::matrix(|id| results.trials.iter().find(|it| it.id == id));
        let seen = matrix.cells.iter().flatten().any(Option::is_some);
        let texts = |row: &Vec<Option<health_matrix::Cell>>| {
            let text = |cell: &Option<health_matrix::Cell>| {
                cell.as_ref()
                    .map_or_else(|| "-".to_owned(), ToString::to_string)
            };
            row.iter().map(text).collect()
        };
        let gaps = |row: &Vec<Option<health_matrix::Cell>>| {
            row.iter().map(|cell| Some(cell.as_ref()?.gap)).collect()
        };
        seen.then(|| Self {
            cells: matrix.cells.iter().map(texts).collect(),
            gaps: matrix.cells.iter().map(gaps).collect(),
            columns: matrix.columns,
            rows: matrix.rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrices_of_a_run_are_whole() {
        let text = include_str!("../../../fixtures/runs/process-6.3.4-matrix.json");
        let results: Results = serde_json::from_str(text).unwrap();
        let all = Heat::all(&results);
        assert_eq!(all.len(), 5);
        for heat in &all {
            let seen = heat.cells.iter().flatten().flatten().count();
            assert_eq!(seen, 248, "{}", heat.links);
        }
        assert!(Health::of(&results).is_none(), "it has no such trials");
    }
}
