//! `down`: ends the holder, and with it the cluster.

use std::time::Duration;

use anyhow::{Result, bail};
use keydb_harness::console;
use keydb_harness::run::dead_runs;
use keydb_harness::verdict::exit;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::record::{Record, claim};
use super::up::REMOVAL;

pub(in crate::cli) async fn down() -> Result<u8> {
    let Some(record) = Record::find()? else {
        console::line("nothing is up");
        if !dead_runs().is_empty() {
            console::line("dead runs left something: remove it with `keydb-harness clean`");
        }
        return Ok(exit::AS_EXPECTED);
    };
    if let Err(error) = terminate(&record) {
        bail!(
            "cannot send SIGTERM to process {}, which holds the cluster: {error}; be the user who started it",
            record.pid
        );
    }
    let deadline = Instant::now() + REMOVAL;
    // The holder's folder goes when all is removed, its claim when the process has ended.
    while record.is_true() || claim()?.is_none() {
        if Instant::now() >= deadline {
            bail!(
                "process {}, which holds the cluster, is still there {} s after SIGTERM: end it with `kill -KILL {}`, then `keydb-harness clean`",
                record.pid,
                REMOVAL.as_secs(),
                record.pid
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
    match &record.cluster {
        Some(cluster) => console::line(format_args!(
            "removed the cluster of {} servers",
            cluster.servers.len()
        )),
        None => console::line("removed the cluster that was being started"),
    }
    Ok(exit::AS_EXPECTED)
}

/// Sends SIGTERM to the holder and to no other process that got its pid since.
fn terminate(record: &Record) -> Result<(), Errno> {
    let Some(pid) = Pid::from_raw(record.pid) else {
        return Err(Errno::INVAL);
    };
    let sent = send_term(record, pid);
    match sent {
        // It has just ended by itself.
        Err(Errno::SRCH) => Ok(()),
        sent => sent,
    }
}

#[cfg(target_os = "linux")]
fn send_term(record: &Record, pid: Pid) -> Result<(), Errno> {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    let handle = pidfd_open(pid, PidfdFlags::empty());
    // The lock is still held after the handle was had: so the handle is the holder's.
    match handle {
        _ if !record.is_true() => Ok(()),
        Ok(handle) => pidfd_send_signal(&handle, Signal::TERM),
        // A kernel before 5.3.
        Err(Errno::NOSYS) => kill_process(pid, Signal::TERM),
        Err(error) => Err(error),
    }
}

#[cfg(not(target_os = "linux"))]
fn send_term(record: &Record, pid: Pid) -> Result<(), Errno> {
    match record.is_true() {
        true => kill_process(pid, Signal::TERM),
        false => Ok(()),
    }
}
