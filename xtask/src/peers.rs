//! `cargo xtask peers`: the programs and models that Wright is compared with.
//!
//! They are fetched and built once, in a cache folder outside the repository, and what is there is
//! not made again. Versions are pinned, so that a comparison made today can be made next year:
//!
//! ```text
//! ${XDG_CACHE_HOME:-~/.cache}/wright-peers/
//!     dl/                         what was downloaded, and the log of each step
//!     venv/                       Python: cmake, ninja, gguf, transformers, tokenizers, …
//!     llama_cpp_python-0.3.36/    its source carries the whole of llama.cpp
//!     build/bin/                  llama-bench, llama-perplexity, …, and our `wright-logits`
//!     models/                     SmolLM2 and Gemma 3, as the packages that hold them lay them out
//! ```

mod models;
mod step;
mod torch;

pub use step::{Step, must_exist};

use crate::Failure;
use std::fs;
use std::path::{Path, PathBuf};

const LLAMA: &str = "llama_cpp_python-0.3.36";
/// Packages of the Python side.
const PACKAGES: &[&str] = &[
    "cmake",
    "ninja",
    "gguf",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "jinja2",
    "numpy",
    "scikit-build-core",
];
const PROGRAMS: &[&str] = &[
    "llama-bench",
    "llama-perplexity",
    "llama-tokenize",
    "llama-quantize",
    "llama-batched-bench",
    "llama-completion",
    "llama-imatrix",
];
const BUILD_FLAGS: &[&str] = &[
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DBUILD_SHARED_LIBS=OFF",
];
/// The pinned llama.cpp crashes in `ggml_backend_amx_mul_mat` on processors that have AMX.
const X86_FLAGS: &[&str] = &[
    "-DCMAKE_C_FLAGS=-mno-amx-tile -mno-amx-int8 -mno-amx-bf16",
    "-DCMAKE_CXX_FLAGS=-mno-amx-tile -mno-amx-int8 -mno-amx-bf16",
];
/// Our own program over llama.cpp's library: its logits, unrounded.
const LOGITS: &str = "wright-logits";

/// Where the peers are.
#[derive(Debug, Clone)]
pub struct Peers {
    root: PathBuf,
}

impl Peers {
    /// The cache folder, whether or not anything is in it yet.
    ///
    /// # Errors
    /// If the environment says neither where caches nor where the home folder is.
    pub fn locate() -> Result<Self, Failure> {
        let cache = match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
            (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
            (_, Some(home)) => PathBuf::from(home).join(".cache"),
            _ => return Err("neither XDG_CACHE_HOME nor HOME is set".into()),
        };
        Ok(Self { root: cache.join("wright-peers") })
    }

