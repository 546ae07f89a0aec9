//! PyTorch for comparisons on a CPU.
//!
//! Its wheel for Linux asks for some gigabytes of libraries that only a GPU needs. They are left
//! out: the small ones are installed, and `torch_without_gpu.py` stands in for the large ones.

use super::Peers;
use crate::Failure;
use std::path::Path;

const TORCH: &str = "torch==2.15.0";
/// What the wheel needs on any machine, itself left out.
const PURE: &[&str] = &["filelock", "fsspec", "jinja2", "networkx", "sympy", "typing-extensions"];
/// NVIDIA's small libraries, in the versions that the wheel asks for: they register its code.
const SMALL: &[&str] =
    &["nvidia-cuda-runtime==13.2.86", "nvidia-cuda-cupti==13.2.86", "nvidia-cufile==1.17.1.22"];

impl Peers {
    /// Installs PyTorch into the environment, if it is not there, and sees that it computes.
    pub(super) fn install_torch(&self, workspace: &Path) -> Result<(), Failure> {
        let python = self.python()?;
        let pip = |name: &str| self.step(name, &python).args(["-m", "pip", "install"]);
        let is_there = self.installed()?.iter().any(|name| name == "torch");
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return if is_there { Ok(()) } else { pip("torch").args([TORCH]).run() };
        }
        if !is_there {
            pip("torch-needs").args(PURE.iter().copied()).run()?;
            pip("torch-libraries").args(["--no-deps"]).args(SMALL.iter().copied()).run()?;
            pip("torch").args(["--no-deps", TORCH]).run()?;
        }
        let script = workspace.join("xtask/peers/torch_without_gpu.py");
        self.step("torch-without-gpu", &python).arg(&script).run()
    }
}
