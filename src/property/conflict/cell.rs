//! A cell of the conflict matrix: how often the keys of one pair of writes ended how.

use std::collections::BTreeMap;
use std::fmt;

use super::Ending;
use crate::verdict::Measure;

/// The unit of the measures that hold a cell.
const UNIT: &str = "keys";

/// How the keys of one pair ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell(BTreeMap<Ending, u32>);

impl Cell {
    /// So many keys more that ended so.
    pub fn add(&mut self, ending: Ending, keys: u32) {
        *self.0.entry(ending).or_default() += keys;
    }

    /// Whether all nodes hold the same for each key.
    pub fn converges(&self) -> bool {
        self.0.keys().all(|ending| ending.converges())
    }

    /// The endings that were seen, with the number of keys.
    pub fn counts(&self) -> impl Iterator<Item = (Ending, u32)> {
        self.0.iter().map(|(ending, keys)| (*ending, *keys))
    }

    /// The endings that were seen.
    pub fn endings(&self) -> impl Iterator<Item = Ending> {
        self.0.keys().copied()
    }

    /// As measures of a trial; `pair` as [`crate::workload::conflict::Pair`] is shown.
    pub fn measures(&self, pair: &str) -> Vec<Measure> {
        let measure = |(ending, keys): (&Ending, &u32)| Measure {
            name: format!("{pair}: {ending}"),
            value: f64::from(*keys),
            unit: UNIT.to_owned(),
        };
        self.0.iter().map(measure).collect()
    }

    /// The pair, the ending and the number of keys that a measure tells; none if it tells of
    /// something else.
    pub fn read(measure: &Measure) -> Option<(&str, Ending, u32)> {
        let (pair, word) = measure.name.rsplit_once(": ")?;
        let keys = measure.value;
        let counts = measure.unit == UNIT && keys.fract() == 0.0 && (0.0..1e9).contains(&keys);
        let ending = word.parse().ok()?;
        counts.then_some((pair, ending, keys as u32))
    }
}

impl fmt::Display for Cell {
    /// The word; with counts where not all keys ended in the same way, the most frequent first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: Vec<_> = self.0.iter().collect();
        counts.sort_by_key(|(_, keys)| std::cmp::Reverse(**keys));
        let all: u32 = self.0.values().sum();
        let words: Vec<String> = match counts.as_slice() {
            [] => vec!["-".to_owned()],
            [(ending, _)] => vec![ending.to_string()],
            [(first, keys), others @ ..] => {
                let others = others.iter();
                let others = others.map(|(ending, keys)| format!("{ending} {keys}"));
                let first = format!("{first} {keys} of {all}");
                std::iter::once(first).chain(others).collect()
            }
        };
        f.pad(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ending::{Both, Swapped};
    use rstest::rstest;

    fn cell(counts: &[(Ending, u32)]) -> Cell {
        let mut cell = Cell::default();
        for (ending, keys) in counts {
            cell.add(*ending, *keys);
        }
        cell
    }

    #[rstest]
    #[case::not_measured(&[], "-", true)]
    #[case::all_alike(&[(Both, 2), (Both, 4)], "both", true)]
    #[case::most_first(&[(Both, 2), (Swapped, 4)], "swapped 4 of 6, both 2", false)]
    fn shown(#[case] counts: &[(Ending, u32)], #[case] text: &str, #[case] converges: bool) {
        let cell = cell(counts);
        assert_eq!(
            (cell.to_string().as_str(), cell.converges()),
            (text, converges)
        );
    }

    #[test]
    fn measures_read_back() {
        let cell = cell(&[(Both, 2), (Swapped, 4)]);
        let measures = cell.measures("SET > DEL");
        let read: Vec<_> = measures.iter().filter_map(Cell::read).collect();
        assert_eq!(read, [("SET > DEL", Both, 2), ("SET > DEL", Swapped, 4)]);
    }

    #[rstest]
    #[case::another_unit("SET > DEL: both", 6.0, "s")]
    #[case::another_word("SET > DEL: won", 6.0, "keys")]
    #[case::no_word("keys", 6.0, "keys")]
    #[case::half_a_key("SET > DEL: both", 0.5, "keys")]
    fn what_is_no_cell(#[case] name: &str, #[case] value: f64, #[case] unit: &str) {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        assert_eq!(Cell::read(&Measure { name, value, unit }), None);
    }
}
