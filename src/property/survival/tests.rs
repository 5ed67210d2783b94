//! Hand-written histories, and what they say of the acknowledged writes.

use super::*;
use crate::history::Fate::{self, Fail, Ok as Acked, Unknown};
use crate::verdict::Verdict::{self, Broken, Holds};
use proptest::prelude::*;
use rstest::rstest;

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

fn write(key: &str, completed: u64, fate: Fate) -> Write {
    Write {
        client: 0,
        key: key.to_owned(),
        invoked: ms(completed.saturating_sub(1)),
        completed: ms(completed),
        fate,
        error: None,
    }
}

fn history(writes: Vec<Write>) -> WriteLog {
    WriteLog {
        length: writes
            .iter()
            .map(|write| write.completed)
            .max()
            .unwrap_or_default(),
        writes,
    }
}

/// Nodes and the keys that each has, separated by spaces.
fn present(nodes: &[(&str, &str)]) -> BTreeMap<String, BTreeSet<String>> {
    nodes
        .iter()
        .map(|(node, keys)| {
            let keys = keys.split_whitespace().map(str::to_owned);
            ((*node).to_owned(), keys.collect())
        })
        .collect()
}

/// A node that was told to stop at 5 s and seen to be gone at 5.5 s.
const LOST: Allowance = Allowance::LostWith {
    from: Duration::from_millis(5000),
    to: Duration::from_millis(5500),
};

#[test]
fn a_reply_may_be_read_once_the_node_is_gone() {
    let late = |invoked| Write {
        invoked: ms(invoked),
        ..write("a", 7000, Acked)
    };
    let lost = |write| losses(&history(vec![write]), &present(&[("p2", "")]), &[LOST]);
    assert!(lost(late(5400)).verdict().is_ok());
    assert!(lost(late(5501)).verdict().is_err());
}

const NOTHING: &[Allowance] = &[Allowance::Nothing];

