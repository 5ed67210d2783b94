use rstest::rstest;

use super::*;

fn words(text: &str) -> Vec<Bytes> {
    text.split(' ')
        .map(|word| Bytes::copy_from_slice(word.as_bytes()))
        .collect()
}

fn command(text: &str) -> Vec<u8> {
    encoded(&words(text))
}

/// As 6.3.4 sends a write.
fn envelope(commands: &str, database: &str, mvcc: &str) -> Vec<u8> {
    let payload: Vec<u8> = commands.split(" ; ").flat_map(command).collect();
    encoded(&[
        "RREPLAY".into(),
        "9c20b9b1-3fe4-4bde-b187-ba4591ff0001".into(),
        payload.into(),
        Bytes::copy_from_slice(database.as_bytes()),
        Bytes::copy_from_slice(mvcc.as_bytes()),
    ])
}

/// What a filter makes of a stream: `database|commands` of each envelope, or the command.
fn told(stream: &[u8]) -> Vec<String> {
    let join = |argv: &Vec<Bytes>| {
        let words = argv.iter().map(|word| String::from_utf8_lossy(word));
        words.collect::<Vec<_>>().join(" ")
    };
    let told = commands(stream)
        .expect("commands")
        .into_iter()
        .map(|argv| match payload(&argv) {
            Some(payload) => {
                let inside = commands(payload).expect("commands");
                let inside: Vec<_> = inside.iter().map(join).collect();
                let database = String::from_utf8_lossy(&argv[3]);
                format!("{database}|{}", inside.join(" ; "))
            }
            None => join(&argv),
        });
    // The padding's length is another test's.
    told.map(|one| one.trim_end_matches(['x', ' ']).to_owned())
        .collect()
}

fn filtered(rule: Rule, stream: &[Vec<u8>]) -> (Vec<u8>, Mutating) {
    let mutator = Mutator::new();
    mutator.set([rule]);
    let mut filter = Mutating::new(mutator);
    filter.parser = Parser::in_commands();
    let mut onward = Vec::new();
    for part in stream {
        filter.bytes(part, &mut onward);
    }
    (onward, filter)
}

#[rstest]
#[case::drop(Change::Drop, &["0|SET a 1", "0|SET b 2"], &["PING", "0|SET b 2"])]
#[case::duplicate(Change::Duplicate, &["0|INCR a"], &["0|INCR a ; INCR a"])]
#[case::swap(
    Change::SwapWithNext,
    &["0|RPUSH a 1", "3|RPUSH b 2"],
    &["3|RPUSH b 2", "0|RPUSH a 1"]
)]
#[case::nothing_to_swap_with(Change::SwapWithNext, &["0|RPUSH a 1", "0|PING"], &["0|RPUSH a 1", "0|PING"])]
#[case::strip(
    Change::StripTtl,
    &["0|SET a 1 PXAT 1795415366364"],
    &["0|SET a 1", "TOUCH"]
)]
#[case::strip_only_that(
    Change::StripTtl,
    &["0|SET a EX EX 10 NX"],
    &["0|SET a EX NX"]
)]
#[case::strip_setex(Change::StripTtl, &["0|SETEX a 10 v"], &["0|SET a v"])]
#[case::strip_expire(Change::StripTtl, &["0|PEXPIREAT a 1795415366364"], &["PING"])]
#[case::nothing_to_strip(Change::StripTtl, &["0|SET a 1"], &["0|SET a 1"])]
#[case::database(Change::Database(7), &["0|SET a 1"], &["7|SET a 1"])]
#[case::each_of_several(
    Change::Drop,
    &["0|SET a 1 ; SET b 1 ; PEXPIREAT a 1795415366364"],
    &["0|SET b 1", "PING"]
)]
#[case::strip_one_of_several(
    Change::StripTtl,
    &["0|SET a 1 ; PEXPIREAT a 1795415366364"],
    &["0|SET a 1", "PING"]
)]
#[case::move_one_of_several(
    Change::Database(7),
    &["2|SET b 1 ; SET a 1 ; SET b 2"],
    &["2|SET b 1 ; SELECT 7 ; SET a 1 ; SELECT 2 ; SET b 2"]
)]
#[case::a_transaction_keeps_its_frame(
    Change::Drop,
    &["0|MULTI", "0|SET a 1", "0|EXEC"],
    &["0|MULTI", "PING", "0|EXEC"]
)]
fn envelopes_are_changed(#[case] change: Change, #[case] came: &[&str], #[case] wanted: &[&str]) {
    let stream: Vec<_> = came
        .iter()
        .map(|one| {
            let (database, commands) = one.split_once('|').unwrap();
            envelope(commands, database, "1882629358289420290")
        })
        .collect();
    let (onward, _) = filtered(Rule::new(change).on("a"), &stream);
    assert_eq!(told(&onward), wanted);
}

