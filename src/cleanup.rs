//! Leaving nothing behind, whatever ends the run.
//!
//! A cluster removes itself when it is closed or dropped. This module covers the rest: Ctrl-C and
//! SIGTERM (the handler below), and SIGKILL (the next run, or `clean`, sweeps what dead runs left).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use tokio::signal::unix::{SignalKind, signal};

use crate::console;
use crate::testbed::Site;

/// The sites of this process that are open, for the signal handler.
static OPEN: Mutex<Vec<Weak<dyn Site>>> = Mutex::new(Vec::new());

/// Set once a signal is being handled: no site opens any more.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Remembers a site, so that a signal closes it. Returns false when the process is ending: then
/// the site must be closed by the caller at once.
pub(crate) fn remember(site: &Arc<dyn Site>) -> bool {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|site| site.strong_count() > 0);
    open.push(Arc::downgrade(site));
    !ENDING.load(Ordering::SeqCst)
}

/// Something outside this process that it has to set right before it ends.
pub(crate) trait Undo: Send + Sync + std::fmt::Debug {
    /// Sets it right; once is enough. Blocks until that is done.
    fn undo(&self);
}

/// What is to be set right, for the signal handler.
static PENDING: Mutex<Vec<Weak<dyn Undo>>> = Mutex::new(Vec::new());

/// Remembers what is to be undone, should a signal end this process before it is dropped.
#[cfg(feature = "attached")]
pub(crate) fn undo_at_the_end(undo: &Arc<dyn Undo>) {
    let mut pending = PENDING.lock().unwrap_or_else(PoisonError::into_inner);
    pending.retain(|undo| undo.strong_count() > 0);
    pending.push(Arc::downgrade(undo));
}

/// Closes every open site of this process, and undoes what is pending. Blocks until they are gone.
pub fn close_all() {
    let pending = std::mem::take(&mut *PENDING.lock().unwrap_or_else(PoisonError::into_inner));
    for undo in pending.iter().filter_map(Weak::upgrade) {
        undo.undo();
    }
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    for site in open.iter().filter_map(Weak::upgrade) {
        site.close();
    }
}

/// From now on Ctrl-C, SIGTERM and SIGHUP close every site, remove the run's folder and end the
/// process with 128 plus the signal's number. Works under the CLI and under `cargo test` alike;
/// calling it again does nothing.
pub fn install_signal_handler() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let (ready, listening) = std::sync::mpsc::channel();
        let spawned = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                let Ok(runtime) = runtime else { return };
                let Ok(number) = runtime.block_on(first_signal(ready)) else {
                    return;
                };
                ENDING.store(true, Ordering::SeqCst);
                console::problem(format_args!(
                    "keydb-harness: signal {number}: removing what this run started"
                ));
                // Twice: a site that was being opened when the signal came is closed by the second.
                close_all();
                close_all();
                crate::run::end();
                std::process::exit(128 + number);
            });
        match spawned {
            // Nothing is made before a signal would be heard; an error ends the wait too.
            Ok(_) => drop(listening.recv()),
            Err(error) => console::problem(format_args!(
                "keydb-harness: signals will not be handled: {error}"
            )),
        }
    });
}

/// To be called when the process would end by itself: if a signal is being handled, its handler
/// ends the process, with its own exit code, once everything is removed.
pub fn leave_the_end_to_a_signal() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Whether a signal is being handled: servers end, and what trials see of that is nothing to tell.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

async fn first_signal(ready: std::sync::mpsc::Sender<()>) -> std::io::Result<i32> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let _ = ready.send(());
    Ok(tokio::select! {
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
        _ = hangup.recv() => 1,
    })
}
