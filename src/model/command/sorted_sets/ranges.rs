//! Ranges of sorted sets: by rank, and by score.

use bytes::Bytes;

use super::{in_order, remove, text};
use crate::model::command::argument::{self, integer, is, span};
use crate::model::command::{Command, Effect, Refusal, number, reads, reply, writes};
use crate::model::object::Slot;

pub(in crate::model::command) const COMMANDS: &[Command] = &[
    reads("ZCOUNT", 4, zcount),
    reads("ZRANGE", -4, |slot, argv, _| {
        Query::of_zrange(argv)?.show(slot)
    }),
    reads("ZREVRANGE", -4, |slot, argv, _| {
        Query::of_zrevrange(argv)?.show(slot)
    }),
    reads("ZRANGEBYSCORE", -4, |slot, argv, _| {
        Query::of_zrangebyscore(argv, false)?.show(slot)
    }),
    reads("ZREVRANGEBYSCORE", -4, |slot, argv, _| {
        Query::of_zrangebyscore(argv, true)?.show(slot)
    }),
    writes("ZREMRANGEBYRANK", 4, |slot, argv, _| {
        let ranks = (integer(&argv[2])?, integer(&argv[3])?);
        delete(slot, argv, Query::new(By::Rank(ranks.0, ranks.1)))
    }),
    writes("ZREMRANGEBYSCORE", 4, |slot, argv, _| {
        let scores = By::scores(&argv[2], &argv[3])?;
        delete(slot, argv, Query::new(scores))
    }),
];

/// One end of a range of scores.
#[derive(Debug, Clone, Copy)]
struct Bound {
    score: f64,
    excluded: bool,
}

impl Bound {
    fn parse(argument: &[u8]) -> Result<Self, Refusal> {
        let (excluded, number) = match argument {
            [b'(', number @ ..] => (true, number),
            number => (false, number),
        };
        // C's `strtod` reads nothing as zero (measured).
        let number = if number.is_empty() { b"0" } else { number };
        let score = number::bound(number).ok_or("ERR min or max is not a float")?;
        Ok(Self { score, excluded })
    }

    fn is_below(self, score: f64) -> bool {
        self.score < score || (!self.excluded && self.score <= score)
    }

    fn is_above(self, score: f64) -> bool {
        self.score > score || (!self.excluded && self.score >= score)
    }
}

/// What a range is given in.
#[derive(Debug, Clone, Copy)]
enum By {
    Rank(i64, i64),
    Score(Bound, Bound),
}

impl By {
    fn scores(lowest: &[u8], highest: &[u8]) -> Result<Self, Refusal> {
        Ok(Self::Score(Bound::parse(lowest)?, Bound::parse(highest)?))
    }
}

/// A range of a sorted set.
struct Query {
    by: By,
    reverse: bool,
    with_scores: bool,
    /// How many to leave out, and how many to take then: all, when negative.
    limit: (i64, i64),
}

/// The options of a range command.
#[derive(Default)]
struct Options {
    reverse: bool,
    by_score: bool,
    with_scores: bool,
    limit: Option<(i64, i64)>,
}

impl Options {
    /// Those of `known` that are given.
    fn parse(arguments: &[Bytes], known: &[&str]) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let mut rest = arguments;
        while let [option, after @ ..] = rest {
            rest = after;
            let option = known.iter().find(|name| is(option, name));
            match (option.copied(), after) {
                (Some("REV"), _) if !options.reverse => options.reverse = true,
                (Some("BYSCORE"), _) => options.by_score = true,
                (Some("WITHSCORES"), _) => options.with_scores = true,
                (Some("LIMIT"), [skipped, most, after @ ..]) => {
                    options.limit = Some((integer(skipped)?, integer(most)?));
                    rest = after;
                }
                _ => return Err(argument::SYNTAX.to_owned()),
            }
        }
        Ok(options)
    }
}

impl Query {
    fn new(by: By) -> Self {
        Self {
            by,
            reverse: false,
            with_scores: false,
            limit: (0, -1),
        }
    }

    fn of_zrange(argv: &[Bytes]) -> Result<Self, Refusal> {
        let known = ["REV", "BYSCORE", "WITHSCORES", "LIMIT"];
        let options = Options::parse(&argv[4..], &known)?;
        if options.limit.is_some() && !options.by_score {
            return Err(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                 BYLEX"
                    .to_owned(),
            );
        }
        let by = match (options.by_score, options.reverse) {
            (true, true) => By::scores(&argv[3], &argv[2])?,
            (true, false) => By::scores(&argv[2], &argv[3])?,
            (false, _) => By::Rank(integer(&argv[2])?, integer(&argv[3])?),
        };
        Ok(Self {
            by,
            reverse: options.reverse,
            with_scores: options.with_scores,
            limit: options.limit.unwrap_or((0, -1)),
        })
    }

    fn of_zrevrange(argv: &[Bytes]) -> Result<Self, Refusal> {
        let options = Options::parse(&argv[4..], &["WITHSCORES"])?;
        Ok(Self {
            reverse: true,
            with_scores: options.with_scores,
            ..Self::new(By::Rank(integer(&argv[2])?, integer(&argv[3])?))
        })
    }

    fn of_zrangebyscore(argv: &[Bytes], reverse: bool) -> Result<Self, Refusal> {
        let options = Options::parse(&argv[4..], &["WITHSCORES", "LIMIT"])?;
        let (lowest, highest) = if reverse {
            (&argv[3], &argv[2])
        } else {
            (&argv[2], &argv[3])
        };
        Ok(Self {
            by: By::scores(lowest, highest)?,
            reverse,
            with_scores: options.with_scores,
            limit: options.limit.unwrap_or((0, -1)),
        })
    }

    /// The members in the range, in its order.
    fn select<'a>(&self, slot: &'a Slot) -> Result<Vec<(&'a Bytes, f64)>, Refusal> {
        let mut members = in_order(slot, self.reverse)?;
        match self.by {
            By::Rank(start, stop) => {
                let ranks = span(members.len(), start, stop);
                members.truncate(ranks.end);
                members.drain(..ranks.start);
            }
            By::Score(lowest, highest) => {
                members.retain(|(_, score)| lowest.is_below(*score) && highest.is_above(*score));
                let (skipped, most) = self.limit;
                let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
                members.drain(..skipped.min(members.len()));
                members.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            }
        }
        Ok(members)
    }

    fn show(&self, slot: &Slot) -> Result<Effect, Refusal> {
        let members = self.select(slot)?.into_iter();
        let shown = members.flat_map(|(member, score)| {
            let score = self.with_scores.then(|| text(score));
            std::iter::once(member.clone()).chain(score)
        });
        Ok(Effect::read(reply::bulks(shown)))
    }
}

fn zcount(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let query = Query::new(By::scores(&argv[2], &argv[3])?);
    Ok(Effect::read(reply::size(query.select(slot)?.len())))
}

fn delete(slot: &mut Slot, argv: &[Bytes], query: Query) -> Result<Effect, Refusal> {
    let selected = query.select(slot)?.into_iter();
    let members: Vec<Bytes> = selected.map(|(member, _)| member.clone()).collect();
    let removed = members.len();
    let write = remove(slot, &argv[1], members)?;
    Ok(Effect {
        reply: reply::size(removed),
        write,
    })
}