#[rstest]
// What is there.
#[case::every_acked_write_on_every_node_holds(
    vec![write("a", 1, Acked), write("b", 2, Acked)], &[("p2", "a b"), ("r1", "b a")], NOTHING,
    Holds, "0 of 2 acknowledged writes missing"
)]
#[case::keys_of_others_besides_holds(
    vec![write("a", 1, Acked)], &[("p2", "a z")], NOTHING,
    Holds, "0 of 1 acknowledged writes missing"
)]
#[case::unicode_key_is_there_holds(
    vec![write("schlüssel-🔑", 1, Acked)], &[("p2", "schlüssel-🔑")], NOTHING,
    Holds, "0 of 1 acknowledged writes missing"
)]
#[case::empty_history_holds(
    vec![], &[("p2", "")], NOTHING, Holds, "0 of 0 acknowledged writes missing"
)]
#[case::no_node_was_looked_at_holds(
    vec![write("a", 1, Acked)], &[], NOTHING, Holds, "0 of 1 acknowledged writes missing"
)]
// What need not be there.
#[case::refused_write_is_missing_holds(
    vec![write("a", 1, Fail)], &[("p2", "")], NOTHING,
    Holds, "0 of 0 acknowledged writes missing"
)]
#[case::unanswered_write_is_missing_holds(
    vec![write("a", 1, Unknown), write("b", 2, Acked)], &[("p2", "b")], NOTHING,
    Holds, "0 of 1 acknowledged writes missing"
)]
#[case::unanswered_write_is_there_holds(
    vec![write("a", 1, Unknown)], &[("p2", "a")], NOTHING,
    Holds, "0 of 0 acknowledged writes missing"
)]
// What is lost.
#[case::acked_write_missing_on_the_only_node_broken(
    vec![write("a", 1, Acked)], &[("p2", "")], NOTHING,
    Broken, "1 of 1 acknowledged writes missing: a not on p2"
)]
#[case::acked_write_missing_on_one_replica_broken(
    vec![write("a", 1, Acked), write("b", 2, Acked)],
    &[("p2", "a b"), ("r1", "a b"), ("r2", "b")], NOTHING,
    Broken, "1 of 2 acknowledged writes missing: a not on r2"
)]
#[case::acked_write_missing_everywhere_broken(
    vec![write("a", 1, Acked)], &[("p2", ""), ("r1", "")], NOTHING,
    Broken, "1 of 1 acknowledged writes missing: a not on p2 r1"
)]
#[case::only_a_lookalike_is_there_broken(
    vec![write("key1", 1, Acked)], &[("p2", "key10 KEY1")], NOTHING,
    Broken, "1 of 1 acknowledged writes missing: key1 not on p2"
)]
#[case::more_than_three_are_counted_and_three_are_named_broken(
    vec![write("a", 1, Acked), write("b", 2, Acked), write("c", 3, Acked), write("d", 4, Acked)],
    &[("p2", "")], NOTHING,
    Broken, "4 of 4 acknowledged writes missing: a not on p2; b not on p2; c not on p2"
)]
#[case::paused_node_allows_nothing_broken(
    vec![write("a", 5000, Acked)], &[("p2", "")], NOTHING,
    Broken, "1 of 1 acknowledged writes missing: a not on p2"
)]
#[case::no_allowance_at_all_broken(
    vec![write("a", 5000, Acked)], &[("p2", "")], &[],
    Broken, "1 of 1 acknowledged writes missing: a not on p2"
)]
// The lag window, to the millisecond.
#[case::acked_just_before_the_lag_window_broken(
    vec![write("a", 3999, Acked)], &[("p2", "")], &[LOST],
    Broken, "1 of 1 acknowledged writes missing: a not on p2"
)]
#[case::acked_exactly_at_the_lag_window_holds(
    vec![write("a", 4000, Acked)], &[("p2", "")], &[LOST],
    Holds, "0 of 1 acknowledged writes missing, 1 lost within the lag window before the stop"
)]
#[case::acked_when_told_to_stop_holds(
    vec![write("a", 5000, Acked)], &[("p2", ""), ("r1", "")], &[LOST],
    Holds, "0 of 1 acknowledged writes missing, 1 lost within the lag window before the stop"
)]
#[case::acked_exactly_when_gone_holds(
    vec![write("a", 5500, Acked), write("b", 4500, Acked)], &[("p2", "")], &[LOST],
    Holds, "0 of 2 acknowledged writes missing, 2 lost within the lag window before the stop"
)]
#[case::acked_just_after_it_was_gone_broken(
    vec![write("a", 5502, Acked)], &[("p2", "")], &[LOST],
    Broken, "1 of 1 acknowledged writes missing: a not on p2"
)]
#[case::one_allowed_and_one_forbidden_broken(
    vec![write("early", 1000, Acked), write("late", 4500, Acked)], &[("p2", "")], &[LOST],
    Broken, "1 of 2 acknowledged writes missing: early not on p2"
)]
#[case::any_of_several_allowances_will_do_holds(
    vec![write("a", 4500, Acked)], &[("p2", "")], &[Allowance::Nothing, LOST],
    Holds, "0 of 1 acknowledged writes missing, 1 lost within the lag window before the stop"
)]
fn survival(
    #[case] writes: Vec<Write>,
    #[case] nodes: &[(&str, &str)],
    #[case] allowances: &[Allowance],
    #[case] verdict: Verdict,
    #[case] evidence: &str,
) {
    let seen = losses(&history(writes), &present(nodes), allowances).verdict();
    let wanted = match verdict {
        Holds => Ok(evidence.to_owned()),
        _ => Err(evidence.to_owned()),
    };
    assert_eq!(seen, wanted);
}

#[test]
fn losses_are_told_apart_by_what_allows_them() {
    let writes = vec![
        write("early", 1000, Acked),
        write("late", 4500, Acked),
        write("after", 5600, Acked),
        write("maybe", 5000, Unknown),
    ];
    let losses = losses(
        &history(writes),
        &present(&[("p2", "after"), ("r1", "late")]),
        &[LOST],
    );
    assert_eq!(losses.acknowledged, 3);
    assert_eq!(losses.allowed, BTreeSet::from(["late".to_owned()]));
    let on = |nodes: &[&str]| nodes.iter().map(|node| (*node).to_owned()).collect();
    assert_eq!(
        losses.forbidden,
        BTreeMap::from([
            ("after".to_owned(), on(&["r1"])),
            ("early".to_owned(), on(&["p2", "r1"])),
        ])
    );
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![4 => Just(Acked), 1 => Just(Fail), 1 => Just(Unknown)]
}

