"""Copies the licence texts of everything that a binary for a target is linked from into a folder, one folder a crate.

    python3 .github/licences.py TARGET FOLDER

A crate without a text of its own is listed in FOLDER/README with the licence that it names.
"""

import json
import pathlib
import shutil
import subprocess
import sys

NAMES = ("license", "licence", "copying", "notice", "unlicense", "copyright", "readme.ijg")


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked(target):
    """The packages that are linked, the workspace's own left out. (`cargo metadata` names optional ones that no feature asks for.)"""
    tree = run("cargo", "tree", "--locked", "--workspace", "--target", target, "--edges", "normal", "--prefix", "none", "--format", "{p}")
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    members = set(metadata["workspace_members"])
    of = lambda package: (package["name"], "v" + package["version"])
    return [package for package in metadata["packages"] if of(package) in names and package["id"] not in members]


def main(target, out):
    packages = linked(target)
    without = []
    for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
        folder = pathlib.Path(package["manifest_path"]).parent
        texts = [file for file in folder.iterdir() if file.is_file() and file.name.lower().startswith(NAMES)]
        # Of C code that a crate brings.
        texts += [file for file in folder.glob("vendor/*") if file.is_file() and file.name.lower().startswith(NAMES)]
        name = f"{package['name']}-{package['version']}"
        if not texts:
            without.append(f"{name}: {package['license'] or 'says none'}, {package['repository'] or 'no address'}")
            continue
        to = out / name
        to.mkdir(parents=True)
        for text in texts:
            shutil.copy(text, to / ("-".join(text.relative_to(folder).parts)))
    lines = [f"Licences of the {len(packages)} crates that this binary is linked from, as their packages have them."]
    if without:
        lines += ["", "Without a text in their packages; of each the licence that it names, and where it is from:", "", *without]
    (out / "README").write_text("\n".join(lines) + "\n")
    print(f"{len(packages)} crates, {len(without)} without a text")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
