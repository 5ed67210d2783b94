//! What happened in one trial, lane by lane: made of what the trial left in its folder.

use std::collections::BTreeMap;

use serde::Serialize;

use super::log;
use crate::fault;
use crate::history::{
    Action, FILE, Fate, History, Moment, Names, Operation, Outcome, Phase, Reply, Saved, Subject,
    WATCHED,
};
use crate::judge::judge;
use crate::topology::PROXY;
use crate::verdict::Verdict;

/// Operations that a timeline shows at most.
const MOST: usize = 20_000;
/// Values of an answer that it shows at most.
const MOST_VALUES: usize = 6;

/// A file that a trial left: its name and its content.
pub type Artifact = (String, Vec<u8>);

/// Milliseconds since the history began.
type Millis = f64;
/// A position among the lanes.
type Lane = usize;

/// One trial. Times are milliseconds since its history began.
#[derive(Debug, Clone, Serialize)]
pub struct Timeline {
    /// `scenario`, or `scenario/variant`.
    pub trial: String,
    /// The folder of what it left, beside the page.
    pub folder: String,
    /// Which release it ran on, in an upgrade check.
    pub side: Option<&'static str>,
    /// What came of it.
    pub verdict: Verdict,
    length: Millis,
    /// When the history began, in Unix milliseconds.
    began: Option<i64>,
    /// The nodes, then the proxy.
    lanes: Vec<String>,
    /// What a server shows from then on.
    states: Vec<(Millis, Lane, String, String)>,
    faults: Vec<Band>,
    operations: Vec<Shown>,
    /// Operations that are not shown, as there are too many.
    left_out: usize,
    /// The longest time without an acknowledged write, of all operations: from one to the next.
    gap: Option<(Millis, Millis)>,
    /// Broken properties that operations are marked with.
    marks: Vec<Mark>,
    logs: Vec<(Option<Millis>, Lane, String)>,
    files: Vec<String>,
}

/// A fault from its injection to the end of its effects.
#[derive(Debug, Clone, Serialize)]
struct Band {
    name: String,
    colour: &'static str,
    lanes: Vec<Lane>,
    /// Each with what was seen of it.
    phases: Vec<(Millis, &'static str, String)>,
}

/// Invoked, completed, lane, client, whether through the proxy, what, its fate (0 acknowledged, 1 not
/// done, 2 not answered), the answer, whether it writes, and its mark (-1 for none).
type Shown = (Millis, Millis, Lane, u32, u8, String, u8, String, u8, isize);

#[derive(Debug, Clone, Serialize)]
struct Mark {
    check: String,
    promise: String,
    evidence: String,
    state: String,
}

/// Between two acknowledged writes of anyone.
fn longest_gap(history: &History) -> Option<(Millis, Millis)> {
    let writes = history.operations.iter();
    let writes = writes.filter(|it| it.action.is_write() && it.outcome.fate() == Fate::Ok);
    let mut times: Vec<Millis> = writes.map(|it| millis(it.completed)).collect();
    times.sort_by(f64::total_cmp);
    let pairs = times.windows(2).map(|pair| (pair[0], pair[1]));
    pairs.max_by(|(a, b), (c, d)| (b - a).total_cmp(&(d - c)))
}

impl Timeline {
    /// The timeline of what a trial left. None if it left neither a history nor a log. A history that
    /// cannot be read is as good as none.
    pub fn of(trial: &str, folder: &str, verdict: Verdict, artifacts: &[Artifact]) -> Option<Self> {
        let content = |wanted: &str| {
            let found = artifacts.iter().find(|(name, _)| name == wanted);
            found.map(|(_, content)| content.as_slice())
        };
        let read = |name: &str| Saved::read(name.as_ref(), content(name)?).ok();
        let judged = read(FILE);
        let saved = judged.clone().or_else(|| read(WATCHED));
        let logs = artifacts.iter().filter_map(|(name, content)| {
            let node = name.strip_suffix(".log")?;
            Some((node, log::lines(&String::from_utf8_lossy(content))))
        });
        let logs: Vec<(&str, Vec<log::Line>)> = logs.collect();
        if saved.is_none() && logs.iter().all(|(_, lines)| lines.is_empty()) {
            return None;
        }
        let saved = saved.unwrap_or_default();
        let mut timeline = Self {
            trial: trial.to_owned(),
            folder: folder.to_owned(),
            side: None,
            verdict,
            length: millis(saved.history.length),
            began: saved.began,
            lanes: lanes(&saved.history, &logs),
            states: Vec::new(),
            faults: Vec::new(),
            operations: Vec::new(),
            left_out: 0,
            gap: longest_gap(&saved.history),
            marks: Vec::new(),
            logs: Vec::new(),
            files: artifacts.iter().map(|(name, _)| name.clone()).collect(),
        };
        timeline.take_events(&saved.history);
        timeline.take_operations(&saved, judged.is_some());
        timeline.take_logs(logs);
        Some(timeline)
    }

