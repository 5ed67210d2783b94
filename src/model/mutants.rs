//! Which checks catch which quirk, as the mutation test saw it last.

use std::collections::BTreeMap;

use super::Quirk;

/// What the test wrote: `quirk = ["scenario/variant: check", …]`.
const TABLE: &str = include_str!("../../fixtures/mutants.toml");

/// The checks that catch each quirk, `scenario/variant: check` each; empty for a quirk that the
/// table does not know yet.
///
/// # Errors
/// The table is no TOML: it was edited by hand.
pub fn caught_by() -> Result<BTreeMap<Quirk, Vec<String>>, toml::de::Error> {
    let table: BTreeMap<String, Vec<String>> = toml::from_str(TABLE)?;
    let row = |quirk: &Quirk| (*quirk, table.get(quirk.name()).cloned().unwrap_or_default());
    Ok(Quirk::ALL.iter().map(row).collect())
}
