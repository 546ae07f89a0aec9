"""Lets PyTorch's wheel for Linux be imported without the gigabytes that only a GPU needs.

    torch_without_gpu.py        # with the Python that has torch

The wheel links against libraries of NVIDIA that it brings as packages of their own. The small ones
are installed; for each large one that is missing, this compiles one beside PyTorch's libraries
that has the same names and does nothing. No CPU code of PyTorch calls them: what it computes on a
CPU is what it computes with them.
"""
import importlib.util, pathlib, re, subprocess, sys, tempfile

# The library's name, and how the names that it exports begin; the longer beginnings first.
LIBRARIES = {
    "cusparseLt": "cusparseLt", "cusparse": "cusparse", "cublasLt": "cublasLt",
    "cublas": "cublas", "cusolver": "cusolver", "cufft": "cufft", "cudnn": "cudnn",
    "nccl": "nccl", "nvrtc": "nvrtc", "nvshmem_host": "nvshmem",
}
torch = pathlib.Path(importlib.util.find_spec("torch").submodule_search_locations[0])
libraries = torch / "lib"


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


needed, symbols = {}, {}
for library in libraries.glob("lib*torch*.so"):
    for name in re.findall(r"NEEDED.*\[(.*)\]", said("readelf", "-d", library)):
        needed[re.sub(r"^lib|\.so.*", "", name)] = name
    for symbol in re.findall(r"^ +U (.*)$", said("nm", "-D", "--undefined-only", library), re.M):
        owner = next((n for n, start in LIBRARIES.items() if symbol.startswith(start)), None)
        if owner:
            name, _, version = symbol.partition("@")
            symbols.setdefault(owner, {}).setdefault(version, set()).add(name)

for owner in LIBRARIES.keys() & needed.keys():
    target = libraries / needed[owner]
    if any(torch.parent.glob(f"nvidia/**/{needed[owner]}")):
        continue
    versions = symbols.get(owner, {})
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder, "none.c"), pathlib.Path(folder, "none.map")
        names = sorted(set().union(*versions.values()))
        source.write_text("".join(f"void {name}(void) {{}}\n" for name in names) or "int none;\n")
        script.write_text("".join(
            f"{version} {{ global: {'; '.join(sorted(names))}; }};\n"
            for version, names in versions.items() if version))
        arguments = [f"-Wl,--version-script={script}"] if any(versions) else []
        said("cc", "-shared", "-fPIC", "-w", "-o", target, f"-Wl,-soname,{needed[owner]}",
             source, *arguments)
    print(f"{needed[owner]}: {len(names)} names")

tried = "import torch; a = torch.ones(9, 9); print(torch.__version__, float((a @ a).sum()))"
print(said(sys.executable, "-c", tried), end="")