    /// The same, as one of a release.
    #[must_use]
    pub fn on(self, side: &'static str) -> Self {
        Self {
            side: Some(side),
            ..self
        }
    }

    fn lane(&self, name: &str) -> Option<Lane> {
        self.lanes.iter().position(|lane| lane == name)
    }

    fn take_events(&mut self, history: &History) {
        let names = &history.names;
        for event in &history.events {
            let at = millis(event.at);
            match &event.subject {
                Subject::State { node, what, value } => {
                    if let Some(lane) = self.lane(names.text(*node)) {
                        let [what, value] = [what, value].map(|it| names.text(*it).to_owned());
                        self.states.push((at, lane, what, value));
                    }
                }
                Subject::Fault {
                    fault,
                    nodes,
                    phase,
                    seen,
                } => {
                    let name = names.text(*fault);
                    if *phase == Phase::Injected {
                        let lanes = nodes.iter().filter_map(|it| self.lane(names.text(*it)));
                        self.faults.push(Band {
                            name: name.to_owned(),
                            colour: fault::colour_of(name),
                            lanes: lanes.collect(),
                            phases: Vec::new(),
                        });
                    }
                    let band = self.faults.iter_mut().rev().find(|it| it.name == name);
                    if let Some(band) = band {
                        let seen = names.text(*seen).to_owned();
                        band.phases.push((at, word(*phase), seen));
                    }
                }
            }
        }
    }

    fn take_operations(&mut self, saved: &Saved, judged: bool) {
        let history = &saved.history;
        let mut marks: BTreeMap<u32, isize> = BTreeMap::new();
        let judgements = if judged { judge(saved) } else { Vec::new() };
        for judgement in judgements {
            let finding = judgement.finding;
            if finding.verdict != Verdict::Broken {
                continue;
            }
            let number = isize::try_from(self.marks.len()).unwrap_or(-1);
            for operation in judgement.operations {
                marks.entry(operation).or_insert(number);
            }
            self.marks.push(Mark {
                check: finding.check,
                promise: finding.promise,
                evidence: finding.evidence,
                state: finding.state,
            });
        }
        let shown = history.operations.iter().enumerate();
        let shown = shown.filter(|(_, it)| it.action != Action::Subscribe);
        let mut shown: Vec<(bool, Shown)> = shown
            .filter_map(|(number, operation)| {
                let mark = u32::try_from(number).ok().and_then(|it| marks.get(&it));
                let told = self.shown(operation, &history.names, mark.copied().unwrap_or(-1))?;
                let must = mark.is_some() || operation.outcome.fate() != Fate::Ok;
                Some((must, told))
            })
            .collect();
        if shown.len() > MOST {
            // What went wrong stays; of the rest every n-th, so that the picture stays the same.
            let musts = shown.iter().filter(|(must, _)| *must).count();
            let rest = shown.len() - musts;
            let every = rest.div_ceil(MOST.saturating_sub(musts).max(1));
            let before = shown.len();
            let mut number = 0_usize;
            shown.retain(|(must, _)| {
                number += usize::from(!must);
                *must || number.is_multiple_of(every)
            });
            self.left_out = before - shown.len();
        }
        self.operations = shown.into_iter().map(|(_, told)| told).collect();
    }

