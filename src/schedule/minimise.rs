//! A schedule made as short as it can be while something stays so.

use std::collections::BTreeSet;

use super::{Act, Schedule, Step};
use crate::fault::Named;

/// The shortest schedule that was found for which `stays` says yes, by leaving out a fault and its
/// recovery at a time, the last first, until none can be left out; it is asked of one schedule at a
/// time. The schedule itself is not asked.
///
/// # Errors
/// That of `stays`.
pub async fn minimised<E, F>(schedule: &Schedule, mut stays: F) -> Result<Schedule, E>
where
    F: AsyncFnMut(&Schedule) -> Result<bool, E>,
{
    let mut smallest = schedule.clone();
    'again: loop {
        for candidate in shorter(&smallest) {
            if stays(&candidate).await? {
                smallest = candidate;
                continue 'again;
            }
        }
        return Ok(smallest);
    }
}

/// Every schedule that is shorter by one fault, or by one step that does nothing.
fn shorter(schedule: &Schedule) -> Vec<Schedule> {
    let steps = &schedule.steps;
    let mut all: Vec<Schedule> = Vec::new();
    for (position, step) in steps.iter().enumerate().rev() {
        let left_out: BTreeSet<usize> = match &step.act {
            Act::Inflict(named) => {
                let end = recovery(&steps[position + 1..], named);
                let end = end.map(|distance| position + 1 + distance);
                [position].into_iter().chain(end).collect()
            }
            Act::Nothing => [position].into(),
            Act::Recover(_) => continue,
        };
        let kept = steps.iter().enumerate();
        let kept = kept.filter(|(at, _)| !left_out.contains(at));
        let candidate = Schedule {
            seed: schedule.seed,
            steps: kept.map(|(_, step)| step.clone()).collect(),
        };
        all.extend(candidate.checked());
    }
    all
}

/// Where the fault is taken back alone.
fn recovery(steps: &[Step], named: &Named) -> Option<usize> {
    let of_it = |step: &Step| matches!(&step.act, Act::Recover(Some(other)) if other == named);
    steps.iter().position(of_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn of(steps: &[&str]) -> Schedule {
        Schedule::of(1, steps).unwrap()
    }

    #[tokio::test]
    async fn what_does_not_matter_is_left_out() {
        let schedule = of(&[
            "at once: kill a",
            "after 5 ms: recover kill a",
            "after 9 operations: nothing",
            "at once: pause b",
            "at once: cut a->b",
            "after 7 ms: recover cut a->b",
            "at once: recover",
            "at once: restart-proxy",
            "at once: recover restart-proxy",
        ]);
        // Red as long as there are the pause and the cut.
        let mut asked = 0;
        let smallest = minimised(&schedule, async |one: &Schedule| {
            asked += 1;
            let kinds: BTreeSet<_> = one.faults().map(|fault| fault.kind.clone()).collect();
            Ok::<_, Infallible>(kinds.contains("pause") && kinds.contains("cut"))
        });
        let wanted = of(&[
            "at once: pause b",
            "at once: cut a->b",
            "after 7 ms: recover cut a->b",
            "at once: recover",
        ]);
        assert_eq!(smallest.await.unwrap(), wanted);
        assert!(asked < 20, "{asked}");
    }

    #[tokio::test]
    async fn where_all_matters_all_stays() {
        let schedule = of(&["at once: kill a", "at once: recover"]);
        let smallest = minimised(&schedule, async |_: &Schedule| Ok::<_, Infallible>(false));
        assert_eq!(smallest.await.unwrap(), schedule);
    }
}
