//! What clients do, as data: kinds of operations and how often each comes.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Declares the kinds and the commands that they need at once.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $needs:expr;)*) => {
        /// A kind of data, with the operations that go with it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)*
        }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name, which stands in its keys.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// The commands that it needs and not every server has.
            pub fn needs(self) -> &'static [&'static str] {
                match self { $(Self::$kind => $needs),* }
            }
        }
    };
}

kinds! {
    /// Strings that are set and read.
    Register = "register", &[];
    /// A new key for each write: nothing is overwritten.
    Unique = "unique", &[];
    /// Strings that are set and deleted.
    Deleted = "deleted", &[];
    /// Strings with a long time to live.
    Expiring = "expiring", &[];
    /// Numbers that are added to.
    Counter = "counter", &[];
    /// Strings that grow.
    Append = "append", &[];
    /// Lists that grow at their end.
    List = "list", &[];
    /// Sets: members are added and removed.
    Set = "set", &[];
    /// Hashes: fields are set.
    Hash = "hash", &[];
    /// Sorted sets: members are added.
    Ranking = "ranking", &[];
    /// Streams.
    Stream = "stream", &["XADD"];
    /// Three keys that are set in one `MULTI`, and read by one `MGET`.
    Transaction = "transaction", &[];
    /// Three keys that are set in one script.
    Script = "script", &["EVAL"];
}

/// Which keys clients share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contention {
    /// Each has this many of each kind for itself.
    Own(u32),
    /// All share this many of each kind; 1 is the worst.
    Shared(u32),
}

/// How often which kind comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    weights: Vec<(Kind, u32)>,
}

impl Mix {
    /// These kinds, equally often.
    pub fn of(kinds: &[Kind]) -> Self {
        Self {
            weights: kinds.iter().map(|kind| (*kind, 1)).collect(),
        }
    }

    /// All kinds that need nothing which is lacking (see [`crate::lab::Lab::lacks`]).
    pub fn all_but(lacking: &std::collections::BTreeSet<String>) -> Self {
        let has = |kind: &&Kind| kind.needs().iter().all(|need| !lacking.contains(*need));
        let kinds: Vec<Kind> = Kind::ALL.iter().filter(has).copied().collect();
        Self::of(&kinds)
    }

    /// The same, with one kind so many times as often.
    pub fn more(mut self, kind: Kind, weight: u32) -> Self {
        self.weights.retain(|(other, _)| *other != kind);
        self.weights.push((kind, weight));
        self
    }

    /// Its kinds.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.weights.iter().map(|(kind, _)| *kind)
    }

    /// Draws one; none if there is none.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> Option<Kind> {
        let sum: u32 = self.weights.iter().map(|(_, weight)| weight).sum();
        if sum == 0 {
            return None;
        }
        let mut left = rng.random_range(0..sum);
        for (kind, weight) in &self.weights {
            if left < *weight {
                return Some(*kind);
            }
            left -= weight;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn kinds_come_as_often_as_they_weigh() {
        let mix = Mix::of(&[Kind::Register, Kind::List]).more(Kind::List, 3);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let lists = (0..4000)
            .filter(|_| mix.draw(&mut rng) == Some(Kind::List))
            .count();
        assert!((2800..3200).contains(&lists), "{lists}");
        assert_eq!(Mix::of(&[]).draw(&mut rng), None);
    }

    #[test]
    fn what_a_server_lacks_is_left_out() {
        let lacking = ["EVAL".to_owned()].into();
        let kinds: Vec<Kind> = Mix::all_but(&lacking).kinds().collect();
        assert!(!kinds.contains(&Kind::Script));
        assert_eq!(kinds.len(), Kind::ALL.len() - 1);
    }
}
