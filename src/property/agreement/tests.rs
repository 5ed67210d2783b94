//! Hand-written comparisons, and what each of the three promises makes of it.

use super::*;
use crate::cluster::dataset::Difference;
use crate::verdict::Verdict::{self, Broken, Holds};
use rstest::rstest;

fn keys(counts: &[u64]) -> BTreeMap<String, u64> {
    let named = |(number, count): (usize, &u64)| (format!("node{number}"), *count);
    counts.iter().enumerate().map(named).collect()
}

/// Nodes that agree and hold so many keys each.
fn agreed(counts: &[u64]) -> Comparison {
    Comparison {
        keys: keys(counts),
        differing: Vec::new(),
        unexplained: Vec::new(),
    }
}

fn differing(key: &str) -> Comparison {
    Comparison {
        differing: vec![Difference {
            database: 0,
            key: key.to_owned(),
            values: [("node0", "string 1"), ("node1", "absent")]
                .map(|(node, value)| (node.to_owned(), value.to_owned()))
                .into(),
        }],
        ..agreed(&[1, 0])
    }
}

fn unexplained() -> Comparison {
    Comparison {
        unexplained: vec!["digests differ: node0 a, node1 b".to_owned()],
        ..agreed(&[1, 1])
    }
}

fn no_answer<T>() -> Result<T, ClientError> {
    Err(ClientError::Unknown("timed out".to_owned()))
}

#[rstest]
#[case::equal_on_two_nodes_holds(Ok(agreed(&[7, 7])), Holds, "2 nodes agree on 7 keys")]
#[case::no_keys_anywhere_holds(Ok(agreed(&[0, 0, 0])), Holds, "3 nodes agree on 0 keys")]
#[case::one_node_alone_holds(Ok(agreed(&[3])), Holds, "1 nodes agree on 3 keys")]
#[case::key_on_one_node_only_broken(
    Ok(differing("k")),
    Broken,
    "1 keys differ; db0 'k': absent on node1, string 1 on node0"
)]
#[case::unicode_key_differs_broken(
    Ok(differing("schlüssel")),
    Broken,
    "1 keys differ; db0 'schlüssel': absent on node1, string 1 on node0"
)]
#[case::digests_differ_and_no_key_tells_why_broken(
    Ok(unexplained()),
    Broken,
    "0 keys differ; digests differ: node0 a, node1 b"
)]
#[case::a_node_does_not_answer_broken(no_answer(), Broken, "no answer: timed out")]
fn agreement(
    #[case] compared: Result<Comparison, ClientError>,
    #[case] verdict: Verdict,
    #[case] evidence: &str,
) {
    let finding = judged("agreement", PROMISE, agreeing(compared));
    assert_eq!((finding.verdict, &*finding.evidence), (verdict, evidence));
}

#[rstest]
#[case::every_key_on_every_node_holds(&[5, 5], 5, Holds, "5")]
#[case::more_than_was_asked_for_holds(&[6, 7], 5, Holds, "6")]
#[case::nothing_was_written_holds(&[0, 0], 0, Holds, "0")]
#[case::one_key_fewer_broken(&[4, 4], 5, Broken, "4")]
#[case::one_node_lost_one_broken(&[5, 4, 5], 5, Broken, "4")]
#[case::all_lost_everything_alike_broken(&[0, 0], 1, Broken, "0")]
#[case::one_node_alone_holds(&[5], 5, Holds, "5")]
#[case::no_node_is_left_broken(&[], 1, Broken, "0")]
fn data_kept_counts_the_poorest_node(
    #[case] counts: &[u64],
    #[case] at_least: u64,
    #[case] verdict: Verdict,
    #[case] fewest: &str,
) {
    let finding = data_kept("agreement", &keys(counts), at_least);
    assert_eq!(finding.verdict, verdict);
    let evidence = format!("{fewest} keys of {at_least} that were written and not deleted");
    assert_eq!(finding.evidence, evidence);
}