    /// A file or folder under the cache folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// One of llama.cpp's programs, or `wright-logits`.
    ///
    /// # Errors
    /// If it is not built yet.
    pub fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        must_exist(self.path("build/bin").join(name))
    }

    /// A file of llama.cpp's source.
    ///
    /// # Errors
    /// If it is not there.
    pub fn source(&self, relative: &str) -> Result<PathBuf, Failure> {
        must_exist(self.path(LLAMA).join("vendor/llama.cpp").join(relative))
    }

    /// The Python that has the packages.
    ///
    /// # Errors
    /// If it is not set up yet.
    pub fn python(&self) -> Result<PathBuf, Failure> {
        must_exist(self.path("venv/bin/python"))
    }

    fn step(&self, name: &str, program: impl AsRef<Path>) -> Step {
        Step::new(name, program.as_ref(), &self.path("dl").join(format!("{name}.log")))
    }

    /// Installs into the environment what it lacks.
    fn install(&self) -> Result<(), Failure> {
        if !self.path("venv/bin/python").is_file() {
            self.step("venv", "python3").args(["-m", "venv"]).arg(&self.path("venv")).run()?;
        }
        let python = self.python()?;
        let list = self.installed()?;
        let mut wanted = PACKAGES.to_vec();
        wanted.retain(|package| !list.iter().any(|name| name == package));
        if wanted.is_empty() {
            return Ok(());
        }
        self.step("packages", &python).args(["-m", "pip", "install"]).args(wanted).run()
    }

    /// Names of the packages that the environment has, in lower case with hyphens.
    fn installed(&self) -> Result<Vec<String>, Failure> {
        let shown = self.step("show", self.python()?);
        let list = shown.args(["-m", "pip", "list", "--format", "freeze"]).output()?;
        let names = list.lines().filter_map(|line| line.split_once("=="));
        Ok(names.map(|(name, _)| name.replace('_', "-").to_lowercase()).collect())
    }

    /// Downloads and unpacks the source of llama.cpp.
    fn fetch_llama(&self) -> Result<(), Failure> {
        if self.path(LLAMA).join("vendor/llama.cpp/CMakeLists.txt").is_file() {
            return Ok(());
        }
        let archive = self.path("dl").join(format!("{LLAMA}.tar.gz"));
        if !archive.is_file() {
            let pinned = LLAMA.replace('_', "-").replace("python-", "python==");
            // Without isolation pip runs the build backend that the environment has.
            let path = std::env::var_os("PATH").unwrap_or_default();
            let bins = std::env::split_paths(&path);
            let path = std::env::join_paths([self.path("venv/bin")].into_iter().chain(bins))?;
            self.step("llama-source", self.python()?)
                .env("PATH", path)
                .args(["-m", "pip", "download", "--no-deps", "--no-binary", ":all:"])
                .args(["--no-build-isolation", "--dest"])
                .arg(&self.path("dl"))
                .args([pinned.as_str()])
                .run()?;
        }
        self.step("unpack", "tar").args(["-xzf"]).arg(&archive).args(["-C"]).arg(&self.root).run()
    }

    fn build_llama(&self) -> Result<(), Failure> {
        if PROGRAMS.iter().all(|name| self.program(name).is_ok()) {
            return Ok(());
        }
        let cmake = must_exist(self.path("venv/bin/cmake"))?;
        let ninja = must_exist(self.path("venv/bin/ninja"))?;
        self.step("configure", &cmake)
            .args(["-S"])
            .arg(&self.source("")?)
            .args(["-B"])
            .arg(&self.path("build"))
            .args(["-G", "Ninja"])
            .args([format!("-DCMAKE_MAKE_PROGRAM={}", ninja.display())])
            .args(BUILD_FLAGS.iter().copied())
            .args(if cfg!(target_arch = "x86_64") { X86_FLAGS } else { &[] }.iter().copied())
            .run()?;
        self.step("build", &cmake)
            .args(["--build"])
            .arg(&self.path("build"))
            .args(["--target"])
            .args(PROGRAMS.iter().copied())
            .run()
    }

    /// Compiles `xtask/peers/logits.cpp`, if it is newer than its program.
    fn build_logits(&self, workspace: &Path) -> Result<(), Failure> {
        let source = workspace.join("xtask/peers/logits.cpp");
        let program = self.path("build/bin").join(LOGITS);
        let made = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        if made(&program) > made(&source) {
            return Ok(());
        }
        let build = self.path("build");
        self.step("logits", "c++")
            .args(["-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&program)
            .arg(&source)
            .args(["-I"])
            .arg(&self.source("include")?)
            .args(["-I"])
            .arg(&self.source("ggml/include")?)
            .arg(&must_exist(build.join("src/libllama.a"))?)
            .arg(&must_exist(build.join("ggml/src/libggml.a"))?)
            .arg(&must_exist(build.join("ggml/src/libggml-cpu.a"))?)
            .arg(&must_exist(build.join("ggml/src/libggml-base.a"))?)
            .args(["-fopenmp", "-lpthread", "-ldl"])
            .run()
    }
}

/// Sets up what is missing.
///
/// # Errors
/// If an argument is not known, or a step fails; its log is named.
pub fn run(workspace: &Path, args: &[String]) -> Result<bool, Failure> {
    let with_torch = match args {
        [] => false,
        [torch] if torch == "--torch" => true,
        _ => return Err("usage: cargo xtask peers [--torch]".into()),
    };
    let peers = Peers::locate()?;
    fs::create_dir_all(peers.path("dl"))?;
    peers.install()?;
    if with_torch {
        peers.install_torch(workspace)?;
    }
    peers.fetch_llama()?;
    peers.build_llama()?;
    peers.build_logits(workspace)?;
    peers.fetch_models()?;
    println!("peers: all set up in {}", peers.root.display());
    Ok(true)
}
