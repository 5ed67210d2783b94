//! Quirks: named ways in which a model breaks one promise, each mirroring a defect that real
//! servers have had. They are the mutants that prove the checks of the scenarios.
//!
//! To add one: a row here, and an `if` where the promise is kept.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What kind of damage a quirk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Nodes end with different data.
    Divergence,
    /// An acknowledged write is gone.
    LostWrite,
    /// Something deleted comes back.
    ResurrectedDelete,
    /// A link does not come up again.
    StuckLink,
    /// `INFO` or `ROLE` says what is not so.
    WrongInfo,
    /// An older or empty data set is served.
    StaleRead,
    /// A node ends by itself.
    Crash,
    /// TTLs are lost, invented or not kept.
    Expiry,
    /// A write ends in another database.
    WrongDatabase,
    /// A write takes effect more than once.
    DoubleApplication,
    /// A read-only node takes writes.
    ReadOnlyViolation,
    /// A restart loses or invents data.
    Persistence,
    /// A message of a channel is lost, or heard more than once.
    Messages,
    /// Right, but far too late.
    Performance,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Divergence => "divergence",
            Self::LostWrite => "lost write",
            Self::ResurrectedDelete => "resurrected delete",
            Self::StuckLink => "stuck link",
            Self::WrongInfo => "wrong INFO",
            Self::StaleRead => "stale read",
            Self::Crash => "crash",
            Self::Expiry => "expiry",
            Self::WrongDatabase => "wrong database",
            Self::DoubleApplication => "double application",
            Self::ReadOnlyViolation => "read-only violation",
            Self::Persistence => "persistence",
            Self::Messages => "messages",
            Self::Performance => "performance",
        })
    }
}

/// Declares the quirks and their table at once.
macro_rules! quirks {
    ($($(#[doc = $does:literal])+ $variant:ident = $name:literal, $class:ident, $mirrors:literal;)*) => {
        /// A way in which a model breaks a promise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Quirk {
            $($(#[doc = $does])+ $variant,)*
        }

        impl Quirk {
            /// Every quirk there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What kind of damage it does.
            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class),* }
            }

            /// The known defect it mirrors: a number of upstream's issues, or a measured one.
            pub fn mirrors(self) -> &'static str {
                match self { $(Self::$variant => $mirrors),* }
            }

            /// What it does, as a sentence.
            pub fn does(self) -> &'static str {
                match self { $(Self::$variant => concat!($($does),+).trim_ascii()),* }
            }
        }
    };
}

