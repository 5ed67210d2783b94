//! Running scenarios: the one place that knows all parts, used by the command line and by
//! `cargo test` alike. [`plan()`] says which trials, this file runs many of them, `one_trial` one.

mod one_trial;
mod plan;
mod spare;

use std::ops::ControlFlow;

use futures_util::StreamExt;
use tokio::sync::mpsc::unbounded_channel;

use self::one_trial::until_conclusive;
pub use self::one_trial::{Finished, Sabotage, run_one, run_sabotaged, run_until_conclusive};
pub use self::plan::{Planned, available, plan};
use self::spare::Spares;
use crate::lab::Lab;
use crate::wait::Said;

/// What happens while scenarios run.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A trial begins.
    Started(&'a Planned),
    /// A trial says something before it is over, such as the schedule that it is going to follow.
    Says(&'a Planned, &'a str),
    /// What a trial waits for; none once that is over.
    Waits(&'a Planned, Option<&'a str>),
    /// A trial is over.
    Finished(&'a Finished),
    /// A trial was ended on its way, as another ended the run.
    Stopped(&'a Planned),
}

/// Runs the planned trials, at most `jobs` at a time, and tells `on` of each. The results are in
/// the order of the plan.
pub async fn run_all(
    lab: &Lab,
    planned: &[Planned],
    jobs: usize,
    on: &(dyn Fn(Event<'_>) + Send + Sync),
) -> Vec<Finished> {
    run_until(lab, planned, jobs, on, &mut |_| ControlFlow::Continue(())).await
}

/// As [`run_all`], until `each`, which is handed every trial that is over, breaks: then no trial is
/// begun any more, those on their way are ended, and their clusters removed. The results are those of
/// the trials that came to their end. What `each` takes from a trial is not in them.
pub async fn run_until(
    lab: &Lab,
    planned: &[Planned],
    jobs: usize,
    on: &(dyn Fn(Event<'_>) + Send + Sync),
    each: &mut (dyn FnMut(&mut Finished) -> ControlFlow<()> + Send),
) -> Vec<Finished> {
    let queue: Vec<_> = planned.iter().map(|planned| (lab, *planned)).collect();
    in_labs_until(&queue, jobs, &|_, event| on(event), each).await
}

/// As [`run_all`], each trial in a lab of its own; `on` is told of which lab it is. Trials of a round
/// that take equally long are begun in the order of the queue.
pub async fn run_in_labs<'a>(
    queue: &[(&'a Lab, Planned)],
    jobs: usize,
    on: &(dyn Fn(&'a Lab, Event<'_>) + Send + Sync),
) -> Vec<Finished> {
    in_labs_until(queue, jobs, on, &mut |_| ControlFlow::Continue(())).await
}

async fn in_labs_until<'a>(
    queue: &[(&'a Lab, Planned)],
    jobs: usize,
    on: &(dyn Fn(&'a Lab, Event<'_>) + Send + Sync),
    each: &mut (dyn FnMut(&mut Finished) -> ControlFlow<()> + Send),
) -> Vec<Finished> {
    // Round after round, and the longest first, so that none is left over at the end.
    let mut sorted: Vec<(usize, &(&Lab, Planned))> = queue.iter().enumerate().collect();
    sorted.sort_by_key(|(_, (_, planned))| {
        let seconds = planned.scenario.seconds;
        (planned.round, std::cmp::Reverse(seconds))
    });
    let spares = Spares::of(queue);
    let shared = &spares;
    let runs = sorted
        .into_iter()
        .map(|(position, (lab, planned))| async move {
            on(lab, Event::Started(planned));
            let on_its_way = OnItsWay { lab, planned, on };
            let (listener, mut heard) = unbounded_channel();
            let work = until_conclusive(lab, *planned, Some(listener), shared);
            let hear = async {
                while let Some(said) = heard.recv().await {
                    match said {
                        Said::Text(text) => on(lab, Event::Says(planned, &text)),
                        Said::Waits(what) => on(lab, Event::Waits(planned, what.as_deref())),
                    }
                }
            };
            let (finished, ()) = tokio::join!(work, hear);
            if crate::cleanup::is_ending() {
                // A signal took its servers away: it is not over, and no other begins.
                std::future::pending::<()>().await;
            }
            std::mem::forget(on_its_way);
            on(lab, Event::Finished(&finished));
            (position, finished)
        });
    let mut under_way = futures_util::stream::iter(runs).buffer_unordered(jobs.max(1));
    let mut all: Vec<(usize, Finished)> = Vec::new();
    while let Some((position, mut finished)) = under_way.next().await {
        let goes_on = each(&mut finished).is_continue();
        all.push((position, finished));
        if !goes_on {
            break;
        }
    }
    // Whatever is on its way ends here, and its cluster with it.
    drop(under_way);
    spares.close().await;
    all.sort_by_key(|(position, _)| *position);
    all.into_iter().map(|(_, finished)| finished).collect()
}

/// A trial that has begun: tells that it was stopped, unless it is forgotten once the trial is over.
struct OnItsWay<'a, 'b> {
    lab: &'a Lab,
    planned: &'b Planned,
    on: &'b (dyn Fn(&'a Lab, Event<'_>) + Send + Sync),
}

impl Drop for OnItsWay<'_, '_> {
    fn drop(&mut self) {
        (self.on)(self.lab, Event::Stopped(self.planned));
    }
}

#[cfg(test)]
mod tests;
