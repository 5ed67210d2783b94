//! `doctor`: what is here, what is missing, and how to get it.
use anyhow::Result;
pub(super) async fn doctor() -> Result<u8> {
    Ok(0)
}