    fn shown(&self, operation: &Operation, names: &Names, mark: isize) -> Option<Shown> {
        let lane = self.lane(names.text(operation.node))?;
        let key = names.text(operation.key);
        let told = operation.action.told();
        let what = match told.split_once(' ') {
            Some((_, rest)) if rest.starts_with("of ") => format!("{told}, {key} the first"),
            Some((verb, rest)) => format!("{verb} {key} {rest}"),
            None => format!("{told} {key}"),
        };
        let (fate, answer) = match &operation.outcome {
            Outcome::Ok(reply) => (0, answer(reply, names)),
            Outcome::Fail(why) => (1, names.text(*why).to_owned()),
            Outcome::Unknown(why) => (2, names.text(*why).to_owned()),
        };
        Some((
            millis(operation.invoked),
            millis(operation.completed),
            lane,
            operation.client,
            u8::from(operation.proxied),
            what,
            fate,
            answer,
            u8::from(operation.action.is_write()),
            mark,
        ))
    }

    /// Logs have times of the wall clock; where it is not known when the history began, their first
    /// line is its beginning.
    fn take_logs(&mut self, logs: Vec<(&str, Vec<log::Line>)>) {
        let times = logs.iter().flat_map(|(_, lines)| lines);
        let times: Vec<i64> = times.filter_map(|line| line.at).collect();
        let began = match self.began {
            Some(began) => began,
            None => {
                let first = times.iter().min().copied().unwrap_or_default();
                let last = times.iter().max().copied().unwrap_or_default();
                self.length = self.length.max((last - first) as f64);
                first
            }
        };
        let end = began + self.length as i64;
        for (node, lines) in logs {
            let Some(lane) = self.lane(node) else {
                continue;
            };
            let zone = match self.began {
                Some(_) => log::zone(&lines, end),
                None => 0,
            };
            let told = lines.into_iter().map(|line| {
                let at = line.at.map(|at| (at - zone - began) as f64);
                (at, lane, line.text)
            });
            self.logs.extend(told);
        }
        let by_time =
            |(at, ..): &(Option<Millis>, Lane, String)| at.map_or(i64::MIN, |at| at as i64);
        self.logs.sort_by_key(by_time);
    }
}

fn millis(moment: Moment) -> Millis {
    // To the microsecond: the page has to be loaded.
    (moment.0 / 1000) as f64 / 1000.0
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Injected => "injected",
        Phase::Bites => "bites",
        Phase::Toothless => "toothless",
        Phase::Recovering => "recovering",
        Phase::Healed => "healed",
    }
}

fn answer(reply: &Reply, names: &Names) -> String {
    match reply {
        Reply::Done => "OK".to_owned(),
        Reply::Nil => "nil".to_owned(),
        Reply::Number(number) => number.to_string(),
        Reply::Value(token) => token.to_string(),
        Reply::Foreign(text) => names.text(*text).to_owned(),
        Reply::Values(tokens) => {
            let told = tokens.iter().take(MOST_VALUES).map(|token| match token {
                Some(token) => token.to_string(),
                None => "nil".to_owned(),
            });
            let told: Vec<String> = told.collect();
            match tokens.len() {
                0 => "nothing".to_owned(),
                n if n > MOST_VALUES => format!("{n} values: {} …", told.join(" ")),
                _ => told.join(" "),
            }
        }
    }
}

