//! Hand-written replies, digests and counts, and whether they compare as equal.

use super::*;
use crate::cluster::fake::{self, Script};
use proptest::prelude::*;
use rstest::rstest;

fn bulk(text: impl AsRef<[u8]>) -> Value {
    Value::BulkString(text.as_ref().to_vec())
}

fn array(items: &[&str]) -> Value {
    Value::Array(items.iter().map(bulk).collect())
}

fn kind(word: &str) -> Value {
    Value::SimpleString(word.to_owned())
}

fn held_as(word: &str, reply: &Value) -> Option<String> {
    held(&kind(word), &NO_TTL, reply)
}

#[test]
fn equal_sets_and_hashes_print_equally_whatever_their_order() {
    let one = array(&["a", "b"]);
    let two = array(&["b", "a"]);
    assert_eq!(in_order("set", &one), in_order("set", &two));
    assert_ne!(in_order("list", &one), in_order("list", &two));

    let one = array(&["a", "1", "b", "2"]);
    let two = array(&["b", "2", "a", "1"]);
    let crossed = array(&["a", "2", "b", "1"]);
    assert_eq!(in_order("hash", &one), in_order("hash", &two));
    assert_ne!(in_order("hash", &one), in_order("hash", &crossed));
}

#[rstest]
#[case::string("string", bulk("v"), "string v")]
#[case::with_a_space("string", bulk("v w"), "string \"v w\"")]
#[case::empty("string", bulk(""), "string \"\"")]
#[case::binary("string", bulk(b"\x00\xff\n"), "string \\x00\\xff\\n")]
#[case::unicode("string", bulk("ü"), "string \\xc3\\xbc")]
#[case::quote("string", bulk("a\"b"), "string a\\\"b")]
#[case::list("list", array(&["b", "a"]), "list [b a]")]
#[case::set("set", array(&["b", "a"]), "set [a b]")]
#[case::hash("hash", array(&["f", "1", "e", "2"]), "hash [e=2 f=1]")]
#[case::zset("zset", array(&["b", "1", "a", "2"]), "zset [b 1 a 2]")]
#[case::stream(
    "stream", Value::Array(vec![Value::Array(vec![bulk("1-0"), array(&["f", "v"])])]),
    "stream [[1-0 [f v]]]"
)]
#[case::number("string", Value::Int(-7), "string -7")]
#[case::other_reply("module", Value::Boolean(true), "module boolean(true)")]
fn values_print_as_people_read_them(#[case] word: &str, #[case] reply: Value, #[case] text: &str) {
    assert_eq!(held_as(word, &reply).as_deref(), Some(text));
}

#[rstest]
#[case::no_type("none", bulk("v"))]
#[case::expired_between_type_and_read("string", Value::Nil)]
fn a_key_that_is_gone_is_not_held(#[case] word: &str, #[case] reply: Value) {
    assert_eq!(held_as(word, &reply), None);
}

#[rstest]
#[case::none(-1, "string v")]
#[case::some(5000, "string v with TTL")]
#[case::about_to_end(0, "string v with TTL")]
fn a_ttl_is_told_but_not_how_long(#[case] ttl: i64, #[case] text: &str) {
    let held = held(&kind("string"), &Value::Int(ttl), &bulk("v"));
    assert_eq!(held.as_deref(), Some(text));
}

/// Contents that only look alike must not print alike.
#[rstest]
#[case::one_element_or_two("set", array(&["a b"]), array(&["a", "b"]))]
#[case::space_in_a_list("list", array(&["a", "b c"]), array(&["a b", "c"]))]
#[case::equals_sign_in_a_hash("hash", array(&["a=b", "c"]), array(&["a", "b=c"]))]
#[case::space_in_a_hash("hash", array(&["a", "b c=d"]), array(&["a", "b", "c", "d"]))]
#[case::brackets("list", array(&["[a]"]), Value::Array(vec![array(&["a"])]))]
#[case::empty_element("list", array(&[""]), array(&[]))]
#[case::an_element_less("list", array(&["a", ""]), array(&["a"]))]
#[case::quotes("list", array(&["\"a b\""]), array(&["a b"]))]
#[case::escapes("string", bulk("\\x00"), bulk("\x00"))]
fn lookalikes_print_differently(#[case] word: &str, #[case] one: Value, #[case] other: Value) {
    assert_ne!(held_as(word, &one), held_as(word, &other));
}

