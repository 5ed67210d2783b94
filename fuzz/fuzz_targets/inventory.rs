#![no_main]

use keydb_harness::hostile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hostile::read("inventory", bytes));