/// Every server that left a log or shows in the history: primaries, other nodes, the proxy.
fn lanes(history: &History, logs: &[(&str, Vec<log::Line>)]) -> Vec<String> {
    let mut lanes: Vec<String> = logs.iter().map(|(node, _)| (*node).to_owned()).collect();
    for event in &history.events {
        if let Subject::State { node, .. } = &event.subject {
            lanes.push(history.names.text(*node).to_owned());
        }
    }
    let operations = history.operations.iter();
    lanes.extend(operations.map(|it| history.names.text(it.node).to_owned()));
    // What relays saw is told of links.
    lanes.retain(|name| !name.contains("->"));
    lanes.sort_by_key(|name| (name == PROXY, !name.starts_with("primary"), name.clone()));
    lanes.dedup();
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Event, Token};

    fn history() -> Saved {
        let mut saved = Saved {
            began: Some(1_764_077_834_000),
            ..Saved::default()
        };
        let history = &mut saved.history;
        history.length = Moment(3_000_000_000);
        let [node, proxy, link, up, fault, seen, key, why] = [
            "primary1",
            PROXY,
            "link primary2",
            "up",
            "cut primary1->primary2",
            "no connection",
            "key",
            "broken pipe",
        ]
        .map(|text| history.names.number(text));
        let state = Subject::State {
            node,
            what: link,
            value: up,
        };
        let phase = |phase| Subject::Fault {
            fault,
            nodes: [node].into(),
            phase,
            seen,
        };
        let all = [state, phase(Phase::Injected), phase(Phase::Bites)];
        for (at, subject) in (1..).zip(all) {
            let at = Moment(at * 500_000_000);
            history.events.push(Event { at, subject });
        }
        let write = |number, outcome| Operation {
            client: 1,
            node: proxy,
            proxied: true,
            database: 0,
            confirmed: 0,
            key,
            action: Action::Set(Token { client: 1, number }),
            invoked: Moment(u64::from(number) * 1_000_000),
            completed: Moment(u64::from(number) * 1_000_000 + 1500),
            outcome,
        };
        history.operations = vec![
            write(1, Outcome::Ok(Reply::Done)),
            write(2, Outcome::Unknown(why)),
        ];
        saved
    }

    fn of(saved: &Saved) -> Timeline {
        let log = "7:7:S 25 Nov 2025 15:37:15.000 * Background saving started\n";
        let artifacts = [
            (FILE.to_owned(), saved.bytes().unwrap()),
            ("replica1.log".to_owned(), log.into()),
        ];
        Timeline::of("mixed-traffic/cut", "x", Verdict::Broken, &artifacts).unwrap()
    }

    #[test]
    fn a_trial_in_lanes() {
        let timeline = of(&history());
        assert_eq!(timeline.lanes, ["primary1", "replica1", PROXY]);
        assert_eq!(timeline.states.len(), 1);
        let band = &timeline.faults[0];
        let phases: Vec<_> = band
            .phases
            .iter()
            .map(|(at, what, _)| (*at, *what))
            .collect();
        assert_eq!(phases, [(1000.0, "injected"), (1500.0, "bites")]);
        assert_eq!(band.lanes, [0]);
        let (invoked, completed, lane, _, proxied, what, fate, answer, writes, _) =
            &timeline.operations[1];
        assert_eq!((*invoked, *completed), (2.0, 2.001));
        assert_eq!((*lane, *proxied, *fate, *writes), (2, 1, 2, 1));
        assert_eq!((&**what, &**answer), ("SET key v1.2", "broken pipe"));
        // Its server's clock is two hours ahead.
        assert_eq!(timeline.logs[0].0, Some(1000.0));
    }

    #[test]
    fn what_went_wrong_is_never_left_out() {
        let mut saved = history();
        let operations = &mut saved.history.operations;
        let (good, bad) = (operations[0].clone(), operations[1].clone());
        *operations = vec![good; MOST * 2];
        operations[MOST] = bad;
        operations[1].completed = Moment(9_000_000);
        let timeline = of(&saved);
        assert!(timeline.operations.len() <= MOST);
        assert_eq!(timeline.operations.len() + timeline.left_out, MOST * 2);
        assert_eq!(
            timeline.gap,
            Some((1.001, 9.0)),
            "of all, also those left out"
        );
        let bad = timeline.operations.iter().filter(|it| it.6 != 0);
        assert_eq!(bad.count(), 1);
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        let artifacts = [("state.txt".to_owned(), b"x".to_vec())];
        assert!(Timeline::of("a", "a", Verdict::Holds, &artifacts).is_none());
    }
}
