# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files written by the gguf package decode to the bits that the package itself decodes."""
import json
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


def check_split(scratch):
    """Every part of a set is a file to the package; together they hold the tensors of the single file."""
    source, whole = os.path.join(scratch, "in.safetensors"), os.path.join(scratch, "whole.gguf")
    random = np.random.default_rng(2)
    peer.write_safetensors(source, {f"layers.{i}.weight": random.standard_normal((96, 512), np.float32) for i in range(7)})
    peer.qconv("--to", "f16-safetensors", "--split", "200K", source, os.path.join(scratch, "shards.safetensors"))
    peer.qconv("--to", "q8_0-gguf", source, whole)
    peer.qconv("--to", "q8_0-gguf", "--split", "200K", source, os.path.join(scratch, "set.gguf"))
    want = {t.name: bytes(t.data) for t in gguf.GGUFReader(whole).tensors}
    names = sorted(name for name in os.listdir(scratch) if name.startswith("set-"))
    assert len(names) > 2, names
    got = {}
    for number, name in enumerate(names):
        assert name == f"set-{number + 1:05}-of-{len(names):05}.gguf", names
        reader = gguf.GGUFReader(os.path.join(scratch, name))
        keys = {key: (field.types[0].name, int(field.parts[field.data[0]][0]))
                for key, field in reader.fields.items() if key.startswith("split.")}
        assert keys == {"split.no": ("UINT16", number), "split.count": ("UINT16", len(names)),
                        "split.tensors.count": ("INT32", len(want))}, keys
        assert ("qconv_checksums" in reader.fields) == (number == 0)
        got.update((t.name, bytes(t.data)) for t in reader.tensors)
    assert got == want, "the parts hold other tensors than the single file"
    with open(os.path.join(scratch, "shards.safetensors.index.json"), encoding="utf-8") as file:
        index = json.load(file)["weight_map"]
    for name, shard in index.items():
        assert name in peer.read_safetensors(os.path.join(scratch, shard)), f"{name} is not in {shard}"


peer.main(("split", check_split), *[(name, lambda scratch, name=name: check(scratch, name)) for name in TYPES])