#[test]
fn a_value_that_ends_like_a_ttl_has_none() {
    let value = bulk("v with TTL");
    let with = held(&kind("string"), &Value::Int(9), &bulk("v"));
    assert_ne!(held_as("string", &value), with);
}

#[test]
fn a_difference_groups_the_nodes_by_value() {
    let difference = Difference {
        database: 2,
        key: "k".to_owned(),
        values: [
            ("primary1", "absent"),
            ("primary2", "string 1"),
            ("replica1", "string 1"),
        ]
        .map(|(node, value)| (node.to_owned(), value.to_owned()))
        .into(),
    };
    assert_eq!(
        difference.to_string(),
        "db2 'k': absent on primary1, string 1 on primary2 replica1"
    );
}

/// Databases: number, keys, keys with a TTL.
type Keyspace = &'static [(u32, u64, u64)];

fn summary(digest: &str, keyspace: Keyspace) -> Summary {
    Summary {
        digest: digest.to_owned(),
        keyspace: keyspace
            .iter()
            .map(|&(database, keys, expires)| (database, KeyspaceStats { keys, expires }))
            .collect(),
    }
}

fn holding(pairs: &[(&str, &str)]) -> Contents {
    let owned = |(key, value): &(&str, &str)| (key.as_bytes().to_vec(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

const NAMES: [&str; 3] = ["p1", "p2", "r1"];

/// As [`compare`] would: contents are read only where the summaries differ.
fn judged(summaries: &[Summary], contents: &[(u32, Vec<Contents>)]) -> Comparison {
    let names = &NAMES[..summaries.len()];
    let read = match look_alike(names, summaries) {
        true => BTreeMap::new(),
        false => contents.iter().cloned().collect(),
    };
    compared(names, summaries, &read)
}

#[rstest]
#[case::no_node_holds(&[], "0 nodes agree on 0 keys")]
#[case::one_node_holds(&[summary("a", &[(0, 3, 0)])], "1 nodes agree on 3 keys")]
#[case::empty_nodes_holds(&[summary("0", &[]), summary("0", &[])], "2 nodes agree on 0 keys")]
#[case::equal_digests_and_counts_holds(
    &[summary("a", &[(0, 3, 1), (9, 1, 0)]), summary("a", &[(0, 3, 1), (9, 1, 0)])],
    "2 nodes agree on 4 keys"
)]
#[case::digests_differ_broken(
    &[summary("a", &[(0, 1, 0)]), summary("a", &[(0, 1, 0)]), summary("b", &[(0, 1, 0)])],
    "0 keys differ; digests differ: p1 a, p2 a, r1 b"
)]
#[case::counts_differ_though_digests_do_not_broken(
    &[summary("a", &[(0, 2, 0)]), summary("a", &[(0, 1, 0)])],
    "0 keys differ; db0 keys= differs: p1 2, p2 1"
)]
#[case::a_database_on_one_node_only_broken(
    &[summary("a", &[(0, 1, 0)]), summary("a", &[(0, 1, 0), (7, 2, 0)])],
    "0 keys differ; db7 keys= differs: p1 0, p2 2"
)]
#[case::same_sum_in_other_databases_broken(
    &[summary("a", &[(0, 1, 0)]), summary("a", &[(1, 1, 0)])],
    "0 keys differ; db0 keys= differs: p1 1, p2 0; db1 keys= differs: p1 0, p2 1"
)]
fn digests_and_counts(#[case] summaries: &[Summary], #[case] text: &str) {
    let comparison = judged(summaries, &[]);
    assert_eq!(comparison.to_string(), text);
    assert_eq!(comparison.agrees(), !text.contains("differ"));
    assert_eq!(
        expires_differ(&NAMES[..summaries.len()], summaries),
        [""; 0]
    );
}

#[test]
fn expiry_counts_are_told_apart_from_the_data() {
    let summaries = [summary("a", &[(0, 9, 0)]), summary("a", &[(0, 9, 9)])];
    let comparison = judged(&summaries, &[]);
    assert!(comparison.agrees(), "holds");
    let expires = expires_differ(&NAMES[..2], &summaries);
    assert_eq!(expires, ["db0 expires= differs: p1 0, p2 9"]);
}