quirks! {
    /// A write from a peer is carried out when it arrives, whatever is newer.
    CrossingWritesSwap = "crossing-writes-swap", Divergence, "live replication resolves no conflicts (measured, all versions); #366";
    /// Deletes leave nothing behind that a sync could compare with.
    NoTombstones = "no-tombstones", ResurrectedDelete, "every full resync undoes deletes (measured); #442, #390";
    /// What a peer wrote is not passed on to replicas.
    ForwardsNothing = "forwards-nothing", Divergence, "multi-master-no-forward starves replicas (read in the source)";
    /// Counters and appends from a peer are carried out twice.
    AppliesTwice = "applies-twice", DoubleApplication, "RREPLAY without its duplicate check";
    /// What a peer wrote ends in database 0.
    WrongDatabase = "wrong-database", WrongDatabase, "MOVE and SELECT lost in the stream (KeyDB change log 6.0.16, 6.3.0)";
    /// A TTL set by SET or EXPIRE is not passed on.
    TtlLost = "ttl-lost", Expiry, "SET with EX missing on older peers (measured, 6.0.18 beside 6.3.4)";
    /// A merge gives keys without a TTL one on the replicas.
    TtlInvented = "ttl-invented", Expiry, "expires= counts every key after a one-sided full resync (measured, 6.3.0, 6.3.4)";
    /// A link that broke once is not tried again.
    NeverReconnects = "never-reconnects", StuckLink, "#569, #367";
    /// A merge takes the peer's value, also when it is the older one.
    OldDataAfterResync = "old-data-after-resync", LostWrite, "restarts make the newest write lose (measured, 6.3.4)";
    /// A partial resync is granted whatever replication id is asked for.
    ForeignOffset = "foreign-offset", StuckLink, "restart from an older RDB re-uses the replication id (measured, 6.3.x)";
    /// A partial resync skips what was written while the link was down.
    SkipsBacklog = "skips-backlog", LostWrite, "silent loss after a partial resync (measured, 6.3.x)";
    /// A node that returns from an older dump goes on in its old stream where that dump was made.
    RewindsOffset = "rewinds-offset", LostWrite, "restart from an older RDB rewinds the offset under the old replication id (measured, 6.3.x)";
    /// Writes that a primary takes in its first half second go to nobody.
    EarlyWritesLost = "early-writes-lost", LostWrite, "no backlog before the first sync (measured, 6.3.0, 6.3.4)";
    /// A replica shows the replication id of the primary it followed first.
    StaleReplid = "stale-replid", WrongInfo, "foreign master_replid after a cold start (measured, up to 6.2.2)";
    /// INFO says that a link is up while it is down.
    UpWhileDown = "up-while-down", WrongInfo, "a one-sided link check passes on a broken pair (measured)";
    /// A node that merges a peer's data refuses everything for seconds.
    LoadsForSeconds = "loads-for-seconds", Performance, "#365";
    /// A replica takes writes.
    WritableReplica = "writable-replica", ReadOnlyViolation, "replica-read-only lost by the order of options (keydb.conf)";
    /// Of a transaction only the first half is passed on.
    HalfATransaction = "half-a-transaction", Divergence, "#143";
    /// One write in a thousand is not passed on.
    OneInAThousand = "one-in-a-thousand", LostWrite, "acknowledged writes missing on the peer (measured, 6.3.x)";
    /// The append-only file does not hold what peers wrote.
    AofWithoutPeer = "aof-without-peer", Persistence, "RREPLAY records are refused on load (measured, all versions)";
    /// A node ends when a peer that it lost comes back.
    DiesWithPeer = "dies-with-peer", Crash, "#849, #423";
    /// A new replica serves its empty data set before its first sync.
    EmptyBeforeSync = "empty-before-sync", StaleRead, "reads of an empty data set for up to 350 ms (measured, all versions)";
    /// An RDB is written without the keys of the last second.
    StaleRdb = "stale-rdb", Persistence, "restart from an older RDB (measured, 6.3.x)";
    /// A replica that lost its primary serves nothing but errors.
    RefusesWhileDown = "refuses-while-down", StaleRead, "replica-serve-stale-data ignored";
    /// A link that was lost once passes nothing on for a minute.
    SlowToForward = "slow-to-forward", Performance, "#569";
    /// A replica's full resync brings every sorted set without its last member.
    ZsetTailLost = "zset-tail-lost", Divergence, "key and member counts differ after a full resync: #440, #554";
    /// A primary that lost its peer once stamps its writes an hour too early.
    OldStampsAfterLoss = "old-stamps-after-loss", LostWrite, "clock steps back and the newest write loses (read in the source); #247";
    /// A replica that already had data throws every full resync away and asks again.
    ResyncLoop = "resync-loop", StuckLink, "#333, #309, #319";
    /// A primary whose peer is down says in INFO that it is a plain master.
    MasterWhenAlone = "master-when-alone", WrongInfo, "role changes with the masters, so role checks break: #224, #419";
    /// A replica whose link came back acknowledges the stream and carries nothing of it out.
    QueuedForEver = "queued-for-ever", StaleRead, "the replay client stays in MULTI after a broken link (read in the source)";
    /// A primary ends at the twentieth transaction, or write to several keys, of its clients.
    DiesOfTransactions = "dies-of-transactions", Crash, "#423, #663";
    /// A primary carries out its own write again when its peer sends it back.
    EchoesCount = "echoes-count", DoubleApplication, "every command comes back to its origin: #347, #205, #382";
    /// A replica goes on serving keys whose time is over.
    ExpiredOnReplica = "expired-on-replica", Expiry, "replicas of an active primary keep expired keys (read in the source, 5.3.3); #229";
    /// A node that reads its files forgets the TTLs of the keys in them.
    RestartForgetsTtls = "restart-forgets-ttls", Persistence, "TTLs missing from RDB and AOF (KeyDB 5.1 to 6.2); #323";
    /// A primary that lost its peer stands still for a second at each attempt to reach it.
    BlocksWhileAlone = "blocks-while-alone", Performance, "#886, #786";
    /// A delete by a peer in another database takes the key of database 0.
    DeletesInDatabase0 = "deletes-in-database-0", WrongDatabase, "SELECT lost in the stream (KeyDB change log 6.0.16, 6.3.0)";
    /// A replica carries out no delete that its primary passes on.
    ReplicaKeepsDeleted = "replica-keeps-deleted", ResurrectedDelete, "key counts of replicas grow: #440, #554";
    /// Sorted sets are not passed on.
    SortedSetsStayHome = "sorted-sets-stay-home", Divergence, "ZADD on both primaries ends differently (measured, all versions)";
    /// A primary that lost its peer once carries out what the peer appends twice.
    AppendsTwiceAfterLoss = "appends-twice-after-loss", DoubleApplication, "commands replayed after a partial resync (measured, 6.3.x)";
    /// A server ends with an abort when it is told to stop.
    DiesAtShutdown = "dies-at-shutdown", Crash, "crashes at shutdown: #609, #466";
    /// An RDB holds database 0 only.
    DumpOfDatabase0 = "dump-of-database-0", Persistence, "data missing after a restart: #323";
    /// A counter is passed on as the value that it reached.
    CountersTravelAsValues = "counters-travel-as-values", LostWrite, "concurrent increments lost by a full resync (measured, all versions)";
    /// A merge takes the key that was written last, and drops what the other side added to it.
    MergeTakesOneSide = "merge-takes-one-side", LostWrite, "a full resync keeps one side's list, set or hash (measured, all versions)";
    /// A key that is overwritten without a TTL keeps the old one on other nodes.
    OldTtlStays = "old-ttl-stays", Expiry, "KEEPTTL and PERSIST mixed up in the stream; #229";
    /// A node takes connections and answers PING while it reads its files, and refuses all else.
    PongWhileLoading = "pong-while-loading", WrongInfo, "PING is answered +PONG while loading (measured, all versions)";
    /// A node takes connections while it reads its files, and refuses with an error that does not say so.
    LoadingUnnamed = "loading-unnamed", WrongInfo, "the text of LOADING changed between 6.0.18 and 6.2.2, and probes compare it (read in the source)";
    /// A replica shows an offset in its primary's stream that stands still.
    FrozenReplicaOffset = "frozen-replica-offset", WrongInfo, "replica offsets that do not move in INFO: #224";
    /// A key with less than five seconds to live is gone on other nodes after half of them.
    ExpiresEarlyElsewhere = "expires-early-elsewhere", Expiry, "a time to live travels as a time of day, which a clock that is ahead reaches early (read in the source)";
    /// One message in ten is heard on the node that it was published on, and nowhere else.
    MessagesLost = "messages-lost", Messages, "what is published while a link is down is lost (read in the source, up to 6.2.2)";
    /// A node that lost its peer once hears every message of another node twice.
    MessagesTwiceAfterLoss = "messages-twice-after-loss", Messages, "commands come back to their origin, PUBLISH among them: #347";
    /// A primary carries out its own writes of an earlier life again when its peer sends them back.
    ForgetsItself = "forgets-itself", DoubleApplication, "own writes come back in a partial resync after a restart (measured, 6.3.x)";
    /// A node tells all who ask the identity that every other tells as well.
    SharedIdentity = "shared-identity", DoubleApplication, "own and foreign writes are told apart by the identity of a process (KeyDB docs active-rep.md)";
    /// A primary that lost its peer once passes each write on thirty times.
    FloodsAfterLoss = "floods-after-loss", Performance, "memory and traffic explode after a node was cut off: #844, #207";
    /// A primary that is followed takes a third of a second for each write.
    SlowWithFollowers = "slow-with-followers", Performance, "write throughput drops with a replica attached: #169, #246, #765";
    /// While a primary merges one peer's data it drops what the others pass on.
    DropsWhileMerging = "drops-while-merging", LostWrite, "writes of one primary are refused while another's data is merged: #402, #507, #554";
}

