//! What is checked on an attached cluster. One file each; to add one, write the file and put its
//! name into the list below.

use futures_util::future::BoxFuture;

use super::Visit;
use super::inventory::Inventory;

/// Declares the modules and the table of all checks at once.
macro_rules! checks {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*
        /// Every check, those that strike nodes last.
        pub fn all() -> &'static [&'static Check] {
            &[$(&$module::CHECK),*]
        }
    };
}

checks![links, writes, removals, kinds, expiry, read_only, faults];

/// One check. It writes nothing but keys of its own (`Visit::key`), each with a time to live.
pub struct Check {
    /// Its name on the command line.
    pub name: &'static str,
    /// What happens, in a few words.
    pub title: &'static str,
    /// The promise, as a sentence.
    pub promise: &'static str,
    /// Where the promise is made.
    pub source: &'static str,
    /// Whether it strikes nodes.
    pub strikes: bool,
    /// The names of its variants on a cluster; one empty name where there is only one, none where it
    /// has nothing to do there.
    pub variants: fn(&Inventory) -> Vec<String>,
    /// What it does. An error ends it.
    pub run: for<'a> fn(&'a Visit<'_>) -> BoxFuture<'a, anyhow::Result<()>>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn once(_: &Inventory) -> Vec<String> {
    vec![String::new()]
}
