# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: shim.py QCONV MAKE_MODEL IO_SHIM

Spoils single writes and reads of the file that is being written, for every target: io-shim.c says how. No run with a
spoilt write or read may end with a file; short writes and reads must change nothing.
"""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

from families import make_family_model, needs_family, without_families

QCONV, MAKE_MODEL, SHIM = sys.argv[1:4]
WRITES = ("flip", "zero", "lost", "torn")
MOST = 3  # accesses of one kind that are spoilt for one target, spread over the run


def write_model(path):
    """Writes a weight, a bias, a norm, an embedding, integers and a scalar."""
    rng = random.Random(1)

    def bf16(n, spread):
        values = (struct.unpack("<I", struct.pack("<f", rng.gauss(0, spread)))[0] >> 16 for _ in range(n))
        return struct.pack(f"<{n}H", *values)

    tensors = {
        "layer.weight": ("BF16", [128, 256], bf16(128 * 256, 0.02)),
        "layer.bias": ("BF16", [128], bf16(128, 0.1)),
        "norm.weight": ("F32", [256], struct.pack("<256f", *(rng.gauss(1, 0.1) for _ in range(256)))),
        "embed.weight": ("F16", [40, 32], struct.pack("<1280e", *(rng.gauss(0, 0.1) for _ in range(1280)))),
        "text.position_ids": ("I64", [1, 7], struct.pack("<7q", *range(1, 8))),
        "step": ("F32", [], struct.pack("<f", 3.5)),
    }
    header, data = {}, b""
    for name, (dtype, shape, stored) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(stored)]}
        data += stored
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


class Target:
    """Runs the conversions to one target in a folder of their own."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.model = os.path.join(folder, "in.safetensors")
        self.out = os.path.join(folder, "out.safetensors")
        self.log = os.path.join(folder, "log")
        if needs_family(name):
            make_family_model(MAKE_MODEL, self.model)
            self.options = ["--effort", "rtn", "-o", "rounds=0"]
        else:
            write_model(self.model)
            plain = name.startswith(("bf16-", "copy-", "f16-", "f32-")) or name.endswith("-template")
            self.options = [] if plain else ["--only", "^layer$"]

    def run(self, fault):
        """Returns status, standard error, number of accesses and whether one was spoilt."""
        environment = {**os.environ, "LD_PRELOAD": SHIM, "QCONV_SHIM": fault, "QCONV_SHIM_LOG": self.log}
        done = subprocess.run([QCONV, "--to", self.name, "-j1", "--progress", "none", *self.options, self.model, self.out],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, text=True, check=False)
        with open(self.log, encoding="ascii") as file:
            accesses, spoilt = map(int, file.read().split())
        os.unlink(self.log)
        return done.returncode, done.stderr, accesses, spoilt

    def take_output(self):
        with open(self.out, "rb") as file:
            data = file.read()
        os.unlink(self.out)
        return data

    def count(self, kind):
        """Returns the right output and the number of accesses that @kind could spoil."""
        status, said, accesses, _ = self.run(f"{kind},-1")
        assert status == 0, f"{self.name}: {said}"
        assert accesses > 0, f"{self.name}: no access is of the kind {kind}"
        return self.take_output(), accesses

    def spoil(self, kind, right, accesses):
        """Spoils accesses of @kind one by one. Returns how many faults were found."""
        found = 0
        for i in sorted({accesses * k // MOST for k in range(MOST)} | {accesses - 1}):
            status, said, _, spoilt = self.run(f"{kind},{i}")
            if not spoilt:
                assert status == 0 and self.take_output() == right, f"{self.name}, {kind} {i}: {said}"
                continue
            wanted = 1 if kind == "read" else 4
            assert status == wanted, f"{self.name}, {kind} {i} of {accesses}: status {status} instead of {wanted}: {said}"
            left = sorted(set(os.listdir(self.folder)) - {"in.safetensors"})
            assert not left, f"{self.name}, {kind} {i}: left behind: {left}"
            found += 1
        assert found > 0, f"{self.name}: no fault of the kind {kind} changed anything"
        return found

    def test(self):
        right, writes = self.count(WRITES[0])
        found = {kind: self.spoil(kind, right, writes) for kind in WRITES}
        found["read"] = self.spoil("read", *self.count("read"))
        status, said, _, _ = self.run("short,0")
        assert status == 0 and self.take_output() == right, f"{self.name}, short: {said}"
        return ", ".join(f"{n} {kind}" for kind, n in found.items())


def main():
    listed = subprocess.run([QCONV, "targets", "--json"], capture_output=True, check=True, text=True)
    targets = [t["name"] for t in json.loads(listed.stdout)]
    root = tempfile.mkdtemp(prefix="qconv-shim-")
    failed = 0
    print(f"1..{len(targets)}")
    try:
        without_families(os.path.join(root, "data"))
        for number, name in enumerate(targets, 1):
            folder = os.path.join(root, name)
            os.mkdir(folder)
            try:
                print(f"ok {number} - {name}: found {Target(name, folder).test()}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"not ok {number} - {name}\n# {error}", flush=True)
    finally:
        shutil.rmtree(root)
    sys.exit(1 if failed else 0)


main()
