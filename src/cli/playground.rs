//! `up` and `down`.
use super::LabArgs;
use anyhow::Result;
use clap::Args;
#[derive(Debug, Args)]
pub(super) struct UpArgs {
    #[command(flatten)]
    lab: LabArgs,
}
pub(super) async fn up(args: UpArgs) -> Result<u8> {
    let _ = args.lab;
    Ok(0)
}
pub(super) async fn down() -> Result<u8> {
    Ok(0)
}
