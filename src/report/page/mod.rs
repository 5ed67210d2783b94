//! A run as one page for a browser: self-contained, without a network.
//!
//! What the page shows is [`Page`], as JSON within it; how it shows it are the files in `assets`.

mod heat;
mod log;
mod timeline;

pub use heat::{Health, Heat};
pub use timeline::{Artifact, Timeline};

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::results::{Judged, Results};
use crate::explanation;
use crate::upgrade::Answer;
use crate::verdict::Verdict;
use crate::verdict::expectation::{Expectations, Frequency, Kind, Standing};

/// What the page is called in its folder.
pub const FILE: &str = "index.html";
/// The version of what the page's scripts read.
const FORMAT: u32 = 1;
/// The text of timelines that a page holds at most, in bytes: a browser has to load it. What is
/// looked at first is in it first.
const MOST: usize = 12 << 20;

const TEMPLATE: &str = include_str!("assets/page.html");
const STYLES: &[&str] = &[
    include_str!("assets/page.css"),
    include_str!("assets/timeline.css"),
];
const SCRIPTS: &[&str] = &[
    include_str!("assets/model.js"),
    include_str!("assets/overview.js"),
    include_str!("assets/trials.js"),
    include_str!("assets/matrices.js"),
    include_str!("assets/timeline_model.js"),
    include_str!("assets/timeline_draw.js"),
    include_str!("assets/timeline_operations.js"),
    include_str!("assets/timeline_latency.js"),
    include_str!("assets/timeline_card.js"),
    include_str!("assets/timeline_log.js"),
    include_str!("assets/timeline.js"),
    include_str!("assets/upgrade_plots.js"),
    include_str!("assets/upgrade.js"),
    include_str!("assets/main.js"),
];

/// Everything that a page shows.
#[derive(Debug, Serialize)]
pub struct Page<'a> {
    format: u32,
    kind: &'static str,
    harness: &'static str,
    results: Option<&'a Results>,
    /// By trial and check.
    known: BTreeMap<&'a str, BTreeMap<&'a str, Known>>,
    explanations: BTreeMap<String, Explained>,
    matrices: Vec<Heat>,
    health: Option<Health>,
    timelines: Vec<Timeline>,
    /// Trials whose timelines the page has no room for.
    timelines_left_out: Vec<String>,
    upgrade: Option<&'a Answer>,
}

/// Why a broken check is no news.
#[derive(Debug, Serialize)]
struct Known {
    id: String,
    why: String,
    kind: &'static str,
}

/// A known defect.
#[derive(Debug, Serialize)]
struct Explained {
    title: String,
    text: String,
    mend: String,
}

impl<'a> Page<'a> {
    /// The page of a run. Timelines that would make it too large to load are left out: those of
    /// trials that came out as expected first.
    ///
    /// # Errors
    /// The harness's own explanations cannot be read.
    pub fn of_run(
        results: &'a Results,
        expectations: Option<&Expectations>,
        timelines: Vec<Timeline>,
    ) -> Result<Self> {
        let mut known: BTreeMap<&str, BTreeMap<&str, Known>> = BTreeMap::new();
        for trial in &results.trials {
            for finding in &trial.outcome.findings {
                if finding.verdict != Verdict::Broken {
                    continue;
                }
                let deviation = expectations.and_then(|it| {
                    let mut all = it.deviations_of(&trial.outcome);
                    all.find(|deviation| deviation.check == finding.check)
                });
                let Some(it) = deviation else { continue };
                let kind = match (it.kind, it.frequency) {
                    (Kind::Limitation, _) => "limitation",
                    (_, Frequency::Sometimes) => "sometimes",
                    _ => "known",
                };
                let of_trial = known.entry(&trial.id).or_default();
                of_trial.insert(
                    &finding.check,
                    Known {
                        id: it.id.clone(),
                        why: it.reason.clone(),
                        kind,
                    },
                );
            }
        }
        let ids = known.values().flat_map(BTreeMap::values);
        let ids: Vec<String> = ids.map(|known| known.id.clone()).collect();
        let urgency = |timeline: &Timeline| {
            let trials = results.trials.iter();
            let of_it = trials.filter(|it| it.id == timeline.trial);
            of_it.map(urgency).min().unwrap_or(usize::MAX)
        };
        let (timelines, timelines_left_out) = within_limits(timelines, urgency);
        Ok(Self {
            format: FORMAT,
            kind: "check",
            harness: env!("CARGO_PKG_VERSION"),
            results: Some(results),
            known,
            explanations: explained(&ids)?,
            matrices: Heat::all(results),
            health: Health::of(results),
            timelines,
            timelines_left_out,
            upgrade: None,
        })
    }

    /// The page of an upgrade check.
    ///
    /// # Errors
    /// The harness's own explanations cannot be read.
    pub fn of_upgrade(answer: &'a Answer, timelines: Vec<Timeline>) -> Result<Self> {
        let ids = answer.reasons.iter().filter_map(|it| it.id.clone());
        let changes = answer.side_by_side.iter().flat_map(|it| &it.changes);
        let ids: Vec<String> = ids.chain(changes.filter_map(|it| it.id.clone())).collect();
        let calm = |it: &Timeline| usize::from(it.verdict == Verdict::Holds);
        let (timelines, timelines_left_out) = within_limits(timelines, calm);
        Ok(Self {
            format: FORMAT,
            kind: "upgrade",
            harness: env!("CARGO_PKG_VERSION"),
            results: None,
            known: BTreeMap::new(),
            explanations: explained(&ids)?,
            matrices: Vec::new(),
            health: None,
            timelines,
            timelines_left_out,
            upgrade: Some(answer),
        })
    }

