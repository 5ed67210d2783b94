//! Traffic of every kind of which everything has to come out right.

use std::time::Duration;

use super::{Confirm, Contention, Kind, Mix, Plan, Route};
use crate::cluster::Cluster;

/// What a client may do on keys that nobody else has.
const ALONE: &[Kind] = &[
    Kind::Set,
    Kind::Get,
    Kind::Delete,
    Kind::SetFor,
    Kind::GetMortal,
    Kind::SetBriefly,
    Kind::CutShort,
    Kind::GetBrief,
    Kind::Increment,
    Kind::GetCounter,
    Kind::Append,
    Kind::Push,
    Kind::Add,
    Kind::Remove,
    Kind::PutField,
    Kind::Score,
    Kind::Log,
    Kind::Entries,
    Kind::SetAll,
    Kind::ScriptSetAll,
    Kind::GetAll,
    Kind::Publish,
];
/// What clients may do on the same keys at the same time.
const TOGETHER: &[Kind] = &[Kind::Increment, Kind::Add, Kind::Publish];
/// What one client does on keys that others read elsewhere.
const BRIEF: &[Kind] = &[Kind::SetBriefly, Kind::CutShort, Kind::GetBrief];

/// Plans for a pair of primaries behind a proxy that conflict with nothing, whatever order writes
/// cross in: clients on each primary have keys of their own, what clients share through the proxy
/// commutes, and of keys that soon expire one client writes what others read on the other primary
/// and on `replica1`. What the servers lack is left out; choices depend on `seed`.
pub fn compatible(cluster: &Cluster, seed: u64) -> Vec<Plan> {
    let alike = |kinds: &[Kind]| Mix::new(kinds.iter().map(|kind| (*kind, 1)));
    let alike = |kinds: &[Kind]| alike(kinds).without(cluster.lacks());
    let pace = cluster.pace().between;
    let on = |node: &str, number: u64| Plan {
        pace,
        route: Route::Node(node.to_owned()),
        contention: Contention::Own(4),
        databases: 2,
        seed: seed ^ number,
        ..Plan::new(node, alike(ALONE))
    };
    let shared = Plan {
        pace,
        seed: seed ^ 3,
        confirm: Some(Confirm {
            every: 10,
            replicas: 1,
            within: Duration::from_millis(500),
        }),
        ..Plan::new("shared", alike(TOGETHER))
    };
    let brief = |node: &str, kinds: &[Kind], number: u64| Plan {
        clients: 1,
        route: Route::Node(node.to_owned()),
        seed: seed ^ number,
        ..Plan::new("brief", alike(kinds))
    };
    vec![
        on("primary1", 1),
        on("primary2", 2),
        shared,
        brief("primary1", BRIEF, 4),
        brief("primary2", &[Kind::GetBrief], 5),
        brief("replica1", &[Kind::GetBrief], 6),
    ]
}
