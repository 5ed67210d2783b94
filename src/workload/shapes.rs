//! Keys of every shape: small and large, of each encoding that a type has, in several databases,
//! with and without a TTL. What comparison is worth is what has been compared.

use std::collections::BTreeSet;

use redis::{Cmd, Value};

use crate::cluster::{Client, ClientError};

/// The databases that shapes are written in: the first, the next, one of two digits and the last.
pub const DATABASES: [u32; 4] = [0, 1, 9, 15];
/// Seconds that the first key with a TTL lives; each further one a minute longer, so that no two are
/// mixed up unnoticed.
const TTL: usize = 10_000;
/// Milliseconds since 1970 of a time that is far away: the year 2100.
const FAR_AWAY: u64 = 4_102_444_800_000;
/// Elements that no compact encoding holds: hashes and intsets end at 512, sorted sets at 128.
const MANY: usize = 600;
/// Bytes of an element that no compact encoding holds, and of a value that is compressed in a file.
const LONG: usize = 20_000;
/// Keys that are written at once.
const BATCH: usize = 500;

/// One command that makes a key of some shape.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Its key without the prefix, such as `zset-long`.
    pub name: String,
    /// What makes it, in order: commands on this key alone.
    pub commands: Vec<Cmd>,
}

/// The words of a command, as bytes.
type Words = Vec<Vec<u8>>;

fn words(parts: &[&str]) -> Words {
    parts.iter().map(|part| part.as_bytes().to_vec()).collect()
}

