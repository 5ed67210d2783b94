//! How a key ends that both primaries wrote to while neither heard the other.

use std::fmt;
use std::str::FromStr;

use crate::workload::conflict::Courses;

/// How one key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// Everywhere as the second primary had it, which wrote last.
    Newest,
    /// Everywhere as the first primary had it.
    Oldest,
    /// Everywhere as one primary had it, of which nobody can say whether it wrote last.
    One,
    /// Everywhere as after both writes, in either order.
    Both,
    /// Each primary carried out its own write, then the other's: they differ for ever.
    Swapped,
    /// Each primary kept its own write and took nothing of the other's: they differ for ever.
    Own,
    /// One primary carried out both, the other refused its peer's write and kept its own: they differ
    /// for ever.
    Half,
    /// The nodes differ in another way.
    Differs,
    /// Equal everywhere, and nothing of the above.
    Other,
}

impl Ending {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::Newest,
        Self::Oldest,
        Self::One,
        Self::Both,
        Self::Swapped,
        Self::Own,
        Self::Half,
        Self::Differs,
        Self::Other,
    ];

    /// The word for it in a cell.
    pub fn word(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::One => "one",
            Self::Both => "both",
            Self::Swapped => "swapped",
            Self::Own => "own",
            Self::Half => "half",
            Self::Differs => "differs",
            Self::Other => "other",
        }
    }

    /// What the word means, for a legend.
    pub fn means(self) -> &'static str {
        match self {
            Self::Newest => "everywhere as the second primary had it, which wrote last",
            Self::Oldest => "everywhere as the first primary had it",
            Self::One => "everywhere as one primary had it (they wrote at the same time)",
            Self::Both => "everywhere as after both writes",
            Self::Swapped => "each primary carried out its own write, then the other's",
            Self::Own => "each primary kept its own write and took nothing of the other's",
            Self::Half => "one primary carried out both writes, the other its own alone",
            Self::Differs => "nodes differ in another way",
            Self::Other => "equal everywhere, and nothing of the others",
        }
    }

    /// Whether all nodes hold the same.
    pub fn converges(self) -> bool {
        !matches!(self, Self::Swapped | Self::Own | Self::Half | Self::Differs)
    }

    /// How a key ended that `primaries` and `replicas` hold so, as text of
    /// [`crate::workload::conflict::Held`]; `in_order`: the second primary's write surely is the newer
    /// one.
    pub fn of(courses: &Courses, in_order: bool, primaries: [&str; 2], replicas: &[&str]) -> Self {
        let [first, second] = [&courses.first, &courses.second].map(ToString::to_string);
        let both = [&courses.in_order, &courses.against_order].map(ToString::to_string);
        let has_both = |held: &str| both.iter().any(|it| it == held);
        let [one, two] = primaries;
        if !replicas.iter().all(|held| primaries.contains(held)) {
            return Self::Differs;
        }
        if one != two {
            return match () {
                () if one == first && two == second => Self::Own,
                () if one == both[0] && two == both[1] => Self::Swapped,
                () if has_both(one) && two == second => Self::Half,
                () if has_both(two) && one == first => Self::Half,
                () => Self::Differs,
            };
        }
        match () {
            () if one == first && one == second => Self::Both,
            () if one != first && one != second && has_both(one) => Self::Both,
            () if one != first && one != second => Self::Other,
            () if !in_order => Self::One,
            () if one == second => Self::Newest,
            () => Self::Oldest,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word that is no [`Ending`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no ending of a conflict")]
pub struct UnknownEnding(String);

impl FromStr for Ending {
    type Err = UnknownEnding;

    fn from_str(word: &str) -> Result<Self, UnknownEnding> {
        let mut all = Self::ALL.into_iter();
        all.find(|ending| ending.word() == word)
            .ok_or_else(|| UnknownEnding(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::conflict::pairs;
    use rstest::rstest;

    const OLD: &str = "string 100";
    const NEW: &str = "string 200";

    #[rstest]
    #[case::all_have_the_newer("SET", "SET", [NEW, NEW], &[NEW, NEW], Ending::Newest)]
    #[case::all_have_the_older("SET", "SET", [OLD, OLD], &[OLD, OLD], Ending::Oldest)]
    #[case::each_has_the_others("SET", "SET", [NEW, OLD], &[OLD, NEW], Ending::Swapped)]
    #[case::each_kept_its_own("SET", "SET", [OLD, NEW], &[OLD, NEW], Ending::Own)]
    #[case::a_replica_lags("SET", "SET", [NEW, NEW], &[OLD, NEW], Ending::Differs)]
    #[case::a_replica_has_what_no_primary_has("SET", "SET", [NEW, OLD], &["absent"], Ending::Differs)]
    #[case::as_it_was_before("SET", "SET", ["string 10"; 2], &[], Ending::Other)]
    #[case::one_went_back("SET", "SET", ["string 10", NEW], &[], Ending::Differs)]
    #[case::both_deleted("DEL", "DEL", ["absent"; 2], &["absent"], Ending::Both)]
    #[case::both_counted("INCR", "INCR", ["string 13"; 2], &[], Ending::Both)]
    #[case::one_count_is_lost("INCR", "INCR", ["string 12"; 2], &[], Ending::Newest)]
    #[case::either_order_has_both("RPUSH", "RPUSH", ["list [m b a]"; 2], &[], Ending::Both)]
    #[case::lists_in_two_orders(
        "RPUSH", "RPUSH", ["list [m a b]", "list [m b a]"], &[], Ending::Swapped
    )]
    #[case::a_delete_is_undone("DEL", "RPUSH", ["list [m b]"; 2], &[], Ending::Newest)]
    #[case::the_types_clash("RPUSH", "ZADD", ["list [a]", "zset [b 3]"], &[], Ending::Own)]
    #[case::an_entry_is_refused("XADD", "XADD", ["stream [m a b]", "stream [m b]"], &[], Ending::Half)]
    #[case::ttls_change_places(
        "EXPIRE", "EXPIRE", ["string 10 for 2 h", "string 10 for 1 h"], &[], Ending::Swapped
    )]
    #[case::a_ttl_is_lost("EXPIRE", "INCR", ["string 12"; 2], &[], Ending::Newest)]
    #[case::half_a_transaction("MULTI", "DEL", ["absent", "string 5"], &[], Ending::Differs)]
    #[case::nothing_left_to_rename("FLUSHDB", "RENAME", ["absent"; 2], &["absent"], Ending::Oldest)]
    fn endings(
        #[case] first: &str,
        #[case] second: &str,
        #[case] primaries: [&str; 2],
        #[case] replicas: &[&str],
        #[case] wanted: Ending,
    ) {
        let mut all = pairs();
        let pair = all.find(|it| it.first.name == first && it.second.name == second);
        let courses = pair.unwrap().courses();
        assert_eq!(Ending::of(&courses, true, primaries, replicas), wanted);
        let at_once = Ending::of(&courses, false, primaries, replicas);
        let unsure = matches!(wanted, Ending::Newest | Ending::Oldest);
        assert_eq!(at_once, if unsure { Ending::One } else { wanted });
    }

    #[test]
    fn words_read_back() {
        for ending in Ending::ALL {
            assert_eq!(ending.word().parse(), Ok(ending));
        }
        assert!("won".parse::<Ending>().is_err());
    }
}