#[rstest]
#[case::drop(Change::Drop, &["SET a 12345", "SET b 2"], &["PING", "SET b 2"])]
#[case::duplicate(Change::Duplicate, &["INCR a"], &["INCR a", "INCR a"])]
#[case::swap(Change::SwapWithNext, &["RPUSH a 1", "RPUSH b 2"], &["RPUSH b 2", "RPUSH a 1"])]
#[case::database(
    Change::Database(7),
    &["SELECT 2", "SET a 1"],
    &["SELECT 2", "SELECT 7", "SET a 1", "SELECT 2"]
)]
fn bare_commands_are_changed(
    #[case] change: Change,
    #[case] came: &[&str],
    #[case] wanted: &[&str],
) {
    let stream: Vec<_> = came.iter().map(|one| command(one)).collect();
    let (onward, _) = filtered(Rule::new(change).on("a"), &stream);
    assert_eq!(told(&onward), wanted);
}

#[test]
fn what_a_peer_was_heard_to_say_is_changed_inside_its_envelopes() {
    let inner = envelope("SET a 1", "0", "1");
    let outer = encoded(&[
        "RREPLAY".into(),
        "8eb40b84-7cce-4858-851c-ac28ad119dd0".into(),
        inner.into(),
        "0".into(),
        "2".into(),
    ]);
    let (onward, _) = filtered(Rule::new(Change::Database(5)), &[outer]);
    let argv = commands(&onward).unwrap();
    let inside = commands(payload(&argv[0]).unwrap()).unwrap();
    assert_eq!((&argv[0][3][..], &inside[0][3][..]), (&b"0"[..], &b"5"[..]));
}

#[rstest]
#[case::other_name(Rule::new(Change::Drop).of("DEL"), 0)]
#[case::any_case(Rule::new(Change::Drop).of("set"), 6)]
#[case::other_key(Rule::new(Change::Drop).on("z"), 0)]
#[case::every_third(Rule::new(Change::Drop).every(3), 2)]
fn rules_choose(#[case] rule: Rule, #[case] wanted: u64) {
    let stream = vec![envelope("SET key v", "0", "1"); 6];
    let (_, filter) = filtered(rule, &stream);
    assert_eq!(filter.mutator.changed(), wanted);
}

#[rstest]
#[case::drop(Change::Drop)]
#[case::duplicate(Change::Duplicate)]
#[case::swap(Change::SwapWithNext)]
#[case::strip(Change::StripTtl)]
#[case::database(Change::Database(12))]
fn lengths_come_out_even_in_the_end(#[case] change: Change) {
    let mut stream = Vec::new();
    for n in 0..7 {
        let value = "v".repeat(n * 3 + 1);
        let set = format!("SET a {value} PXAT 1795415366364");
        stream.push(envelope(&set, "0", "1882629358289420290"));
    }
    stream.extend(vec![envelope("ping", "0", "1882629358289420290"); 20]);
    let (onward, filter) = filtered(Rule::new(change), &stream);
    assert_eq!(filter.drift, 0);
    assert_eq!(onward.len(), stream.concat().len());
    assert!(filter.mutator.changed() >= 3);
}

#[test]
fn padding_has_the_length_that_is_asked_for_or_is_none() {
    let lacking: Vec<i64> = (0..3000).filter(|n| padding(*n).is_none()).collect();
    let wanted: Vec<i64> = (0..14).chain(15..20).collect();
    assert_eq!(lacking, wanted);
    for length in [14, 20, 29, 30, 31, 119, 120, 121, 1021, 1022, 2999] {
        assert_eq!(
            padding(length).map(|bytes| bytes.len() as i64),
            Some(length)
        );
    }
}

#[test]
fn without_rules_all_passes_as_it_comes() {
    let mut filter = Mutating::new(Mutator::new());
    let stream = [
        b"+OK\r\n+FULLRESYNC x 0\r\n$5\r\nREDIS".to_vec(),
        envelope("SET a 1", "0", "1"),
        command("PING"),
        b"*1\r\n$4\r\nhalf".to_vec(),
    ]
    .concat();
    let mut onward = Vec::new();
    for chunk in stream.chunks(7) {
        filter.bytes(chunk, &mut onward);
    }
    filter.end(&mut onward);
    assert_eq!(onward, stream);
    assert_eq!(filter.mutator.lost(), None);
}

#[test]
fn a_stream_that_is_not_understood_is_told() {
    let mut filter = Mutating::new(Mutator::new());
    let mut onward = Vec::new();
    filter.bytes(b"+CONTINUE\r\ninline\r\n", &mut onward);
    assert!(filter.mutator.lost().is_some());
}

#[test]
fn envelopes_without_end_pass_as_they_come() {
    let mut nested = command("SET a 1");
    for _ in 0..60 {
        let words = ["RREPLAY".into(), "x".into(), nested.into(), "0".into()];
        nested = encoded(&[&words[..], &["1".into()]].concat());
    }
    let (onward, filter) = filtered(Rule::new(Change::Drop), &[nested.clone()]);
    assert_eq!((onward, filter.mutator.changed()), (nested, 0));
}