/// All shapes of keys that begin with `prefix`.
pub fn all(prefix: &str) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let mut add = |name: &str, steps: Vec<(&str, Words)>| {
        let key = format!("{prefix}:{name}");
        let commands = steps.into_iter().map(|(command, words)| {
            let mut made = redis::cmd(command);
            let mut words = words.into_iter();
            // XGROUP and the like have a word before the key.
            if matches!(command, "XGROUP" | "XREADGROUP") {
                made.arg(words.next());
            }
            match command {
                // Its key comes last but one.
                "XREADGROUP" => made.arg(words.collect::<Vec<_>>()).arg(&key).arg(">"),
                _ => made.arg(&key).arg(words.collect::<Vec<_>>()),
            };
            made
        });
        shapes.push(Shape {
            name: name.to_owned(),
            commands: commands.collect(),
        });
    };
    let all_bytes: Vec<u8> = (0..=255).collect();
    let noise: Vec<u8> = (0..5 * LONG as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for (name, value) in [
        ("empty", Vec::new()),
        ("blank", b" ".to_vec()),
        ("zero", b"0".to_vec()),
        ("minus", b"-1".to_vec()),
        ("small-number", b"7".to_vec()),
        ("same-number", b"7".to_vec()),
        ("number", b"123456789".to_vec()),
        ("greatest", i64::MAX.to_string().into_bytes()),
        ("least", i64::MIN.to_string().into_bytes()),
        ("beyond", b"9223372036854775808".to_vec()),
        ("leading-zero", b"007".to_vec()),
        ("fraction", b"1.50".to_vec()),
        ("44-bytes", vec![b'x'; 44]),
        ("45-bytes", vec![b'x'; 45]),
        ("all-bytes", all_bytes.clone()),
        ("lines", b"a\r\nb\n$5\r\n".to_vec()),
        ("compressible", vec![b'z'; LONG]),
        ("noise", noise.clone()),
    ] {
        add(&format!("string-{name}"), vec![("SET", vec![value])]);
    }
    add(
        "string-appended",
        vec![("SET", words(&["1"])), ("APPEND", words(&["2"]))],
    );
    add(
        "string-counted",
        vec![("SET", words(&["9999"])), ("INCR", words(&[]))],
    );
    add(
        "string-fraction-counted",
        vec![("INCRBYFLOAT", words(&["0.1"]))],
    );
    add("string-bits", vec![("SETBIT", words(&["1000", "1"]))]);
    add("string-range", vec![("SETRANGE", words(&["10", "x"]))]);
    add("string-hyperloglog", vec![("PFADD", words(&["a", "b"]))]);
    let elements = |make: &dyn Fn(usize) -> Vec<u8>| (0..MANY).map(make).collect::<Words>();
    let numbers = elements(&|n| n.to_string().into_bytes());
    let texts = elements(&|n| format!("element {n}").into_bytes());
    let pairs = |first: &[Vec<u8>], second: &[Vec<u8>]| -> Words {
        let pairs = first.iter().zip(second);
        pairs.flat_map(|(a, b)| [a.clone(), b.clone()]).collect()
    };
    let odd: Words = vec![vec![], b"0".to_vec(), all_bytes, vec![b'x'; 65]];
    let long: Words = vec![noise[..LONG].to_vec(), vec![b'z'; LONG]];
    for (kind, members) in [
        ("odd", &odd),
        ("long", &long),
        ("numbers", &numbers),
        ("texts", &texts),
    ] {
        add(
            &format!("list-{kind}"),
            vec![("RPUSH", members.clone()), ("LPUSH", words(&["head"]))],
        );
        add(&format!("set-{kind}"), vec![("SADD", members.clone())]);
        let values: Words = members.iter().rev().cloned().collect();
        add(
            &format!("hash-{kind}"),
            vec![("HSET", pairs(members, &values))],
        );
        let scores: Words = (0..members.len())
            .map(|n| (n as f64 / 7.0).to_string().into_bytes())
            .collect();
        add(
            &format!("zset-{kind}"),
            vec![("ZADD", pairs(&scores, members))],
        );
    }
    add("set-few-numbers", vec![("SADD", words(&["3", "1", "-2"]))]);
    add(
        "set-great-numbers",
        vec![("SADD", words(&["1", "9223372036854775807"]))],
    );
    add(
        "set-number-then-text",
        vec![("SADD", words(&["1", "2"])), ("SADD", words(&["two"]))],
    );
    add("list-one", vec![("RPUSH", words(&["only"]))]);
    add(
        "hash-counted",
        vec![
            ("HINCRBY", words(&["n", "5"])),
            ("HINCRBYFLOAT", words(&["f", "0.3"])),
        ],
    );
    add(
        "zset-scores",
        vec![(
            "ZADD",
            words(&[
                "-inf", "a", "inf", "b", "0.1", "c", "-0.0", "d", "1e308", "e", "3e-320", "f", "1",
                "tie", "1", "eit",
            ]),
        )],
    );
    add(
        "zset-places",
        vec![(
            "GEOADD",
            words(&["13.361389", "38.115556", "x", "2.35", "48.85", "y"]),
        )],
    );
    add(
        "stream-plain",
        vec![
            ("XADD", words(&["1-1", "f", "v"])),
            ("XADD", words(&["1-2", "f", "", "g", "w"])),
            ("XADD", words(&["5-0", "other", "x"])),
        ],
    );
    add(
        "stream-deleted",
        vec![
            ("XADD", words(&["1-1", "f", "v"])),
            ("XADD", words(&["2-1", "f", "w"])),
            ("XDEL", words(&["2-1"])),
        ],
    );
    let mut many: Vec<(&str, Words)> = (1..=150)
        .map(|n| ("XADD", words(&[&format!("{n}-1"), "n", &n.to_string()])))
        .collect();
    many.push(("XGROUP", words(&["CREATE", "readers", "0"])));
    many.push((
        "XREADGROUP",
        words(&["GROUP", "readers", "reader", "COUNT", "7", "STREAMS"]),
    ));
    many.push(("XACK", words(&["readers", "2-1"])));
    add("stream-read", many);
    let mut ends = (0..).map(|n| (TTL + 60 * n).to_string());
    let mut end = || ends.next().unwrap_or_default();
    add("ttl-set-ex", vec![("SET", words(&["v", "EX", &end()]))]);
    add("ttl-setex", vec![("SETEX", words(&[&end(), "v"]))]);
    add(
        "ttl-psetex",
        vec![("PSETEX", words(&[&format!("{}000", end()), "v"]))],
    );
    for (name, make) in [
        ("string", ("SET", words(&["12"]))),
        ("list", ("RPUSH", words(&["a", "b"]))),
        ("set", ("SADD", words(&["a"]))),
        ("hash", ("HSET", words(&["f", "v"]))),
        ("zset", ("ZADD", words(&["1", "a"]))),
        ("stream", ("XADD", words(&["1-1", "f", "v"]))),
    ] {
        add(
            &format!("ttl-{name}"),
            vec![make, ("EXPIRE", words(&[&end()]))],
        );
    }
    add(
        "ttl-far-away",
        vec![
            ("SET", words(&["v"])),
            ("PEXPIREAT", words(&[&FAR_AWAY.to_string()])),
        ],
    );
    add(
        "ttl-taken-away",
        vec![("SET", words(&["v", "EX", "100"])), ("PERSIST", words(&[]))],
    );
    add(
        "ttl-overwritten",
        vec![("SET", words(&["v", "EX", "100"])), ("SET", words(&["w"]))],
    );
    for (name, make) in [
        ("set", ("SADD", words(&["a", "b", "c"]))),
        ("hash", ("HSET", words(&["a", "1", "b", "2"]))),
    ] {
        add(
            &format!("member-ttl-{name}"),
            vec![
                make,
                ("EXPIREMEMBER", words(&["a", &end()])),
                ("EXPIREMEMBER", words(&["b", &end()])),
            ],
        );
    }
    shapes
}

