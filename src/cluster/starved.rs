//! Whether the machine keeps servers from the processor that they ask for.
//!
//! A server that does not get to run looks like one that hangs: it is up and answers nothing. What
//! the kernel counts tells them apart.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::Cluster;

/// From which part of the time on a server is said to be starved. One that has work and shares its
/// processor with two others waits for as much.
const STARVED: f64 = 0.6;

/// For how long each node that ought to answer has been kept waiting so far.
#[derive(Debug)]
pub(crate) struct Waits {
    at: Instant,
    of: BTreeMap<String, Duration>,
}

/// A node that was kept from running, and for which part of the time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Starved {
    node: String,
    part: f64,
}

impl Waits {
    /// As of now. A node of which it cannot be told is left out.
    pub(crate) async fn of(cluster: &Cluster) -> Self {
        let mut of = BTreeMap::new();
        for node in cluster.live() {
            if let Ok(waited) = node.server().kept_waiting().await {
                of.insert(node.name().to_owned(), waited);
            }
        }
        Self {
            at: Instant::now(),
            of,
        }
    }

    /// The node that has been kept waiting most since, if that is most of the time.
    pub(crate) fn starved_until(&self, later: &Self) -> Option<Starved> {
        let lasted = (later.at - self.at).as_secs_f64();
        let parts = self.of.iter().filter_map(|(node, before)| {
            // One that was started anew counts from zero on.
            let waited = later.of.get(node)?.checked_sub(*before)?.as_secs_f64();
            let node = node.clone();
            Some(Starved {
                node,
                part: waited / lasted,
            })
        });
        let most = parts.max_by(|a, b| a.part.total_cmp(&b.part))?;
        (most.part > STARVED).then_some(most)
    }
}

impl fmt::Display for Starved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, part } = self;
        write!(
            f,
            "this machine kept {node} from running for {:.0} % of the time",
            part * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(at: Instant, of: &[(&str, u64)]) -> Waits {
        let of = of.iter();
        let of = of.map(|(node, seconds)| ((*node).to_owned(), Duration::from_secs(*seconds)));
        Waits {
            at,
            of: of.collect(),
        }
    }

    #[test]
    fn one_that_waits_most_of_the_time_is_starved() {
        let began = Instant::now();
        let before = waits(began, &[("primary1", 100), ("primary2", 3)]);
        let until = |of: &[_]| {
            let after = waits(began + Duration::from_secs(10), of);
            before.starved_until(&after)
        };
        assert_eq!(until(&[("primary1", 102), ("primary2", 3)]), None);
        let starved = until(&[("primary1", 107), ("primary2", 12)]).unwrap();
        assert_eq!(
            starved.to_string(),
            "this machine kept primary2 from running for 90 % of the time"
        );
        // Started anew, or gone.
        assert_eq!(until(&[("primary1", 1)]), None);
        assert_eq!(until(&[]), None);
    }
}
