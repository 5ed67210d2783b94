//! How long clients of the proxy waited, and which errors they met: measures, and a verdict only
//! against [`super::Bounds`] that the caller sets.
//!
//! KeyDB's documentation (haproxy): 'HAproxy will check if one instance goes down and write to the
//! other node' (P13, P28). Measured: a connect retry of HAProxy's costs clients 3 s (E2).

use std::collections::BTreeMap;
use std::time::Duration;

use super::breach::Breaches;
use super::input::Case;
use super::judgement::{Gathered, Judgement, measure};
use crate::history::{Action, Moment, Name, Operation, Outcome};

/// What is promised.
pub const PROMISE: &str = "clients of the proxy are answered";

/// The longest time between two acknowledgements; from the first invocation to the last completion.
#[derive(Debug, Clone, Copy)]
struct Gap {
    last: Moment,
    longest: (Duration, Moment),
}

impl Gap {
    fn from(start: Moment) -> Self {
        Self {
            last: start,
            longest: (Duration::ZERO, start),
        }
    }

    fn until(&mut self, at: Moment) {
        self.longest = self.longest.max((at.since(self.last), self.last));
        self.last = self.last.max(at);
    }
}

/// Whether it is something that a client only listened to.
fn heard(action: &Action) -> bool {
    matches!(action, Action::Subscribe | Action::Hear)
}

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let history = case.input.history;
    let through = || {
        history
            .operations
            .iter()
            .filter(|operation| operation.proxied && !heard(&operation.action))
    };
    let first = through()
        .map(|operation| operation.invoked)
        .min()
        .unwrap_or_default();
    let last = through()
        .map(|operation| operation.completed)
        .max()
        .unwrap_or_default();
    let mut overall = Gap::from(first);
    let mut clients: BTreeMap<u32, Gap> = BTreeMap::new();
    let mut errors: BTreeMap<Name, usize> = BTreeMap::new();
    let mut n = 0;
    for operation in through() {
        n += 1;
        let Operation {
            client,
            invoked,
            completed,
            ..
        } = *operation;
        // A client that is let in later does not wait before.
        let own = clients.entry(client).or_insert(Gap::from(invoked));
        match &operation.outcome {
            Outcome::Ok(_) => {
                overall.until(completed);
                own.until(completed);
            }
            Outcome::Fail(error) | Outcome::Unknown(error) => {
                *errors.entry(*error).or_default() += 1
            }
        }
    }
    overall.until(last);
    for operation in through()
        .rev()
        .filter(|operation| !matches!(operation.outcome, Outcome::Ok(_)))
    {
        if let Some(own) = clients.get_mut(&operation.client) {
            own.until(operation.completed);
        }
    }
    let of_one = clients.iter().max_by_key(|(_, gap)| gap.longest);
    let failed: usize = errors.values().sum();
    let mut kinds: Vec<(usize, &str)> = errors
        .iter()
        .map(|(error, count)| (*count, history.names.text(*error)))
        .collect();
    kinds.sort_unstable_by(|one, other| other.cmp(one));
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(count, error)| format!("{count} × {error}"))
        .collect();
    let kinds = match kinds.is_empty() {
        true => "no errors".to_owned(),
        false => kinds.join(", "),
    };
    let mut breaches = Breaches::default();
    let bounds = case.input.bounds;
    let (gap, at) = overall.longest;
    if bounds.gap.is_some_and(|bound| gap > bound) {
        breaches.add(0, None, || {
            format!("nobody was answered for {gap:.3?} from {at} on")
        });
    }
    let (client, client_gap) = of_one.map_or((0, (Duration::ZERO, first)), |(client, gap)| {
        (*client, gap.longest)
    });
    let (longest, at_client) = client_gap;
    if bounds.client_gap.is_some_and(|bound| longest > bound) {
        breaches.add(0, None, || {
            format!("client {client} was not answered for {longest:.3?} from {at_client} on")
        });
    }
    let share = if n == 0 {
        0.0
    } else {
        failed as f64 / n as f64
    };
    if bounds.errors.is_some_and(|bound| share > bound) {
        breaches.add(0, None, || format!("{failed} of {n} failed: {kinds}"));
    }
    let mut measures = vec![
        measure("longest-gap", gap.as_secs_f64() * 1000.0, "ms"),
        measure("longest-client-gap", longest.as_secs_f64() * 1000.0, "ms"),
        measure("failed", failed as f64, "operations"),
    ];
    if n == 0 {
        measures.clear();
    }
    Gathered {
        check: "availability",
        promise: PROMISE,
        what: "operations through the proxy",
        n,
        breaches,
        note: format!("longest gap {gap:.3?}, one client's {longest:.3?}; {kinds}"),
        measures,
    }
    .concluded(case)
}