    /// Writes it into a folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        let path = dir.join(FILE);
        fs::write(&path, self.html()?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The text of the page.
    ///
    /// # Errors
    /// What it shows is no JSON.
    pub fn html(&self) -> Result<String> {
        let title = match (self.results, self.upgrade) {
            (Some(results), _) => format!("KeyDB {}", results.identity.release()),
            (_, Some(answer)) => {
                format!("KeyDB {} to {}", answer.from.release(), answer.to.release())
            }
            _ => "keydb-harness".to_owned(),
        };
        let data = within_script(&serde_json::to_string(self)?);
        let mut page = String::with_capacity(data.len() + (256 << 10));
        let mut rest = TEMPLATE;
        // One pass, so that nothing that is put in is taken for a place to put something.
        while let Some((before, after)) = rest.split_once("{{") {
            page.push_str(before);
            let (name, after) = after
                .split_once("}}")
                .context("the template has an open end")?;
            match name {
                "TITLE" => page.push_str(&within_text(&title)),
                "STYLE" => STYLES.iter().for_each(|style| page.push_str(style)),
                "DATA" => page.push_str(&data),
                "SCRIPT" => SCRIPTS.iter().for_each(|script| page.push_str(script)),
                other => anyhow::bail!("the template has no place called {other}"),
            }
            rest = after;
        }
        page.push_str(rest);
        Ok(page)
    }
}

/// What is looked at first: 0.
fn urgency(trial: &Judged) -> usize {
    match trial.standing {
        Standing::Regression | Standing::New => 0,
        Standing::Inconclusive => 1,
        Standing::Fixed => 2,
        Standing::Known => 3,
        Standing::AsExpected => 4,
    }
}

/// The most urgent timelines that fit, in their order; and the trials of those that do not.
fn within_limits(
    timelines: Vec<Timeline>,
    urgency: impl Fn(&Timeline) -> usize,
) -> (Vec<Timeline>, Vec<String>) {
    let mut order: Vec<usize> = (0..timelines.len()).collect();
    order.sort_by_key(|at| urgency(&timelines[*at]));
    let mut left = MOST;
    let mut fits = vec![false; timelines.len()];
    for at in order {
        let size = serde_json::to_vec(&timelines[at]).map_or(usize::MAX, |text| text.len());
        if size <= left {
            left -= size;
            fits[at] = true;
        }
    }
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for (timeline, fits) in timelines.into_iter().zip(fits) {
        match fits {
            true => kept.push(timeline),
            false => left_out.push(timeline.trial),
        }
    }
    (kept, left_out)
}

fn explained(ids: &[String]) -> Result<BTreeMap<String, Explained>> {
    let all = explanation::all()?;
    let wanted = all.iter().filter(|it| ids.contains(&it.id));
    let told = wanted.map(|it| {
        let explained = Explained {
            title: it.title().to_owned(),
            text: it.mechanism.clone(),
            mend: it.advice.join("; "),
        };
        (it.id.clone(), explained)
    });
    Ok(told.collect())
}

/// JSON that ends no script element, whatever it holds.
fn within_script(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + json.len() / 16);
    for character in json.chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

fn within_text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn data(page: &str) -> serde_json::Value {
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        let (json, _) = rest.split_once("</script>").unwrap();
        serde_json::from_str(json).unwrap()
    }

    /// A file of an asset that is in no list would not be missed.
    #[test]
    fn every_asset_is_in_the_page_in_the_order_that_the_template_names() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/page/assets");
        let files = fs::read_dir(folder).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut at = Vec::new();
        for name in names.filter(|name| name != "page.html") {
            let text = fs::read_to_string(Path::new(folder).join(&name)).unwrap();
            let mut lists = [STYLES, SCRIPTS].into_iter();
            let place = lists.find_map(|list| list.iter().position(|it| *it == text));
            let place = place.unwrap_or_else(|| panic!("{name} is in no list"));
            let told = TEMPLATE
                .find(&*name)
                .unwrap_or_else(|| panic!("{name} is not told"));
            at.push((name.ends_with(".js"), told, place));
        }
        at.sort_unstable();
        assert!(
            at.is_sorted_by_key(|(script, _, place)| (*script, *place)),
            "{at:?}"
        );
    }

    #[test]
    fn a_page_holds_its_run() {
        let (results, expectations) = samples::run();
        let page = Page::of_run(&results, Some(&expectations), Vec::new()).unwrap();
        let data = data(&page.html().unwrap());
        let trials = data["results"]["trials"].as_array().unwrap();
        assert_eq!(trials.len(), results.trials.len());
        assert_eq!(data["known"]["total-outage/aof"]["newest-wins"]["id"], "F3");
        assert!(data["explanations"]["F3"]["mend"].is_string());
    }

    #[test]
    fn what_servers_said_stays_text() {
        let (mut results, _) = samples::run();
        let evil = "</script><img src=x onerror=alert(1)>{{DATA}}\u{2028}";
        results.trials[0].outcome.findings[0].evidence = evil.to_owned();
        let page = Page::of_run(&results, None, Vec::new()).unwrap();
        let html = page.html().unwrap();
        assert!(!html.contains("<img src=x"));
        let data = data(&html);
        let evidence = &data["results"]["trials"][0]["findings"][0]["evidence"];
        assert_eq!(evidence.as_str(), Some(evil));
    }
}
