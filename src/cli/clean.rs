//! `clean`: removes what earlier runs left.
use anyhow::Result;
use clap::Args;
#[derive(Debug, Args)]
pub(super) struct CleanArgs {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}
pub(super) async fn clean(args: CleanArgs) -> Result<u8> {
    let _ = args.dry_run;
    Ok(0)
}
