//! The conflict matrix of finished runs as tables: one for each release and state of the links.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::results::Results;
use crate::property::conflict::{Cell, Ending};
use crate::scenario::MATRIX;
use crate::workload::conflict::{COMMANDS, name};

/// Columns of a table for a terminal; further ones come in a table below, with all rows again.
const ABREAST: usize = 8;

/// A table: how each pair of writes ended with the links in one state.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    /// What ran, such as `6.3.4`.
    pub release: String,
    /// The state of the links: a variant of the scenario.
    pub links: String,
    /// How many trials it is made of.
    pub trials: usize,
    /// By the pair's name.
    cells: BTreeMap<String, Cell>,
    /// How the links were synchronised, each kind of trial once.
    resyncs: BTreeSet<String>,
}

/// The matrices of these runs; trials of the same release and state of the links are put together.
/// In the order in which they come.
pub fn matrices(runs: &[Results]) -> Vec<Matrix> {
    let mut all: Vec<Matrix> = Vec::new();
    for run in runs {
        let release = run.identity.release();
        for trial in run.trials.iter().filter(|it| it.outcome.scenario == MATRIX) {
            let outcome = &trial.outcome;
            let cells: Vec<_> = outcome.measures.iter().filter_map(Cell::read).collect();
            if cells.is_empty() {
                continue;
            }
            let same = |it: &Matrix| it.release == release && it.links == outcome.variant;
            let position = all.iter().position(same).unwrap_or_else(|| {
                all.push(Matrix {
                    release: release.to_owned(),
                    links: outcome.variant.clone(),
                    ..Matrix::default()
                });
                all.len() - 1
            });
            let matrix = &mut all[position];
            matrix.trials += 1;
            for (pair, ending, keys) in cells {
                let cell = matrix.cells.entry(pair.to_owned()).or_default();
                cell.add(ending, keys);
            }
            let counted = |what: &str| {
                let mut measures = outcome.measures.iter();
                let found = measures.find(|it| it.name == format!("{what} resyncs"));
                found.map_or(0.0, |it| it.value)
            };
            let resyncs = format!("{} full, {} partial", counted("full"), counted("partial"));
            matrix.resyncs.insert(resyncs);
        }
    }
    all
}

impl Matrix {
    /// In how many of the pairs any node differed from another in the end, and of how many.
    pub fn apart(&self) -> (usize, usize) {
        let apart = self.cells.values().filter(|cell| !cell.converges());
        (apart.count(), self.cells.len())
    }

    /// The title: what it is of.
    pub fn title(&self) -> String {
        let (apart, all) = self.apart();
        let resyncs = self.resyncs.iter().cloned().collect::<Vec<_>>();
        format!(
            "{}, links {}: {apart} of {all} pairs do not converge (trials {}; resyncs {})",
            self.release,
            self.links,
            self.trials,
            resyncs.join(" or ")
        )
    }

    /// For a terminal. Rows are the first primary's writes, columns the second's, which are newer.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.title());
        for seconds in self.seconds().chunks(ABREAST) {
            let rows = self.rows(seconds);
            let widths: Vec<usize> = (0..rows[0].len())
                .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
                .collect();
            text.push('\n');
            for row in &rows {
                let cells = row.iter().zip(&widths);
                let cells: Vec<_> = cells
                    .map(|(cell, width)| format!("{cell:<width$}"))
                    .collect();
                let _ = writeln!(text, "{}", cells.join("  ").trim_end());
            }
        }
        text
    }

    /// For a Markdown document.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.title());
        for (number, row) in self.rows(&self.seconds()).iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if number == 0 {
                let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
            }
        }
        text
    }

    pub(super) fn cell(&self, first: &str, second: &str) -> Option<&Cell> {
        self.cells.get(&name(first, second))
    }

    /// The kinds of write that were measured as the first one.
    pub(super) fn firsts(&self) -> Vec<&'static str> {
        let any = |first: &&str| names().any(|second| self.cell(first, second).is_some());
        names().filter(any).collect()
    }

    /// Those that were measured as the second one.
    pub(super) fn seconds(&self) -> Vec<&'static str> {
        let any = |second: &&str| names().any(|first| self.cell(first, second).is_some());
        names().filter(any).collect()
    }

    /// The names and cells of these columns, with those of the head first.
    fn rows(&self, seconds: &[&str]) -> Vec<Vec<String>> {
        let head = std::iter::once("then").chain(seconds.iter().copied());
        let row = |first: &&str| {
            let cells = seconds.iter().map(|second| {
                let cell = self.cell(first, second);
                cell.map_or_else(|| Cell::default().to_string(), Cell::to_string)
            });
            std::iter::once((*first).to_owned()).chain(cells).collect()
        };
        std::iter::once(head.map(str::to_owned).collect())
            .chain(self.firsts().iter().map(row))
            .collect()
    }
}

