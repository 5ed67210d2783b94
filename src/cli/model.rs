//! `model`: one model of KeyDB as a server of its own.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use keydb_harness::console;
use keydb_harness::model::{Quirk, Quirks, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// A keydb.conf; without one it listens on 127.0.0.1:6379
    config: Option<PathBuf>,
    /// Break this promise; may be given several times (see list --quirks)
    #[arg(long = "quirk", value_name = "NAME")]
    quirks: Vec<Quirk>,
}

/// Serves until SIGTERM or Ctrl-C; gives back the server's exit code.
pub(super) async fn model(args: ModelArgs) -> Result<u8> {
    let config = match &args.config {
        Some(file) => {
            keydb_harness::input::file(file, keydb_harness::input::TEXT).with_context(|| {
                format!(
                    "cannot read {}; name a keydb.conf that can be read",
                    file.display()
                )
            })?
        }
        None => "save \"\"\n".to_owned(),
    };
    let quirks: Quirks = args.quirks.into_iter().collect();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let terminated = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let log = |line: &str| console::line(line);
    let life = serve(&config, quirks, terminated, log);
    let code = LocalSet::new().run_until(life).await;
    Ok(u8::try_from(code).unwrap_or(1))
}
