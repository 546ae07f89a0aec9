//! Models that are made for a comparison, once: SmolLM2 in other formats.

use crate::Failure;
use crate::peers::Peers;
use crate::wright::said;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// SmolLM2's weights in `format`, made by llama-quantize from the file that there is.
///
/// They went through Q4_1 on the way, which matters for what they say and not for how fast.
///
/// # Errors
/// If the peers are not set up or the program fails.
pub fn requantised(peers: &Peers, format: &str) -> Result<PathBuf, Failure> {
    let path = peers.path("models").join(format!("SmolLM2-135M-{format}.gguf"));
    if path.is_file() {
        return Ok(path);
    }
    eprintln!("bench-peers: making {} …", path.display());
    let partial = path.with_extension("partial");
    said(
        Command::new(peers.program("llama-quantize")?)
            .arg("--allow-requantize")
            .arg(peers.smol()?)
            .arg(&partial)
            .arg(format),
    )?;
    fs::rename(&partial, &path)?;
    Ok(path)
}