#[rstest]
#[case::equal_counts_holds(Ok(vec![]), Holds, "`expires=` is equal")]
#[case::counts_differ_in_two_databases_broken(
    Ok(vec!["db0 expires= differs: node0 0, node1 9", "db3 expires= differs: node0 1, node1 0"]),
    Broken,
    "db0 expires= differs: node0 0, node1 9; db3 expires= differs: node0 1, node1 0"
)]
#[case::a_node_does_not_answer_broken(no_answer(), Broken, "no answer: timed out")]
fn expires(
    #[case] differ: Result<Vec<&str>, ClientError>,
    #[case] verdict: Verdict,
    #[case] evidence: &str,
) {
    let differ = differ.map(|sentences| sentences.into_iter().map(str::to_owned).collect());
    let finding = judged("expires", SAME_EXPIRES, same_expires(differ));
    assert_eq!((finding.verdict, &*finding.evidence), (verdict, evidence));
}

#[rstest]
#[case::the_scenarios_only_agreement("agreement", "data-kept")]
#[case::one_of_several("agreement-before", "agreement-before-data-kept")]
fn the_checks_beside_an_agreement_are_named_after_it(#[case] check: &str, #[case] name: &str) {
    assert_eq!(data_kept(check, &keys(&[1]), 1).check, name);
}

/// A node: name, role, replid, own offset, and its links: whom it follows, state, offset in it.
type Shown = (
    &'static str,
    &'static str,
    &'static str,
    i64,
    &'static [(&'static str, &'static str, i64)],
);

fn view((name, role, replid, offset, links): Shown) -> crate::cluster::observe::NodeView {
    let mut text = format!("# Replication\r\nrole:{role}\r\n");
    for (_, state, at) in links {
        text.push_str(&format!(
            "master_host:h\r\nmaster_port:1\r\nmaster_link_status:{state}\r\n\
             master_sync_in_progress:0\r\nslave_repl_offset:{at}\r\n"
        ));
    }
    text.push_str(&format!(
        "master_replid:{replid}\r\nmaster_repl_offset:{offset}\r\n"
    ));
    crate::cluster::observe::NodeView {
        name: name.trim_matches(['(', ')']).to_owned(),
        should_answer: !name.starts_with('('),
        status: "running".to_owned(),
        info: Ok(crate::cluster::info::Info::parse(&text)),
        log_tail: Vec::new(),
        upstreams: links.iter().map(|(to, ..)| (*to).to_owned()).collect(),
    }
}

const ACTIVE: &str = "active-replica";

fn resting(nodes: &[Shown]) -> bool {
    let nodes = nodes.iter().copied().map(view).collect();
    at_rest(&Observation { nodes, proxy: None })
}

#[test]
fn nodes_rest_once_all_that_was_sent_was_heard() {
    let p1: Shown = ("p1", ACTIVE, "a", 10, &[("p2", "up", 20)]);
    let p2: Shown = ("p2", ACTIVE, "b", 20, &[("p1", "up", 10)]);
    let follows_p2: Shown = ("r1", "slave", "b", 20, &[("proxy", "up", 20)]);
    assert!(resting(&[p1, p2, follows_p2]));
    let behind: Shown = ("r1", "slave", "b", 19, &[("proxy", "up", 19)]);
    assert!(!resting(&[p1, p2, behind]), "a replica has not heard all");
    let behind: Shown = ("p1", ACTIVE, "a", 10, &[("p2", "up", 19)]);
    assert!(!resting(&[behind, p2]), "a primary has not heard all");
    let down: Shown = ("p1", ACTIVE, "a", 10, &[("p2", "down", 20)]);
    assert!(!resting(&[down, p2]), "a link is down");
    let dead: Shown = ("(p2)", ACTIVE, "b", 20, &[]);
    assert!(!resting(&[p1, dead]), "nobody says what was sent");
}
