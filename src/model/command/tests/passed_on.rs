//! What is passed on gives the same on a copy, whatever was carried out before.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::on_slot;

const NOW: u64 = 1_750_000_000_000;

fn command(words: &[&str]) -> Vec<Bytes> {
    let words = words.iter().map(|word| (*word).to_owned().into());
    words.collect()
}

/// An element, a small number or an odd one.
fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-d]",
        3 => (-4..8_i64).prop_map(|number| number.to_string()),
        1 => prop::sample::select(vec!["1.5", "inf", "-inf", "", "01", "9223372036854775807"])
            .prop_map(str::to_owned),
    ]
}

/// Any command that writes one key, with arguments that often make sense.
fn write() -> impl Strategy<Value = Vec<Bytes>> {
    let options = prop::sample::subsequence(vec!["NX", "XX", "GT", "LT", "CH", "INCR"], 0..2);
    let set = prop::sample::select(vec![
        "",
        "NX",
        "XX",
        "GET",
        "KEEPTTL",
        "EX 10",
        "PX 1",
        "EXAT 1",
        "PXAT 1750000000001",
    ]);
    let expiry = prop::sample::select(vec![
        "EXPIRE k 10",
        "EXPIRE k -1",
        "PEXPIRE k 1",
        "EXPIREAT k 4000000000",
        "PEXPIREAT k 1750000000002",
        "PERSIST k",
        "GETEX k EX 5",
        "GETEX k PERSIST",
        "GETDEL k",
        "DEL k",
        "SETEX k 5 v",
        "PSETEX k 5 v",
    ]);
    let any = prop::sample::select(vec![
        "SETNX",
        "GETSET",
        "APPEND",
        "SETRANGE",
        "INCR",
        "DECR",
        "INCRBY",
        "DECRBY",
        "INCRBYFLOAT",
        "LPUSH",
        "RPUSH",
        "LPUSHX",
        "RPUSHX",
        "LPOP",
        "RPOP",
        "LSET",
        "LREM",
        "LTRIM",
        "SADD",
        "SREM",
        "SPOP",
        "HSET",
        "HMSET",
        "HSETNX",
        "HDEL",
        "HINCRBY",
        "HINCRBYFLOAT",
        "ZADD",
        "ZREM",
        "ZINCRBY",
        "ZPOPMIN",
        "ZPOPMAX",
        "ZREMRANGEBYRANK",
        "ZREMRANGEBYSCORE",
    ]);
    prop_oneof![
        8 => (any, prop::collection::vec(argument(), 0..5)).prop_map(|(name, arguments)| {
            let mut argv = command(&[name, "k"]);
            argv.extend(arguments.into_iter().map(Bytes::from));
            argv
        }),
        1 => (argument(), set).prop_map(|(value, options)| {
            let mut argv = command(&["SET", "k", &value]);
            argv.extend(command(&options.split_whitespace().collect::<Vec<_>>()));
            argv
        }),
        2 => (options, argument(), argument()).prop_map(|(options, score, member)| {
            let mut argv = command(&["ZADD", "k"]);
            argv.extend(command(&options));
            argv.extend(command(&[&score, &member]));
            argv
        }),
        1 => (prop::bool::ANY, argument(), argument()).prop_map(|(before, pivot, element)| {
            let place = if before { "BEFORE" } else { "AFTER" };
            command(&["LINSERT", "k", place, &pivot, &element])
        }),
        1 => expiry.prop_map(|line| command(&line.split(' ').collect::<Vec<_>>())),
    ]
}

proptest! {
    #[test]
    fn a_copy_becomes_the_same(commands in prop::collection::vec((write(), 0..3_u64), 0..40)) {
        let (mut near, mut far) = (None, None);
        let mut now = NOW;
        for (argv, later) in commands {
            now += later;
            let before = near.clone();
            let Ok(effect) = on_slot(&mut near, &argv, now) else {
                prop_assert_eq!(&near, &before, "{:?} was refused", argv);
                continue;
            };
            let Some(write) = effect.write else {
                prop_assert_eq!(&near, &before, "{:?} passed nothing on", argv);
                continue;
            };
            let again = on_slot(&mut far, &write, now).map_err(|refusal| {
                TestCaseError::fail(format!("{argv:?} passed on {write:?}: {refusal}"))
            })?;
            prop_assert_eq!(&near, &far, "{:?} passed on {:?}", argv, write);
            if let Some(write) = again.write {
                // A node that passes on what it got passes on the same.
                let mut third = before;
                let _ = on_slot(&mut third, &write, now);
                prop_assert_eq!(&near, &third);
            }
        }
    }
}
