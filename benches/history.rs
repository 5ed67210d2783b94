//! What a history costs: recorded, saved and loaded at 10^4, 10^5 and 10^6 operations; whether the
//! cost grows in proportion, and how much memory an operation takes.
//!
//! `cargo bench --bench history`

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use keydb_harness::history::{Action, Operation, Outcome, Record, Recording, Reply, Saved, Token};

const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];
const CLIENTS: u32 = 50;
/// How often each size is taken; the fastest counts.
const ROUNDS: usize = 3;
/// What an operation may take, its share of the names included.
const BYTES: f64 = 200.0;

fn main() -> Result<()> {
    // The largest first, while no memory that was used before hides what it takes.
    let bytes = memory()?;
    let history = recorded(SIZES[2]).finish();
    let each = (memory()? - bytes) as f64 / f64::from(SIZES[2]);
    println!(
        "memory: {each:.0} bytes per operation of {} ({} of them the operation itself); at most {BYTES:.0} wanted",
        history.operations.len(),
        size_of::<Operation>()
    );
    drop(history);

    let mut before: Option<[f64; 4]> = None;
    for size in SIZES {
        let mut best = [Duration::MAX; 4];
        for _ in 0..ROUNDS {
            for (best, time) in best.iter_mut().zip(round(size)?) {
                *best = (*best).min(time);
            }
        }
        let each = best.map(|time| time.as_secs_f64() * 1e9 / f64::from(size));
        let growth = before.map_or(String::new(), |before| {
            let ratios: Vec<String> = (0..4)
                .map(|step| format!("{:.2}", each[step] / before[step]))
                .collect();
            format!(
                "; per operation against a tenth as many: {}",
                ratios.join(" ")
            )
        });
        println!(
            "{size} operations: recorded in {:.3} s, merged in {:.3} s, saved in {:.3} s, loaded in {:.3} s{growth}",
            best[0].as_secs_f64(),
            best[1].as_secs_f64(),
            best[2].as_secs_f64(),
            best[3].as_secs_f64(),
        );
        before = Some(each);
    }
    Ok(())
}

fn round(size: u32) -> Result<[Duration; 4]> {
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let recording = recorded(size);
    let record = began.elapsed();
    let began = Instant::now();
    let history = recording.finish();
    let merge = began.elapsed();
    let saved = Saved {
        history,
        ..Saved::default()
    };
    let began = Instant::now();
    saved.save(folder.path())?;
    let save = began.elapsed();
    drop(saved);
    let began = Instant::now();
    let loaded = Saved::load(folder.path())?;
    let load = began.elapsed();
    anyhow::ensure!(loaded.history.operations.len() == size as usize);
    Ok([record, merge, save, load])
}

/// Sets and gets of fifty clients, and now and then a sample of several keys.
fn recorded(size: u32) -> Recording {
    let recording = Recording::new();
    let keys: Vec<_> = (0..1000)
        .map(|n| recording.name(&format!("bench:register:{n}")))
        .collect();
    let node = recording.name("primary1");
    for client in 0..CLIENTS {
        let mut record = Record::default();
        for number in 0..size / CLIENTS {
            let value = Token { client, number };
            let (action, reply) = match number % 10 {
                0 => (
                    Action::GetAll(Box::new([keys[1], keys[2]])),
                    Reply::Values(Box::new([Some(value), None, Some(value)])),
                ),
                odd if odd % 2 == 1 => (Action::Set(value), Reply::Done),
                _ => (Action::Get, Reply::Value(value)),
            };
            let invoked = recording.now();
            record.push(Operation {
                client,
                node,
                proxied: false,
                database: 0,
                confirmed: 0,
                key: keys[(number % 1000) as usize],
                action,
                invoked,
                completed: recording.now(),
                outcome: Outcome::Ok(reply),
            });
        }
        recording.deposit(record);
    }
    recording
}

/// The memory that this process has resident, in bytes.
fn memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes: u64 = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .context("no VmRSS in /proc/self/status")?;
    Ok(kilobytes * 1024)
}
