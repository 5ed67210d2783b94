use super::*;
use rstest::rstest;

fn pair(first: &str, second: &str) -> Pair {
    let mut all = pairs();
    let found = all.find(|it| it.first.name == first && it.second.name == second);
    found.unwrap()
}

#[rstest]
#[case("SET", "SET", ["string 100", "string 200", "string 200", "string 100"])]
#[case("SET", "DEL", ["string 100", "absent", "absent", "string 100"])]
#[case("DEL", "RPUSH", ["absent", "list [m b]", "list [b]", "absent"])]
#[case("SET", "INCR", ["string 100", "string 12", "string 102", "string 100"])]
#[case("INCR", "APPEND", ["string 11", "string 104", "string 114", "string 105"])]
#[case("RPUSH", "RPUSH", ["list [m a]", "list [m b]", "list [m a b]", "list [m b a]"])]
#[case("SADD/SREM", "SADD/SREM", ["set [a m y]", "set [b m x]", "set [a b m]", "set [a b m]"])]
#[case("HSET", "HSET", ["hash [f=m g=a]", "hash [f=m h=b]", "hash [f=m g=a h=b]", "hash [f=m g=a h=b]"])]
#[case("ZADD", "ZADD", ["zset [m 1 a 2]", "zset [m 1 b 3]", "zset [m 1 a 2 b 3]", "zset [m 1 a 2 b 3]"])]
#[case("RPUSH", "ZADD", ["list [a]", "zset [b 3]", "list [a]", "zset [b 3]"])]
#[case("SET", "RPUSH", ["string 100", "list [m b]", "string 100", "string 100"])]
#[case("SET", "EXPIRE", ["string 100", "string 10 for 2 h", "string 100 for 2 h", "string 100"])]
#[case("EXPIRE", "INCR", ["string 10 for 1 h", "string 12", "string 12 for 1 h", "string 12 for 1 h"])]
#[case("DEL", "EXPIRE", ["absent", "string 10 for 2 h", "absent", "absent"])]
#[case("PERSIST", "EXPIRE", ["string 10", "string 10 for 2 h", "string 10 for 2 h", "string 10"])]
#[case("PERSIST", "RPUSH", ["list [m]", "list [m b] for 3 h", "list [m b]", "list [m b]"])]
#[case("SETNX", "SETNX", ["string 30000", "string 40000", "string 30000", "string 40000"])]
#[case("SETNX", "INCR", ["string 30000", "string 2", "string 30002", "string 2"])]
#[case("SETNX", "RPUSH", ["string 30000", "list [b]", "string 30000", "list [b]"])]
#[case("EXPIRE", "RENAME", ["string 10 for 1 h", "string 60000", "string 60000", "string 60000 for 1 h"])]
#[case("XADD", "XADD", ["stream [m a]", "stream [m b]", "stream [m a b]", "stream [m b a]"])]
#[case("MULTI", "MULTI", ["string 157", "string 168", "string 1638", "string 1737"])]
#[case("MULTI", "SET", ["string 157", "string 200", "string 200", "string 2057"])]
#[case("EVAL", "EVAL", ["string 21", "string 22", "string 22", "string 21"])]
#[case("EVAL", "EXPIRE", ["string 21", "string 10 for 2 h", "string 21 for 2 h", "string 21"])]
#[case("EVAL", "INCR", ["string 21", "string 12", "string 23", "string 21"])]
#[case("FLUSHDB", "EVAL", ["absent", "string 22", "string 22", "absent"])]
#[case("FLUSHDB", "SADD/SREM", ["absent", "set [b m x]", "set [b]", "absent"])]
#[case("FLUSHDB", "RENAME", ["absent", "string 60000", "absent", "absent"])]
#[case("RENAME", "FLUSHDB", ["string 50000", "absent", "absent", "absent"])]
fn what_a_pair_may_end_with(#[case] first: &str, #[case] second: &str, #[case] wanted: [&str; 4]) {
    let it = pair(first, second).courses();
    let seen = [it.first, it.second, it.in_order, it.against_order];
    assert_eq!(seen.map(|held| held.to_string()), wanted);
}

#[test]
fn each_primarys_write_is_taken_where_it_is_made_and_told_from_the_others() {
    assert_eq!(pairs().count(), 248);
    for pair in pairs() {
        let it = pair.courses();
        let [start, first, second] = [it.start, it.first, it.second].map(|it| it.to_string());
        let names = [pair.first.name, pair.second.name];
        let gone = names.iter().all(|name| matches!(*name, "DEL" | "FLUSHDB"));
        let alike = gone || names == ["PERSIST"; 2];
        assert_eq!(first == second, alike, "{pair}");
        assert!(start != first && start != second, "{pair}");
    }
}

#[test]
fn the_first_eight_kinds_are_a_table_of_their_own() {
    let basic = || pairs().filter(|pair| !pair.further());
    assert_eq!(basic().count(), 64);
    assert_eq!(basic().filter(Pair::overwrites).count(), 16);
    assert_eq!(basic().filter(Pair::adds).count(), 6);
    assert!(basic().all(|pair| pair.database == 0 && !pair.times()));
}

#[test]
fn what_a_flush_hits_is_in_a_database_of_its_own() {
    let mut databases: Vec<u32> = pairs().map(|pair| pair.database).collect();
    databases.retain(|database| *database != 0);
    assert_eq!(databases, (1..=29).collect::<Vec<_>>());
    assert!(databases.iter().all(|database| *database < DATABASES));
    for pair in pairs() {
        let flushes = pair.first.empties() || pair.second.empties();
        assert_eq!(pair.database != 0, flushes, "{pair}");
        let mut pipe = redis::pipe();
        pair.write(0, &mut pipe);
        let once = pair.first.empties();
        let sent = pair.first.sent[0].len() * if once { 1 } else { KEYS };
        assert_eq!(pipe.cmd_iter().count(), 1 + sent, "{pair}");
    }
}

#[test]
fn what_is_renamed_is_there_before() {
    let pair = pair("RENAME", "RENAME");
    let sources = ["RENAME>RENAME:2:50000", "RENAME>RENAME:2:60000"];
    assert_eq!(pair.sources(2), sources);
    let mut pipe = redis::pipe();
    pair.prepare(&mut pipe);
    assert_eq!(pipe.cmd_iter().count(), 1 + KEYS + 2 * KEYS);
}