#[rstest]
#[case::value_differs(
    &[(0, vec![holding(&[("k", "string 1")]), holding(&[("k", "string 2")])])],
    "1 keys differ; db0 'k': string 1 on p1, string 2 on p2"
)]
#[case::key_absent_on_one(
    &[(3, vec![holding(&[("k", "string 1")]), holding(&[])])],
    "1 keys differ; db3 'k': absent on p2, string 1 on p1"
)]
#[case::binary_key(
    &[(0, vec![holding(&[("\0ü'", "string 1")]), holding(&[])])],
    "1 keys differ; db0 '\\x00\\xc3\\xbc\\'': absent on p2, string 1 on p1"
)]
#[case::two_databases(
    &[
        (0, vec![holding(&[("k", "string 1"), ("same", "x")]), holding(&[("same", "x")])]),
        (1, vec![holding(&[]), holding(&[("k", "string 1")])]),
    ],
    "2 keys differ; db0 'k': absent on p2, string 1 on p1; db1 'k': absent on p1, string 1 on p2"
)]
fn differing_keys_are_named(#[case] contents: &[(u32, Vec<Contents>)], #[case] text: &str) {
    let summaries = [summary("a", &[(0, 1, 0)]), summary("b", &[(0, 1, 0)])];
    let comparison = judged(&summaries, contents);
    assert!(!comparison.agrees(), "broken");
    assert_eq!(comparison.to_string(), text);
}

#[test]
fn the_third_nodes_difference_is_found() {
    let same = holding(&[("k", "string 1")]);
    let contents = [same.clone(), same, holding(&[("k", "string 2")])];
    let found = differences(0, &NAMES, &contents);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "db0 'k': string 1 on p1 p2, string 2 on r1"
    );
}

#[test]
fn five_keys_are_shown_and_all_are_counted() {
    let many: Vec<String> = (0..7).map(|n| format!("k{n}")).collect();
    let pairs: Vec<(&str, &str)> = many.iter().map(|key| (&**key, "string 1")).collect();
    let summaries = [summary("a", &[(0, 7, 0)]), summary("b", &[])];
    let text = judged(&summaries, &[(0, vec![holding(&pairs), holding(&[])])]).to_string();
    assert!(text.starts_with("7 keys differ; db0 'k0':"), "{text}");
    assert!(text.contains("'k4'") && !text.contains("'k5'"), "{text}");
}

#[test]
fn every_database_of_any_node_is_read() {
    let summaries = [
        summary("a", &[(0, 1, 0)]),
        summary("b", &[(5, 1, 0), (2, 1, 0)]),
    ];
    assert_eq!(databases(&summaries), BTreeSet::from([0, 2, 5]));
}

#[rstest]
#[case::exactly_as_long_as_is_shown(80, true)]
#[case::one_more(81, false)]
fn long_values_are_cut(#[case] length: usize, #[case] whole: bool) {
    let text = "ü".repeat(length);
    assert_eq!(cut(&text) == text, whole);
    assert!(cut(&text).starts_with(&"ü".repeat(80)));
}

#[test]
fn values_that_differ_past_the_cut_are_still_shown_apart() {
    let long = "x".repeat(200);
    let (one, other) = (format!("list [{long} 1]"), format!("list [{long} 2]"));
    let found = differences(
        0,
        &NAMES[..2],
        &[holding(&[("k", &one)]), holding(&[("k", &other)])],
    );
    assert_ne!(found[0].values["p1"], found[0].values["p2"]);
}

/// A server with keys in database 0, whatever they are.
fn server(digest: &str) -> Script {
    Script::new("# Keyspace\r\ndb0:keys=1,expires=0\r\n", digest)
}

#[rstest]
#[case::counts_differ(
    "db0:keys=2,expires=0",
    "0 keys differ; db0 keys= differs: primary1 1, primary2 2"
)]
#[case::counts_are_equal(
    "db0:keys=1,expires=0",
    "0 keys differ; digests differ: primary1 x, primary2 y"
)]
#[tokio::test]
async fn a_glance_asks_for_digests_where_counts_are_equal(#[case] other: &str, #[case] text: &str) {
    let info = format!("# Keyspace\r\n{other}\r\n");
    let nodes = vec![
        ("primary1", server("x")),
        ("primary2", Script::new(&info, "y")),
    ];
    let (cluster, scripts) = fake::cluster(nodes).await;
    let nodes: Vec<&Node> = cluster.nodes().iter().collect();
    assert_eq!(glance(&nodes).await.unwrap().to_string(), text);
    let asked = scripts[1].lock().unwrap().asked.clone();
    let digest = asked.iter().any(|command| command.contains("DIGEST"));
    assert_eq!(digest, text.contains("digests"), "{asked:?}");
}

