//! The answers of upgrade checks that are kept as evidence, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::input;
use crate::upgrade::compare::Difference;
use crate::upgrade::rolling::Controls;
use crate::upgrade::ruling::Ruling;
use crate::upgrade::side_by_side::Direction;
use crate::upgrade::{Answer, Part};

/// Every `upgrade.json` in a folder, without those in the folders in it, with its name, in the order of
/// their names.
///
/// # Errors
/// One cannot be read: the text names it.
pub fn answers(folder: &Path) -> Result<Vec<(PathBuf, Answer)>> {
    let mut found = Vec::new();
    let cannot = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry?.path();
        if path.extension().is_none_or(|it| it != "json") {
            continue;
        }
        let name = || format!("{}: not an upgrade.json", path.display());
        let text = input::file(&path, input::RESULTS).with_context(name)?;
        let answer = serde_json::from_str(&text).with_context(name)?;
        found.push((path.strip_prefix(folder)?.to_owned(), answer));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// A step from one release to another on each line, whatever the answers in which it was looked at.
pub(super) fn table(answers: &[(PathBuf, Answer)]) -> String {
    let mut table = String::from(
        "| from, to | ruling | checks worse / better / undecided, of those made on both | \
         known as | rolling | measured | answers |\n|---|---|---|---|---|---|---|\n",
    );
    let mut steps: BTreeMap<(&str, &str), Vec<&(PathBuf, Answer)>> = BTreeMap::new();
    for kept in answers {
        let (from, to) = (kept.1.from.release(), kept.1.to.release());
        steps.entry((from, to)).or_default().push(kept);
    }
    for ((from, to), kept) in steps {
        let all = || kept.iter().map(|(_, answer)| answer);
        // What weighs most comes first.
        let ruling = all().map(|answer| answer.ruling).min();
        let files: Vec<String> = kept
            .iter()
            .map(|(file, _)| {
                let (file, name) = (file.display(), file.with_extension(""));
                format!("[`{}`](fixtures/upgrades/{file})", name.display())
            })
            .collect();
        let _ = writeln!(
            table,
            "| {from} to {to} | {} | {} | {} | {} | {} | {} |",
            ruling.map_or_else(String::new, |ruling| ruling.to_string()),
            joined(all().filter_map(side_by_side)),
            ids(all()),
            joined(all().filter_map(rolling)),
            joined(all().filter_map(measured)),
            files.join(" "),
        );
    }
    table
}

/// What was seen, or that nobody looked.
fn joined(seen: impl Iterator<Item = String>) -> String {
    match seen.collect::<Vec<_>>() {
        none if none.is_empty() => "not looked at".to_owned(),
        seen => seen.join("; "),
    }
}

fn side_by_side(answer: &Answer) -> Option<String> {
    let compared = answer.side_by_side.as_ref()?;
    let count = |direction| {
        let changes = compared.changes.iter();
        changes.filter(|it| it.direction == direction).count()
    };
    Some(format!(
        "{} / {} / {} of {}",
        count(Direction::Worse),
        count(Direction::Better),
        count(Direction::Undecided),
        compared.checks
    ))
}

/// The known defects that make the step unsafe, or that change something where nothing does.
fn ids<'a>(answers: impl Iterator<Item = &'a Answer> + Clone) -> String {
    let reasons = answers.flat_map(|answer| &answer.reasons);
    let of = |ruling| {
        let these = reasons.clone().filter(move |it| it.ruling == ruling);
        let ids: BTreeSet<&str> = these.filter_map(|it| it.id.as_deref()).collect();
        ids.into_iter().collect::<Vec<_>>().join(" ")
    };
    match of(Ruling::Unsafe) {
        none if none.is_empty() => of(Ruling::SafeWithChanges),
        ids => ids,
    }
}