/// Writes every shape in every database, but for those that take a command which the server lacks or
/// which is named in `without`. Leaves the connection in database 0. Gives the number of keys.
///
/// # Errors
/// The server does not answer or refuses.
pub async fn write(
    client: &mut Client,
    prefix: &str,
    without: &[&str],
) -> Result<usize, ClientError> {
    let shapes = all(prefix);
    let name = |command: &Cmd| match command.args_iter().next() {
        Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => String::new(),
    };
    let commands = shapes.iter().flat_map(|shape| &shape.commands);
    let mut lacking: BTreeSet<String> = without.iter().map(|it| (*it).to_owned()).collect();
    for command in commands.map(name).collect::<BTreeSet<_>>() {
        let asked = redis::cmd("COMMAND").arg("INFO").arg(&command).to_owned();
        let rows: Vec<Value> = client.query(&asked).await?;
        if !matches!(rows[..], [Value::Array(_)]) {
            lacking.insert(command);
        }
    }
    let able = |shape: &&Shape| {
        let mut commands = shape.commands.iter();
        !commands.any(|command| lacking.contains(&name(command)))
    };
    let able: Vec<&Shape> = shapes.iter().filter(able).collect();
    for database in DATABASES {
        client.select(database).await?;
        for shapes in able.chunks(BATCH) {
            let mut pipe = redis::pipe();
            for command in shapes.iter().flat_map(|shape| &shape.commands) {
                pipe.add_command(command.clone()).ignore();
            }
            client.pipeline::<()>(&pipe).await?;
        }
    }
    client.select(0).await?;
    Ok(able.len() * DATABASES.len())
}

/// Writes so many small keys with a TTL each into database 0.
///
/// # Errors
/// The server does not answer or refuses.
pub async fn write_volatile(
    client: &mut Client,
    prefix: &str,
    count: usize,
) -> Result<(), ClientError> {
    let numbers: Vec<usize> = (0..count).collect();
    for batch in numbers.chunks(BATCH) {
        let mut pipe = redis::pipe();
        for n in batch {
            let key = format!("{prefix}:volatile:{n}");
            pipe.cmd("SETEX").arg(key).arg(TTL + n).arg(n).ignore();
        }
        client.pipeline::<()>(&pipe).await?;
    }
    Ok(())
}