/// The kinds of write, in their order.
fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name)
}

/// What the words in the cells of these mean, a line for each that occurs.
pub fn legend(matrices: &[Matrix]) -> String {
    let cells = matrices.iter().flat_map(|matrix| matrix.cells.values());
    let seen: BTreeSet<Ending> = cells.flat_map(Cell::endings).collect();
    let mut text = String::new();
    for ending in seen {
        let _ = writeln!(text, "{ending:<8} {}", ending.means());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::conflict::pairs;
    use Ending::{Both, Swapped};

    fn of(cells: &[(&str, Ending, u32)]) -> Matrix {
        let mut matrix = Matrix {
            release: "6.3.4".to_owned(),
            links: "cut".to_owned(),
            trials: 1,
            resyncs: BTreeSet::from(["0 full, 2 partial".to_owned()]),
            ..Matrix::default()
        };
        for (pair, ending, keys) in cells {
            let cell = matrix.cells.entry((*pair).to_owned()).or_default();
            cell.add(*ending, *keys);
        }
        matrix
    }

    #[test]
    fn a_row_for_each_first_write_and_a_column_for_each_second() {
        let matrix = of(&[
            ("SET > DEL", Swapped, 6),
            ("DEL > SET", Both, 6),
            ("DEL > XADD", Both, 6),
        ]);
        let markdown = matrix.markdown();
        let title =
            "6.3.4, links cut: 1 of 3 pairs do not converge (trials 1; resyncs 0 full, 2 partial)";
        let lines: Vec<&str> = markdown.lines().collect();
        let wanted = [
            title,
            "",
            "| then | SET | DEL | XADD |",
            "|---|---|---|---|",
            "| SET | - | swapped | - |",
            "| DEL | both | - | both |",
        ];
        assert_eq!(lines, wanted);
        let text = matrix.text();
        assert!(text.contains("\nDEL   both  -        both\n"), "{text}");
    }

    #[test]
    fn a_table_for_a_terminal_is_as_wide_as_eight_kinds() {
        let pairs = pairs().map(|pair| pair.to_string()).collect::<Vec<_>>();
        let cells: Vec<_> = pairs.iter().map(|pair| (&**pair, Swapped, 6)).collect();
        let text = of(&cells).text();
        assert!(text.lines().skip(1).all(|line| line.len() < 100), "{text}");
        let heads = text.lines().filter(|line| line.starts_with("then "));
        assert_eq!((heads.count(), text.lines().count()), (2, 1 + 2 * 18));
    }

    #[test]
    fn the_legend_has_what_occurs() {
        let words = legend(&[of(&[("SET > DEL", Swapped, 6), ("DEL > SET", Both, 6)])]);
        assert_eq!(words.lines().count(), 2);
    }

    #[test]
    fn the_trials_of_a_release_are_put_together() {
        let text = include_str!("../../fixtures/runs/process-6.3.4-matrix.json");
        let read = || serde_json::from_str(text).unwrap();
        let all = matrices(&[read(), read()]);
        let links: BTreeSet<&str> = all.iter().map(|it| it.links.as_str()).collect();
        assert_eq!((all.len(), links.len()), (5, 5));
        for matrix in &all {
            assert_eq!((matrix.trials, matrix.apart().1), (10, 248));
        }
        let cut = all.iter().find(|it| it.links == "cut").unwrap();
        assert_eq!(cut.cells["SET > DEL"].to_string(), "swapped");
    }
}
