# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: test-families.py MAKE_MODEL FAMILIES GOLDEN

Every variant of every family file expands to the tensors and parameters that it says it has, and to the lists of the
golden folder where there is one. What the generator writes depends on the seed alone.
"""
import glob
import json
import math
import os
import re
import subprocess
import sys
import tempfile

MAKE_MODEL, FAMILIES, GOLDEN = sys.argv[1:4]


def generate(path, *arguments):
    subprocess.run([MAKE_MODEL, *arguments, path], check=True)
    if os.path.isdir(path):
        return None
    with open(path, "rb") as file:
        return file.read()


def unfold(name):
    """blocks.{0..2}.weight stands for three names."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", name)
    if not match:
        return [name]
    return [full for i in range(int(match[1]), int(match[2]) + 1)
            for full in unfold(name[:match.start()] + str(i) + name[match.end():])]


def golden_list(path):
    want = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            columns = line.rstrip("\n").split("\t")
            if line.startswith(("#", "name\t")) or len(columns) < 3:
                continue
            want.update((name, columns[2]) for name in unfold(columns[0]))
    return want


def check_variant(family_file, family, name, folder):
    variant = family["variants"][name]
    text = generate(os.path.join(folder, "list"), "--family", family_file, "--variant", name, "--format", "list")
    got = dict(line.split("\t") for line in text.decode().splitlines())
    items = sum(math.prod(int(n) for n in shape.split("x") if n) for shape in got.values())
    assert len(got) == variant["tensors"], f"{len(got)} tensors instead of {variant['tensors']}"
    assert items == variant["params"], f"{items} parameters instead of {variant['params']}"
    path = os.path.join(GOLDEN, "models", f"{family['family']}-{name}.tsv")
    if os.path.exists(path):
        assert got == golden_list(path), f"differs from {path}"


def check_bytes(folder):
    def make(*arguments):
        return generate(os.path.join(folder, "model"), "--layers", "2", "--rows", "8", "--cols", "64", *arguments)
    assert make() == make("--seed", "1"), "the same seed gives other bytes"
    assert make() != make("--seed", "2"), "another seed gives the same bytes"
    assert make("--type", "f32") != make()
    assert make("--format", "gguf", "--type", "q8_0")[:4] == b"GGUF"


def main():
    failed = 0
    cases = [("bytes", check_bytes)]
    for path in sorted(glob.glob(os.path.join(FAMILIES, "*.json"))):
        with open(path, encoding="utf-8") as file:
            family = json.load(file)
        for name in family.get("variants", {}):
            cases.append((f"{family['family']} {name}",
                          lambda folder, p=path, f=family, n=name: check_variant(p, f, n, folder)))
    assert len(cases) > 1, "no family file was looked at"
    print(f"1..{len(cases)}")
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, check) in enumerate(cases, 1):
            try:
                check(folder)
                print(f"ok {number} - {title}")
            except (AssertionError, subprocess.CalledProcessError) as error:
                failed += 1
                print(f"not ok {number} - {title}\n# {error}")
    sys.exit(1 if failed else 0)


main()