async fn compared_by_asking(script: impl Fn(&str) -> Script) -> (Comparison, Vec<String>) {
    let nodes = vec![("primary1", script("x")), ("primary2", script("y"))];
    let (cluster, scripts) = fake::cluster(nodes).await;
    let nodes: Vec<&Node> = cluster.nodes().iter().collect();
    let comparison = compare(&nodes).await.unwrap();
    let asked = scripts[1].lock().unwrap().asked.clone();
    (comparison, asked)
}

#[rstest]
#[case::string("string", "GET k")]
#[case::list("list", "LRANGE k 0 -1")]
#[case::set("set", "SMEMBERS k")]
#[case::hash("hash", "HGETALL k")]
#[case::zset("zset", "ZRANGE k 0 -1 WITHSCORES")]
#[case::stream("stream", "XRANGE k - +")]
#[tokio::test]
async fn every_type_is_read_whole_by_its_own_command(
    #[case] word: &str,
    #[case] command: &'static str,
) {
    let (comparison, _) = compared_by_asking(|digest| {
        server(digest)
            .with("SCAN", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n")
            .with("TYPE k", &format!("+{word}\r\n:-1\r\n"))
            .with(command, &fake::bulk(digest))
    })
    .await;
    let text = format!("1 keys differ; db0 'k': {word} x on primary1, {word} y on primary2");
    assert_eq!(comparison.to_string(), text);
}

#[tokio::test]
async fn a_key_that_is_refused_for_ever_is_an_error_and_asked_for_again() {
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    let refusing = |digest: &str| {
        server(digest)
            .with("SCAN", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n")
            .with("TYPE k", "+list\r\n:-1\r\n")
            .with("LRANGE k 0 -1", wrong)
    };
    let nodes = vec![("primary1", refusing("x")), ("primary2", refusing("y"))];
    let (cluster, scripts) = fake::cluster(nodes).await;
    let error = contents(&cluster.nodes()[1], 0).await.unwrap_err();
    assert!(error.is_refusal("WRONGTYPE"), "{error}");
    let asked = scripts[1].lock().unwrap().asked.clone();
    let types = asked.iter().filter(|asked| asked.starts_with("TYPE"));
    assert_eq!(types.count(), 1 + ROUNDS, "{asked:?}");
}

#[tokio::test]
async fn keys_are_scanned_to_the_end() {
    let page = |cursor: &str, key: &str| {
        let (cursor, key) = (fake::bulk(cursor), fake::bulk(key));
        format!("*2\r\n{cursor}*1\r\n{key}")
    };
    let (comparison, asked) = compared_by_asking(|digest| {
        server(digest)
            .with("SCAN 0 ", &page("7", "a"))
            .with("SCAN 7 ", &page("0", "b"))
            .with("TYPE a", "+string\r\n:-1\r\n+string\r\n:-1\r\n")
            .with("GET a", &fake::bulk(digest).repeat(2))
    })
    .await;
    let keys: Vec<&str> = comparison.differing.iter().map(|d| &*d.key).collect();
    assert_eq!(keys, ["a", "b"]);
    let scans = asked.iter().filter(|asked| asked.starts_with("SCAN"));
    assert_eq!(scans.count(), 2);
}

#[tokio::test]
async fn no_key_is_read_where_digests_and_counts_are_equal() {
    let (comparison, asked) = compared_by_asking(|_| server("same")).await;
    assert!(comparison.agrees(), "{comparison}");
    assert!(
        !asked.iter().any(|asked| asked.starts_with("SELECT")),
        "{asked:?}"
    );
}

/// Short elements over an alphabet that holds everything the printing uses itself.
fn element() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"ab =[]\"'\\x\x00\xff\n".to_vec());
    prop::collection::vec(byte, 0..4)
}

fn flat(parts: impl IntoIterator<Item = Vec<u8>>) -> Value {
    Value::Array(parts.into_iter().map(Value::BulkString).collect())
}