fn rolling(answer: &Answer) -> Option<String> {
    if answer.skipped.contains(&Part::Rolling) || answer.rolled.is_empty() {
        return None;
    }
    let mut certain: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for rolled in &answer.rolled {
        let way = format!("{} ({})", rolled.way, rolled.persistence);
        let new: Vec<&str> = answer.broken_on(rolled).map(|it| &*it.check).collect();
        let again = rolled.certain().map(|finding| &*finding.check);
        let checks = again.filter(|check| new.contains(check));
        certain.entry(way).or_default().extend(checks);
    }
    certain.retain(|_, checks| !checks.is_empty());
    let told = |(way, checks): (String, BTreeSet<&str>)| {
        let checks: Vec<&str> = checks.into_iter().collect();
        format!("{way} breaks {}", checks.join(", "))
    };
    let certain: Vec<String> = certain.into_iter().map(told).collect();
    let silent = answer.rolled.iter().filter(|it| it.nothing.is_some());
    let mut said = match certain.is_empty() {
        true => "breaks nothing by itself".to_owned(),
        false => certain.join(", "),
    };
    match silent.count() {
        0 => {}
        some => {
            let _ = write!(
                said,
                " ({some} of {} ways say nothing)",
                answer.rolled.len()
            );
        }
    }
    // Answers of before do not tell what the old release was seen to keep.
    let controls = answer.controls.iter().filter(|it| it.tells_what_held);
    let news = controls.flat_map(Controls::news);
    let news: BTreeSet<&str> = news.map(|(_, check)| check).collect();
    if !news.is_empty() {
        let news = news.into_iter().collect::<Vec<_>>().join(", ");
        let _ = write!(said, "; every restart on the new release breaks {news}");
    }
    Some(said)
}

/// What came out differently, each as the new release's part of the old one's.
fn measured(answer: &Answer) -> Option<String> {
    if answer.skipped.contains(&Part::Measure) || answer.measured.is_empty() {
        return None;
    }
    let differs = answer.measured.iter().filter(|it| {
        let difference = it.comparison.difference;
        matches!(difference, Difference::Greater | Difference::Smaller)
    });
    let told: Vec<String> = differs
        .map(|it| format!("{} {:.2} times", it.name, it.comparison.ratio))
        .collect();
    Some(match told.is_empty() {
        true => "no difference that matters".to_owned(),
        false => told.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of this name, as it is kept, and as one that is changed.
    fn kept(name: &str, change: impl Fn(&mut Answer)) -> (PathBuf, Answer) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/upgrades");
        let all = answers(Path::new(folder)).unwrap();
        let file = PathBuf::from(name).with_added_extension("json");
        let (path, mut answer) = all.into_iter().find(|(path, _)| *path == file).unwrap();
        change(&mut answer);
        (path, answer)
    }

    #[test]
    fn two_answers_about_one_step_are_one_line() {
        let first = kept("6.2.2-6.3.4", |answer| {
            answer.skipped = [Part::Rolling, Part::Measure].into();
        });
        let second = kept("6.2.2-6.3.4", |answer| {
            answer.side_by_side = None;
            answer.ruling = Ruling::Inconclusive;
        });
        let lines = |answers: &[(PathBuf, Answer)]| -> Vec<String> {
            table(answers).lines().skip(2).map(str::to_owned).collect()
        };
        let [line] = &lines(std::slice::from_ref(&first))[..] else {
            panic!("one line");
        };
        assert!(line.starts_with("| 6.2.2 to 6.3.4 | unsafe |"), "{line}");
        assert_eq!(line.matches("not looked at").count(), 2, "{line}");
        let [line] = &lines(&[first, second])[..] else {
            panic!("one line");
        };
        assert!(
            line.contains("| unsafe |") && !line.contains("not looked at"),
            "{line}"
        );
        assert!(line.contains("throughput through the proxy 0."), "{line}");
    }

    #[test]
    fn ways_that_say_nothing_are_counted() {
        let (_, answer) = kept("6.2.2-6.3.4", |answer| {
            answer.rolled[0].nothing = Some("the fault did not bite".to_owned());
        });
        let said = rolling(&answer).unwrap();
        assert!(said.contains("(1 of 9 ways say nothing)"), "{said}");
    }
}
