# SPDX-License-Identifier: LGPL-2.1-or-later
"""One situation that people met, as test-cases.py uses it: a folder with the input, qconv run on it, and what came out."""
import os
import subprocess

import numpy as np

import peer


class Case:
    """Keeps the exit status and the texts of the last run of qconv."""

    def __init__(self, folder):
        self.folder = folder
        self.random = np.random.default_rng(7)
        self.status, self.out, self.err = None, "", ""

    def path(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, tensors, name="m.safetensors"):
        peer.write_safetensors(self.path(name), tensors)
        return self.path(name)

    def write_bytes(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def model(self, family, variant, *options, name="base.safetensors"):
        path = self.path(name)
        peer.make_model(f"--family={family}", f"--variant={variant}", *options, path)
        return path

    def tensors(self, family, variant, *options):
        return dict(peer.read_safetensors(self.model(family, variant, *options)))

    def run(self, *words):
        done = subprocess.run([peer.QCONV, *map(str, words)], capture_output=True, text=True, cwd=self.folder,
                              timeout=300, check=False)
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    def convert(self, target, source, *words, output="out.safetensors"):
        """Returns the output's path; self.status tells whether it is there."""
        out = self.path(output)
        if os.path.exists(out):
            os.remove(out)
        self.run("--to", target, *words, source, out)
        return out

    def converted(self, target, source, *words, output="out.safetensors"):
        """Returns the output's path, of a conversion that must be a success."""
        out = self.convert(target, source, *words, output=output)
        assert self.status == 0, f"exit {self.status}: {self.err.strip()}"
        return out

    def plain(self, source, *words):
        """Returns what qconv decodes a file to, with its own names."""
        out = self.converted("f32-safetensors", source, "--names", "keep", *words, output="plain.safetensors")
        return peer.read_safetensors(out)

    def normal(self, *shape, std=0.02):
        return (self.random.standard_normal(shape) * std).astype(np.float32)

    def must_refuse(self, *words):
        """Nothing may be written, and the message must have one of the words."""
        assert self.status in (2, 3), f"exit {self.status}, where a refusal is due"
        assert not os.path.exists(self.path("out.safetensors")), "refused, but an output is there"
        assert any(word.lower() in self.err.lower() for word in words), f"refused without {words}: {self.err.strip()}"

    def must_say(self, *words):
        text = (self.out + self.err).lower()
        assert all(word.lower() in text for word in words), f"{words} expected: {text.strip()}"


def error(got, want):
    """Returns the relative squared error; that of another shape is infinite."""
    return peer.relative_error(want, got) if got.shape == want.shape else float("inf")