type Elements = Vec<Vec<u8>>;
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn set() -> impl Strategy<Value = (Elements, Elements)> {
    prop::collection::btree_set(element(), 0..6)
        .prop_map(|set| set.into_iter().collect::<Elements>())
        .prop_flat_map(|set| (Just(set.clone()), Just(set).prop_shuffle()))
}

fn hash() -> impl Strategy<Value = (Fields, Fields)> {
    prop::collection::btree_map(element(), element(), 0..6)
        .prop_map(|hash| hash.into_iter().collect::<Fields>())
        .prop_flat_map(|hash| (Just(hash.clone()), Just(hash).prop_shuffle()))
}

fn fields(hash: Fields) -> Value {
    flat(hash.into_iter().flat_map(|(field, value)| [field, value]))
}

/// The keys of two nodes: what `judged` makes of them, digests being as different as the contents.
fn compare_two(one: Contents, other: Contents) -> Comparison {
    let digest = |contents: &Contents| Summary {
        digest: format!("{contents:?}"),
        keyspace: BTreeMap::new(),
    };
    let summaries = [digest(&one), digest(&other)];
    judged(&summaries, &[(0, vec![one, other])])
}

proptest! {
    #[test]
    fn a_set_in_another_order_is_equal((one, two) in set()) {
        prop_assert_eq!(held_as("set", &flat(one)), held_as("set", &flat(two)));
    }

    #[test]
    fn a_hash_in_another_order_is_equal((one, two) in hash()) {
        prop_assert_eq!(held_as("hash", &fields(one)), held_as("hash", &fields(two)));
    }

    #[test]
    fn two_lists_print_alike_only_if_they_are(
        one in prop::collection::vec(element(), 0..4),
        two in prop::collection::vec(element(), 0..4),
    ) {
        let same = one == two;
        prop_assert_eq!(held_as("list", &flat(one)) == held_as("list", &flat(two)), same);
    }

    #[test]
    fn one_changed_element_of_a_set_always_differs(
        (one, mut two) in set(), at in any::<prop::sample::Index>(), new in element(),
    ) {
        prop_assume!(!two.is_empty() && !two.contains(&new));
        let at = at.index(two.len());
        two[at] = new;
        prop_assert_ne!(held_as("set", &flat(one)), held_as("set", &flat(two)));
    }

    #[test]
    fn one_changed_value_of_a_hash_always_differs(
        (one, mut two) in hash(), at in any::<prop::sample::Index>(), new in element(),
    ) {
        prop_assume!(!two.is_empty());
        let at = at.index(two.len());
        prop_assume!(two[at].1 != new);
        two[at].1 = new;
        prop_assert_ne!(held_as("hash", &fields(one)), held_as("hash", &fields(two)));
    }

    #[test]
    fn equal_contents_never_differ(
        contents in prop::collection::btree_map(element(), any::<String>(), 0..8),
    ) {
        let comparison = compare_two(contents.clone(), contents);
        prop_assert!(comparison.agrees(), "{}", comparison);
    }

    #[test]
    fn one_changed_or_removed_key_is_named_and_no_other(
        one in prop::collection::btree_map(element(), any::<String>(), 1..8),
        at in any::<prop::sample::Index>(),
        new in prop::option::of(any::<String>()),
    ) {
        let key = at.get(&one.keys().cloned().collect::<Vec<_>>()).clone();
        prop_assume!(one.get(&key) != new.as_ref());
        let mut other = one.clone();
        match new {
            Some(value) => other.insert(key.clone(), value),
            None => other.remove(&key),
        };
        let differing = compare_two(one, other).differing;
        let named: Vec<&str> = differing.iter().map(|difference| &*difference.key).collect();
        prop_assert_eq!(named, [key.escape_ascii().to_string()]);
        let shown: BTreeSet<&String> = differing[0].values.values().collect();
        prop_assert_eq!(shown.len(), 2, "the two values are shown apart");
    }

    #[test]
    fn any_value_prints(bytes in any::<Vec<u8>>(), word in any::<String>(), ttl in any::<i64>()) {
        let reply = Value::Array(vec![Value::BulkString(bytes), Value::Nil]);
        held(&kind(&word), &Value::Int(ttl), &reply);
    }
}
