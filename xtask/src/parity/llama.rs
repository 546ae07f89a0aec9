//! What llama.cpp says: token ids of a text, and logits as f32.

use super::Setting;
use crate::Failure;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Token ids of the file `text`, without a token for its beginning and without special tokens.
///
/// # Errors
/// If `llama-tokenize` fails.
pub fn tokenize(setting: &Setting, model: &Path, text: &Path) -> Result<Vec<u32>, Failure> {
    let done = Command::new(setting.peers.program("llama-tokenize")?)
        .arg("-m")
        .arg(model)
        .arg("-f")
        .arg(text)
        .args(["--ids", "--no-bos", "--no-parse-special", "--no-escape", "--log-disable"])
        .output()?;
    if !done.status.success() {
        return Err(format!("llama-tokenize: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    parse_ids(&String::from_utf8(done.stdout)?)
}

/// Parses `[1, 2, 3]`.
fn parse_ids(list: &str) -> Result<Vec<u32>, Failure> {
    let inner = list.trim().strip_prefix('[').and_then(|l| l.strip_suffix(']'));
    let inner = inner.ok_or("llama-tokenize wrote no list of ids")?;
    let ids = inner.split(',').map(str::trim).filter(|id| !id.is_empty());
    Ok(ids.map(str::parse).collect::<Result<_, _>>()?)
}

/// llama.cpp's logits for windows of tokens: `wright-logits` (`xtask/peers/logits.cpp`) at work.
pub struct Logits {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    pub n_vocab: usize,
    row: Vec<u8>,
}

impl Logits {
    /// # Errors
    /// If the program is not built or the model does not load.
    pub fn start(setting: &Setting, model: &Path, n_ctx: usize) -> Result<Self, Failure> {
        Self::start_with(setting, model, n_ctx, "f16")
    }

    /// With keys and values kept in f32.
    ///
    /// # Errors
    /// As [`Logits::start`].
    pub fn start_in_f32(setting: &Setting, model: &Path, n_ctx: usize) -> Result<Self, Failure> {
        Self::start_with(setting, model, n_ctx, "f32")
    }

    fn start_with(
        setting: &Setting,
        model: &Path,
        n_ctx: usize,
        cache: &str,
    ) -> Result<Self, Failure> {
        let mut child = Command::new(setting.peers.program("wright-logits")?)
            .arg(model)
            .args([&setting.threads.to_string(), &n_ctx.to_string(), cache])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no pipe to wright-logits")?;
        let mut stdout = child.stdout.take().ok_or("no pipe from wright-logits")?;
        let mut n_vocab = [0; 4];
        stdout.read_exact(&mut n_vocab).map_err(|e| format!("wright-logits: {e}"))?;
        let n_vocab = usize::try_from(i32::from_ne_bytes(n_vocab))?;
        Ok(Self { child, stdin, stdout, n_vocab, row: vec![0; 4 * n_vocab] })
    }

    /// Has `ids` computed; rows `first..` are then to be read with [`Logits::next_row`].
    ///
    /// # Errors
    /// If the program has ended.
    pub fn window(&mut self, ids: &[u32], first: usize) -> Result<(), Failure> {
        let mut bytes = Vec::with_capacity(4 * ids.len() + 8);
        let head = [u32::try_from(ids.len())?, u32::try_from(first)?];
        for number in head.iter().chain(ids) {
            bytes.extend_from_slice(&number.to_ne_bytes());
        }
        self.stdin.write_all(&bytes)?;
        self.stdin.flush()?;
        Ok(())
    }

    /// The next row of logits. (V)
    ///
    /// # Errors
    /// If the program has ended.
    pub fn next_row(&mut self, logits: &mut Vec<f32>) -> Result<(), Failure> {
        self.stdout.read_exact(&mut self.row).map_err(|e| format!("wright-logits: {e}"))?;
        logits.clear();
        logits
            .extend(self.row.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])));
        Ok(())
    }
}

impl Drop for Logits {
    fn drop(&mut self) {
        // It may be in the middle of a window that nobody wants any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_a_list() {
        assert_eq!(parse_ids("[1, 20,300]\n").expect("a list"), [1, 20, 300]);
        assert_eq!(parse_ids("[]").expect("a list"), [] as [u32; 0]);
        assert!(parse_ids("1, 2").is_err());
        assert!(parse_ids("[1, x]").is_err());
    }
}
