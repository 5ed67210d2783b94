//! What is promised of the pairs, each a check: of the first eight kinds, and of the further ones.

use super::ends::Ends;
use crate::cluster::dataset::Comparison;
use crate::property::agreement;
use crate::trial::{Broken, Trial};
use crate::wait::Unmet;
use crate::workload::conflict::{KEYS, Pair};

/// How many pairs that break a promise are named.
const NAMED: usize = 64;

/// What is right of all keys of a pair.
struct Promise {
    check: &'static str,
    promise: &'static str,
    /// The pairs that it is about.
    of: fn(&Pair) -> bool,
    /// Whether it can be said only where one of two writes is surely the newer one. Of transactions too:
    /// the model orders single writes, and of two at the same moment one may come between the other's.
    of_order: bool,
    /// What is right, by the pair and the text of what a node holds.
    right: fn(&Pair, &str) -> bool,
}

const PROMISES: &[Promise] = &[
    Promise {
        check: "newest-wins",
        promise: "a SET or DEL that is newer than another write of its key wins",
        of: |pair| !pair.further() && pair.overwrites(),
        of_order: true,
        right: is_the_newer,
    },
    Promise {
        check: "additions-stay",
        promise: "what either primary adds to a key stays",
        of: |pair| !pair.further() && pair.adds(),
        of_order: false,
        right: is_both,
    },
    Promise {
        check: "further-newest-wins",
        promise: "a SET, DEL, RENAME or FLUSHDB that is newer than another write of its key wins",
        of: |pair| pair.further() && pair.overwrites() && !pair.replaces_expiry(),
        of_order: true,
        right: is_the_newer,
    },
    Promise {
        check: "newest-wins-over-expiry",
        promise: "a SET, RENAME, EXPIRE or PERSIST that is newer than an EXPIRE or PERSIST of its key wins",
        of: Pair::replaces_expiry,
        of_order: true,
        right: is_the_newer,
    },
    Promise {
        check: "further-additions-stay",
        promise: "what either primary adds to a stream, or by a transaction, stays",
        of: |pair| pair.further() && pair.adds(),
        of_order: true,
        right: is_both,
    },
    Promise {
        check: "expiry-and-change-stay",
        promise: "where one primary sets or takes away a time to live, and the other changes the value, both are there in the end",
        of: Pair::times,
        of_order: false,
        right: is_both,
    },
    Promise {
        check: "transactions-whole",
        promise: "of a transaction's writes a key shows all or none",
        of: Pair::transacts,
        of_order: true,
        right: |pair, held| {
            let it = pair.courses();
            let all = [it.start, it.first, it.second, it.in_order, it.against_order];
            all.iter().any(|whole| whole.to_string() == held)
        },
    },
];

fn is_the_newer(pair: &Pair, held: &str) -> bool {
    pair.courses().second.to_string() == held
}

fn is_both(pair: &Pair, held: &str) -> bool {
    let courses = pair.courses();
    let both = [courses.in_order, courses.against_order];
    both.iter().any(|it| it.to_string() == held)
}

