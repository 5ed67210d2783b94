//! A schedule drawn by chance, from its seed and what a cluster can have.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Act, Schedule, Step, When};
use crate::cluster::Cluster;
use crate::fault::{self, Named, What};

/// Kinds that are not drawn. A slow start needs keys of its own, which a full resync may bring back
/// to all nodes after it has removed them (F5). A primary without memory refuses what its peer writes
/// meanwhile and skips it for good (#227; measured, 6.3.4): nothing else would be seen behind that.
/// What a node is to become is no chance.
const LEFT_OUT: &[&str] = &["slow-start", "no-memory", "become"];

/// How a schedule is drawn: faults one after the other, each taken back before the next, with time
/// in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// How long all of it takes, without the time that faults need to bite and to heal.
    pub length: Duration,
    /// The least and the most between two faults, and at the beginning.
    pub calm: (Duration, Duration),
    /// The least and the most that a fault lasts.
    pub lasts: (Duration, Duration),
}

impl Draw {
    /// The schedule of this seed for this cluster: the same for the same seed where the same faults
    /// can be had.
    pub fn of(&self, seed: u64, cluster: &Cluster) -> Schedule {
        self.from(seed, &candidates(cluster))
    }

    fn from(&self, seed: u64, kinds: &[Vec<Named>]) -> Schedule {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut schedule = Schedule {
            seed,
            steps: Vec::new(),
        };
        let mut length = Duration::ZERO;
        while length < self.length {
            // A kind first, so that those with many targets come up no more often than others.
            let Some(fault) = pick(&mut rng, kinds).and_then(|kind| pick(&mut rng, kind)) else {
                break;
            };
            let (calm, lasts) = (between(&mut rng, self.calm), between(&mut rng, self.lasts));
            length += calm + lasts;
            schedule.steps.push(Step {
                when: When::After(calm),
                act: Act::Inflict(fault.clone()),
            });
            schedule.steps.push(Step {
                when: When::After(lasts),
                act: Act::Recover(Some(fault.clone())),
            });
        }
        schedule
    }
}

fn pick<'a, T>(rng: &mut impl Rng, of: &'a [T]) -> Option<&'a T> {
    match of {
        [] => None,
        some => some.get(rng.random_range(0..some.len())),
    }
}

/// To the millisecond, as a schedule is written.
fn between(rng: &mut impl Rng, (least, most): (Duration, Duration)) -> Duration {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (least, most) = (milliseconds(least), milliseconds(most));
    Duration::from_millis(rng.random_range(least..=most.max(least)))
}

/// Every fault that the cluster can have, by kind; kinds that it can't have are left out.
fn candidates(cluster: &Cluster) -> Vec<Vec<Named>> {
    let links: Vec<String> = cluster
        .relays()
        .iter()
        .flat_map(|relay| {
            let (up, down) = (&relay.ends().upstream, &relay.ends().downstream);
            let both = cluster.link(up, down).is_ok() && up < down;
            let both = both.then(|| format!("{up}<->{down}"));
            both.into_iter().chain([format!("{up}->{down}")])
        })
        .collect();
    let nodes: Vec<String> = cluster
        .nodes()
        .iter()
        .map(|node| node.name().to_owned())
        .collect();
    let backends = cluster.proxy().map_or(&[][..], |proxy| proxy.backends());
    let kinds = fault::all()
        .iter()
        .filter(|kind| !LEFT_OUT.contains(&kind.name));
    let named = kinds.map(|kind| {
        let targets = match kind.strikes {
            What::Link => &links[..],
            What::Node => &nodes,
            What::Proxy => backends,
        };
        let targets = targets.iter().map(|target| Some(target.as_str()));
        let all = targets
            .chain([None])
            .map(|target| Named::new(kind.name, target));
        let can_be_had = |named: &Named| {
            let fault = named.fault();
            fault.is_ok_and(|fault| fault.unavailable(cluster).is_none())
        };
        all.filter(can_be_had).collect::<Vec<_>>()
    });
    named.filter(|kind| !kind.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAW: Draw = Draw {
        length: Duration::from_secs(60),
        calm: (Duration::from_millis(500), Duration::from_millis(1500)),
        lasts: (Duration::from_millis(200), Duration::from_millis(900)),
    };

    fn kinds() -> Vec<Vec<Named>> {
        let kill = ["a", "b", "c"].map(|node| Named::new("kill", Some(node)));
        vec![kill.to_vec(), vec![Named::new("restart-proxy", None)]]
    }

    #[test]
    fn a_seed_draws_one_schedule_and_its_text_is_the_same() {
        let schedule = DRAW.from(7, &kinds());
        assert_eq!(schedule, DRAW.from(7, &kinds()));
        assert_ne!(schedule, DRAW.from(8, &kinds()));
        assert_eq!(schedule.to_string().parse(), Ok(schedule.clone()));
    }

    #[test]
    fn every_fault_is_taken_back_and_all_kinds_come_up() {
        let schedule = DRAW.from(7, &kinds());
        let (mut restarts, mut total) = (0, Duration::ZERO);
        for pair in schedule.steps.chunks(2) {
            let [inflict, recover] = pair else {
                panic!("a step alone")
            };
            assert!(matches!((&inflict.act, &recover.act),
                (Act::Inflict(one), Act::Recover(Some(other))) if one == other));
            restarts +=
                usize::from(matches!(&inflict.act, Act::Inflict(it) if it.target.is_none()));
            for step in pair {
                let When::After(time) = step.when else {
                    panic!("{step}")
                };
                total += time;
            }
        }
        assert!(total >= DRAW.length && total < DRAW.length + Duration::from_secs(3));
        let faults = schedule.faults().count();
        assert!(
            restarts * 4 > faults && restarts * 4 < faults * 3,
            "{restarts} of {faults}"
        );
    }

    #[test]
    fn where_nothing_can_be_had_nothing_is_drawn() {
        assert_eq!(DRAW.from(7, &[]).steps, []);
    }
}
