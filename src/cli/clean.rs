//! `clean`: removes what earlier runs left.

use anyhow::Result;
use clap::Args;
use keydb_harness::console;
use keydb_harness::run::{is_alive, runs_dir};
use keydb_harness::testbed::Testbed;
use keydb_harness::testbed::docker::DockerTestbed;
use keydb_harness::testbed::process::ProcessTestbed;
use keydb_harness::verdict::exit;

use super::engine;

#[derive(Debug, Args)]
pub(super) struct CleanArgs {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn clean(args: CleanArgs) -> Result<u8> {
    let dry = args.dry_run;
    let verb = if dry { "would remove" } else { "removed" };
    let mut found = false;
    let mut show = |lines: Vec<String>| {
        for line in lines {
            console::line(format_args!("{verb} {line}"));
            found = true;
        }
    };
    show(ProcessTestbed.sweep(dry).await?);
    // Without an engine there is nothing on it that could be removed.
    if let Ok(docker) = DockerTestbed::connect().await {
        show(docker.sweep(dry).await?);
        // The engine's images are everybody's: a run that lives may be about to use them.
        if !a_run_lives() && !engine::has_clusters().await? {
            show(docker.remove_cached_images(dry).await?);
        } else {
            kept(docker.cached_images().await?.len());
        }
    }
    if !found {
        console::line("nothing to remove");
    }
    Ok(exit::AS_EXPECTED)
}

fn kept(images: usize) {
    if images > 0 {
        console::problem(format_args!(
            "images imported from paths are kept while a run lives: {images}"
        ));
    }
}

fn a_run_lives() -> bool {
    let entries = runs_dir()
        .ok()
        .and_then(|runs| std::fs::read_dir(runs).ok());
    entries
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| is_alive(&entry.file_name().to_string_lossy()))
}
