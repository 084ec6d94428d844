# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files written by the gguf package decode to the bits that the package itself decodes."""
import os

import gguf
import numpy as np

import peer

TYPES = ["F16", "BF16", "F32", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0", "MXFP4"]


def sources():
    """Rows of several kinds; 512 columns hold whole blocks of every type."""
    random = np.random.default_rng(1)
    gaussian = random.standard_normal((96, 512), np.float32)
    outliers = gaussian * np.where(random.random((96, 512)) < 0.01, np.float32(40), np.float32(1))
    sparse = gaussian * (random.random((96, 512)) < 0.05)
    ramp = np.linspace(-1, 1, 96 * 512, dtype=np.float32).reshape(96, 512)
    return {
        "gaussian": gaussian * np.float32(0.02), "outliers": outliers * np.float32(0.02),
        "sparse": sparse.astype(np.float32), "ramp": ramp, "zero": np.zeros((32, 512), np.float32),
        "tiny": gaussian * np.float32(1e-6), "large": gaussian * np.float32(300),
    }


def check(scratch, name):
    kind = gguf.GGMLQuantizationType[name]
    path = os.path.join(scratch, "in.gguf")
    writer = gguf.GGUFWriter(path, "test")
    expected = {}
    for stem, rows in sources().items():
        data = gguf.quantize(rows, kind)
        writer.add_tensor(stem + ".weight", data, raw_dtype=kind)
        expected[stem + ".weight"] = gguf.dequantize(data, kind).astype(np.float32)
    bias = np.arange(512, dtype=np.float32)
    writer.add_tensor("gaussian.bias", bias)
    expected["gaussian.bias"] = bias
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    out = os.path.join(scratch, "out.safetensors")
    peer.qconv("--from", "gguf", "--to", "f32-safetensors", path, out)
    got = peer.read_safetensors(out)
    assert set(got) == set(expected), sorted(set(got) ^ set(expected))
    for stem, values in expected.items():
        assert peer.same_bits(got[stem], values.reshape(got[stem].shape)), f"{stem}: qconv decodes other values than the gguf package"


peer.main(*[(name, lambda scratch, name=name: check(scratch, name)) for name in TYPES])