/// A name that is no quirk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{given}' is no quirk: {hint}`keydb-harness list --quirks` shows them")]
pub struct UnknownQuirk {
    given: String,
    hint: String,
}

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(name: &str) -> Result<Self, UnknownQuirk> {
        Self::ALL
            .iter()
            .find(|quirk| quirk.name() == name)
            .copied()
            .ok_or_else(|| UnknownQuirk {
                given: name.to_owned(),
                hint: Self::ALL
                    .iter()
                    .find(|quirk| !name.is_empty() && quirk.name().contains(name))
                    .map(|quirk| format!("did you mean '{quirk}'? "))
                    .unwrap_or_default(),
            })
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The quirks of one node; none for a model that keeps its promises.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Quirks(BTreeSet<Quirk>);

impl Quirks {
    /// Whether the node has this one.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.0.contains(&quirk)
    }

    /// The flags of `keydb-harness model` that say the same.
    pub(crate) fn to_flags(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|quirk| format!("--quirk={quirk}"))
            .collect()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Quirk> for Quirks {
    fn from_iter<I: IntoIterator<Item = Quirk>>(quirks: I) -> Self {
        Self(quirks.into_iter().collect())
    }
}

impl fmt::Display for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|quirk| quirk.name()).collect();
        f.write_str(&names.join("+"))
    }
}

impl FromStr for Quirks {
    type Err = UnknownQuirk;

    /// Names joined by `+`.
    fn from_str(names: &str) -> Result<Self, UnknownQuirk> {
        names.split('+').map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        let names: BTreeSet<_> = Quirk::ALL.iter().map(|quirk| quirk.name()).collect();
        assert_eq!(names.len(), Quirk::ALL.len());
        for quirk in Quirk::ALL {
            assert_eq!(quirk.name().parse(), Ok(*quirk));
            assert!(quirk.does().ends_with('.'), "{quirk}");
            assert!(!quirk.mirrors().is_empty(), "{quirk}");
        }
    }

    #[test]
    fn an_unknown_name_gets_a_hint() {
        let error = "ttl".parse::<Quirk>().unwrap_err().to_string();
        assert!(
            error.contains("'ttl-lost'") && error.contains("--quirks"),
            "{error}"
        );
        assert!("ttl-lost+never-reconnects".parse::<Quirks>().is_ok());
    }
}
