//! `list`: the scenarios.

use anyhow::Result;
use keydb_harness::scenario;
use keydb_harness::verdict::{exit, trial_id};

pub(super) fn list() -> Result<u8> {
    for scenario in scenario::all() {
        let ids: Vec<_> = scenario
            .variants
            .iter()
            .map(|variant| trial_id(scenario.name, variant))
            .collect();
        println!("{}", ids.join("  "));
        println!("    promise  {}", scenario.promise);
        println!("    source   {}", scenario.source);
        println!("    cost     about {} s each", scenario.seconds);
    }
    Ok(exit::AS_EXPECTED)
}