/// A history of unique keys, some of them not ASCII, and nodes that each have all of its
/// acknowledged writes and perhaps others.
fn kept() -> impl Strategy<Value = (WriteLog, BTreeMap<String, BTreeSet<String>>)> {
    let writes = prop::collection::btree_map("[a-c0é🔑]{1,4}", (0_u64..10_000, fate()), 1..20);
    (writes, 1_usize..4, any::<bool>()).prop_map(|(writes, nodes, with_the_rest)| {
        let writes: Vec<Write> = writes
            .into_iter()
            .map(|(key, (completed, fate))| write(&key, completed, fate))
            .collect();
        let keys: BTreeSet<String> = writes
            .iter()
            .filter(|write| write.fate == Acked || with_the_rest)
            .map(|write| write.key.clone())
            .collect();
        let nodes = (0..nodes).map(|node| (format!("n{node}"), keys.clone()));
        (history(writes), nodes.collect())
    })
}

fn allowance() -> impl Strategy<Value = Allowance> {
    prop_oneof![
        Just(Allowance::Nothing),
        (0_u64..10_000, 0_u64..1000).prop_map(|(from, took)| Allowance::LostWith {
            from: ms(from),
            to: ms(from + took),
        }),
    ]
}

/// Takes keys away from nodes: pairs of node and key, wrapped around.
fn take(
    present: &mut BTreeMap<String, BTreeSet<String>>,
    holes: &[(prop::sample::Index, prop::sample::Index)],
) {
    for (node, key) in holes {
        let node = node.index(present.len());
        if let Some(keys) = present.values_mut().nth(node)
            && !keys.is_empty()
        {
            let key = key.get(&keys.iter().cloned().collect::<Vec<_>>()).clone();
            keys.remove(&key);
        }
    }
}

fn holes() -> impl Strategy<Value = Vec<(prop::sample::Index, prop::sample::Index)>> {
    prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..8)
}

proptest! {
    #[test]
    fn without_a_loss_none_is_reported(
        (history, present) in kept(), allowances in prop::collection::vec(allowance(), 0..3),
    ) {
        let losses = losses(&history, &present, &allowances);
        prop_assert!(losses.verdict().is_ok());
        prop_assert!(losses.forbidden.is_empty() && losses.allowed.is_empty());
    }

    #[test]
    fn a_loss_that_nothing_allows_is_found(
        (history, mut present) in kept(),
        node in any::<prop::sample::Index>(),
        key in any::<prop::sample::Index>(),
    ) {
        let acknowledged: Vec<String> =
            history.acknowledged().map(|write| write.key.clone()).collect();
        prop_assume!(!acknowledged.is_empty());
        let key = key.get(&acknowledged);
        let node = format!("n{}", node.index(present.len()));
        present.get_mut(&node).expect("a node").remove(key);
        let losses = losses(&history, &present, &[Allowance::Nothing]);
        prop_assert!(losses.verdict().is_err());
        prop_assert_eq!(losses.forbidden, BTreeMap::from([(key.clone(), vec![node])]));
    }

    #[test]
    fn a_key_less_never_mends_what_is_broken(
        (history, mut present) in kept(),
        first in holes(),
        then in holes(),
        allowances in prop::collection::vec(allowance(), 0..3),
    ) {
        take(&mut present, &first);
        let before = losses(&history, &present, &allowances);
        take(&mut present, &then);
        let after = losses(&history, &present, &allowances);
        prop_assert!(before.verdict().is_ok() || after.verdict().is_err());
        for key in before.forbidden.keys() {
            prop_assert!(after.forbidden.contains_key(key));
        }
        prop_assert!(before.allowed.is_subset(&after.allowed));
    }

    #[test]
    fn what_is_missing_is_allowed_or_forbidden_and_never_both(
        (history, mut present) in kept(),
        holes in holes(),
        allowances in prop::collection::vec(allowance(), 0..3),
    ) {
        take(&mut present, &holes);
        let missing: BTreeSet<String> = present
            .values()
            .flat_map(|keys| history.missing(keys))
            .map(|write| write.key.clone())
            .collect();
        let losses = losses(&history, &present, &allowances);
        let forbidden: BTreeSet<String> = losses.forbidden.into_keys().collect();
        prop_assert!(losses.allowed.is_disjoint(&forbidden));
        prop_assert_eq!(&losses.allowed | &forbidden, missing);
    }
}