/// Commands that change, combine, move and take away keys, `@` for the prefix: each leaves something
/// that can be compared. Some are refused, for the type is wrong, and some find nothing to do.
const CHANGES: &[&str] = &[
    "SET @:one 1",
    "RPUSH @:one x",
    "LPUSH @:list c b a",
    "INCR @:list",
    "HSET @:list f v",
    "APPEND @:nothing-before x",
    "GETSET @:one 2",
    "GETDEL @:one",
    "SET @:old x EX 10000",
    "RENAME @:old @:renamed",
    "SET @:old y",
    "RENAMENX @:old @:renamed",
    "COPY @:renamed @:copied",
    "SETNX @:renamed z",
    "SET @:renamed w XX KEEPTTL",
    "GETEX @:copied PERSIST",
    "MSET @:m1 1 @:m2 2 @:m3 3",
    "MSETNX @:m3 4 @:m4 4",
    "DEL @:m1 @:m9",
    "UNLINK @:m2",
    "INCRBYFLOAT @:float 3.0e3",
    "INCRBYFLOAT @:float -0.1",
    "DECRBY @:less 9223372036854775807",
    "DECRBY @:less 2",
    "SETRANGE @:range 4 abc",
    "BITFIELD @:bits SET u8 3 200 INCRBY i5 20 1 OVERFLOW SAT INCRBY u2 60 9",
    "BITOP NOT @:negated @:bits",
    "PFADD @:p1 a b c",
    "PFADD @:p2 c d",
    "PFMERGE @:p3 @:p1 @:p2",
    "RPUSH @:l 3 1 2 3",
    "LINSERT @:l BEFORE 2 1.5",
    "LREM @:l 1 3",
    "LSET @:l 0 zero",
    "LTRIM @:l 0 2",
    "RPOPLPUSH @:l @:l2",
    "LMOVE @:l @:l2 LEFT RIGHT",
    "LPOP @:l2",
    "RPUSH @:gone x",
    "RPOP @:gone",
    "RPUSH @:sorted 3 1 2",
    "SORT @:sorted DESC STORE @:sorted-kept",
    "SADD @:s1 a b c",
    "SADD @:s2 b c d",
    "SINTERSTORE @:s3 @:s1 @:s2",
    "SDIFFSTORE @:s4 @:s1 @:s2",
    "SUNIONSTORE @:s5 @:s1 @:nothing",
    "SMOVE @:s1 @:s2 a",
    "SPOP @:s2",
    "SPOP @:s5 2",
    "SADD @:emptied x",
    "SREM @:emptied x",
    "HSET @:h a 1 b 2",
    "HDEL @:h a",
    "HSETNX @:h b 3",
    "HINCRBYFLOAT @:h f 1e-3",
    "ZADD @:z1 1 a 2 b 3 c",
    "ZADD @:z1 GT CH 5 a 1 b",
    "ZADD @:z1 INCR 0.5 c",
    "ZADD @:z2 XX 1 a",
    "ZADD @:z2 1.5 b 2 d",
    "ZUNIONSTORE @:z3 2 @:z1 @:z2 WEIGHTS 2 3 AGGREGATE MAX",
    "ZINTERSTORE @:z4 2 @:z1 @:z2",
    "ZDIFFSTORE @:z5 2 @:z1 @:z2",
    "ZRANGESTORE @:z6 @:z1 0 1",
    "ZPOPMIN @:z3",
    "ZREMRANGEBYSCORE @:z1 -inf 2",
    "ZREMRANGEBYRANK @:z4 0 0",
    "GEOADD @:geo 2.35 48.85 p 13.4 52.5 b",
    "GEORADIUS @:geo 2 48 500 km STORE @:near",
    "GEOSEARCHSTORE @:nearer @:geo FROMLONLAT 2 48 BYRADIUS 500 km STOREDIST",
    "XADD @:x 1-1 f v",
    "XADD @:x 2-1 f v",
    "XADD @:x MAXLEN 2 3-1 f v",
    "XDEL @:x 3-1",
    "XTRIM @:x MAXLEN 1",
    "XSETID @:x 9-9",
    "EXPIRE @:z1 10000",
    "EXPIREAT @:h 4102444800",
    "EXPIRE @:s1 -1",
    "PEXPIRE @:p1 10000000",
    "PERSIST @:p1",
    "SET @:brief x PX 1",
    "KEYDB.MEXISTS @:h",
    "EVAL return(redis.call('SET',KEYS[1],ARGV[1])) 1 @:by-script x",
    "EVAL redis.call('INCR',KEYS[1]);return(redis.call('INCR',KEYS[2])) 2 @:by-script-1 @:by-script-2",
    "MOVE @:m3 7",
    "OBJECT ENCODING @:h",
    "RESTORE @:restored 0 @",
];

/// Sends `CHANGES` one after the other; what the server refuses, or does not know, it refuses.
/// Gives how many it took.
///
/// # Errors
/// The server does not answer.
pub async fn change(client: &mut Client, prefix: &str) -> Result<usize, ClientError> {
    let mut taken = 0;
    for line in CHANGES {
        let line = line.replace('@', prefix);
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        command.arg(words.collect::<Vec<_>>());
        match client.query::<Value>(&command).await {
            Ok(_) => taken += 1,
            Err(ClientError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}