/// Records the checks; `rest` is how the nodes came to rest.
pub(super) fn judge(
    trial: &Trial,
    pairs: &[Pair],
    ends: &Ends,
    in_order: bool,
    rest: Result<Comparison, Unmet>,
) {
    let (further, basic): (Vec<Pair>, Vec<Pair>) = pairs.iter().partition(|pair| pair.further());
    let apart = |pairs: &[Pair]| {
        let apart = pairs
            .iter()
            .filter(|it| !ends.cell(it, in_order).converges());
        named(&apart.copied().collect::<Vec<_>>(), pairs.len())
    };
    let (apart, apart_too) = (apart(&basic), apart(&further));
    let (state, other) = match rest {
        Ok(_) => (None, None),
        // The nodes differ in something that is no pair's.
        Err(unmet) if apart.is_none() && apart_too.is_none() => (None, Some(unmet)),
        Err(unmet) => (Some(unmet.state), None),
    };
    let seen = match (apart, other) {
        (Some(evidence), _) => Err(Broken {
            evidence,
            state: state.unwrap_or_default(),
        }),
        (None, Some(unmet)) => Err(unmet.into()),
        (None, None) => Ok(counted(&basic)),
    };
    trial.check("converges", agreement::PROMISE, seen);
    let seen = match apart_too {
        Some(evidence) => Err(evidence),
        None => Ok(counted(&further)),
    };
    let promise = "all nodes hold the same data, expiry, SETNX, RENAME, XADD, MULTI, Lua and FLUSHDB included";
    trial.check("further-converge", promise, seen);

    for promise in PROMISES.iter().filter(|it| in_order || !it.of_order) {
        let of = |pair: &&Pair| (promise.of)(pair);
        let judged: Vec<Pair> = pairs.iter().filter(of).copied().collect();
        let right = |pair: &Pair| {
            let keys: Vec<String> = (0..KEYS).map(|number| pair.key(number)).collect();
            ends.all(pair, &keys, |held| (promise.right)(pair, held))
        };
        record(trial, promise.check, promise.promise, &judged, right);
    }
    let judged: Vec<Pair> = pairs.iter().filter(|it| it.renames()).copied().collect();
    let promise = "a key that is renamed is gone from where it was";
    record(trial, "renames-move", promise, &judged, |pair| {
        let sources: Vec<String> = (0..KEYS).flat_map(|number| pair.sources(number)).collect();
        ends.all(pair, &sources, |held| ends.is_absent(held))
    });
}

fn record(
    trial: &Trial,
    check: &str,
    promise: &str,
    judged: &[Pair],
    right: impl Fn(&Pair) -> bool,
) {
    let wrong = judged.iter().filter(|pair| !right(pair));
    let wrong: Vec<Pair> = wrong.copied().collect();
    let seen = match named(&wrong, judged.len()) {
        None => Ok(counted(judged)),
        Some(wrong) => Err(wrong),
    };
    trial.check(check, promise, seen);
}

fn counted(pairs: &[Pair]) -> String {
    format!("{} pairs, {KEYS} keys of each", pairs.len())
}

/// How many pairs of how many, and the first of them, those with the same first write together; none
/// if there are none.
fn named(some: &[Pair], all: usize) -> Option<String> {
    let shown = &some[..some.len().min(NAMED)];
    let rows = shown.chunk_by(|one, other| one.first == other.first);
    let rows = rows.map(|row| {
        let seconds: Vec<&str> = row.iter().map(|pair| pair.second.name).collect();
        let first = row.first().map_or("", |pair| pair.first.name);
        crate::workload::conflict::name(first, &seconds.join(", "))
    });
    let rows = rows.collect::<Vec<_>>().join("; ");
    let further = if some.len() > NAMED { ", …" } else { "" };
    let text = format!("{} of {all} pairs: {rows}{further}", some.len());
    (!some.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::conflict::pairs;

    #[test]
    fn every_pair_is_named_until_there_are_too_many() {
        let all: Vec<Pair> = pairs().filter(|pair| !pair.further()).collect();
        assert_eq!(named(&[], 64), None);
        let few: Vec<Pair> = [0, 2, 8].map(|number| all[number]).to_vec();
        let text = "3 of 64 pairs: SET > SET, INCR; DEL > SET";
        assert_eq!(named(&few, 64).as_deref(), Some(text));
        let further: Vec<Pair> = pairs().filter(Pair::further).collect();
        assert!(named(&further, 184).is_some_and(|text| text.ends_with(", …")));
    }

    #[test]
    fn each_promise_is_about_some_pairs_and_holds_of_those_that_end_well() {
        for promise in PROMISES {
            let mut judged = 0;
            for pair in pairs().filter(promise.of) {
                let courses = pair.courses();
                // What is left of the newer alone, or of both.
                let ends = [courses.second, courses.in_order];
                let right = |end: &_| (promise.right)(&pair, &ToString::to_string(end));
                assert!(ends.iter().any(right), "{pair}");
                judged += 1;
            }
            assert!(judged >= 2, "{}: {judged}", promise.check);
        }
    }
}
