# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files written by the gguf package decode to the bits that the package itself decodes, and the package reads what qconv
writes."""
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


# The largest relative squared error of weights like normally distributed ones
BOUNDS = {
    "Q8_0": 5e-5, "Q6_K": 5e-4, "Q5_K": 2e-3, "Q5_1": 2e-3, "Q5_0": 2.5e-3, "Q4_K": 7e-3, "Q4_1": 8e-3, "Q4_0": 1e-2,
    "IQ4_NL": 8e-3, "IQ4_XS": 8e-3, "Q3_K": 3e-2, "Q2_K": 0.12, "MXFP4": 2e-2, "NVFP4": 1.5e-2, "TQ1_0": 0.7, "TQ2_0": 0.7,
}
TARGETS = ["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_1", "q5_0", "q4_k_m", "q4_1", "q4_0", "q3_k_m", "q2_k",
           "iq4_nl", "iq4_xs", "mxfp4", "nvfp4", "tq1_0", "tq2_0"]
PLAIN = {"F32", "F16", "BF16"}


def read_gguf(path):
    """Every tensor as the package reads it: type, shape in torch order, values in F32."""
    reader = gguf.GGUFReader(path)
    tensors = {}
    for t in reader.tensors:
        shape = tuple(int(n) for n in reversed(t.shape))
        values = t.data if t.data.dtype == np.float32 else gguf.dequantize(t.data, t.tensor_type)
        tensors[t.name] = t.tensor_type.name, shape, np.asarray(values, np.float32).reshape(shape)
    return reader, tensors


def check_written(scratch, family, variant, target):
    """All tensors of a model: names, shapes, and values against those of the model."""
    source, path = os.path.join(scratch, "model.safetensors"), os.path.join(scratch, "model.gguf")
    peer.make_model("--family", family, "--variant", variant, source)
    peer.qconv("--quiet", "--to", target + "-gguf", source, path)
    want = peer.read_safetensors(source)
    reader, got = read_gguf(path)
    assert set(got) == set(want), sorted(set(got) ^ set(want))
    quantized = 0
    for name, (kind, shape, values) in got.items():
        numbers = want[name].astype(np.float32)
        assert shape == numbers.shape, f"{name}: {shape}, not {numbers.shape}"
        if kind in PLAIN:
            exact = numbers.astype(np.float16).astype(np.float32) if kind == "F16" else numbers
            assert np.array_equal(values, exact), f"{name}: other numbers"
        else:
            quantized += 1
            error = peer.relative_error(numbers, values)
            assert error <= BOUNDS[kind], f"{name}: {kind} has the error {error}"
    assert (quantized > 0) == (target not in ("f32", "f16", "bf16")), "nothing is quantized"
    field = reader.get_field("general.file_type")
    assert target == "nvfp4" or field.types == [gguf.GGUFValueType.UINT32], "no file type"


def check_reshaped(scratch):
    """A weight that is stored as a matrix, and its shape in the metadata."""
    source, path = os.path.join(scratch, "conv.safetensors"), os.path.join(scratch, "conv.gguf")
    weights = np.random.default_rng(3).standard_normal((64, 32, 3, 3), np.float32)
    peer.write_safetensors(source, {"conv.weight": weights})
    peer.qconv("--quiet", "--to", "q8_0-gguf", "--only", "conv", source, path)
    reader, got = read_gguf(path)
    kind, shape, values = got["conv.weight"]
    field = reader.get_field("comfy.gguf.orig_shape.conv.weight")
    assert (kind, shape) == ("Q8_0", (64, 288)), (kind, shape)
    assert field.types == [gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.INT32], field.types
    assert [int(field.parts[i][0]) for i in field.data] == [64, 32, 3, 3]
    assert peer.relative_error(weights, values.reshape(weights.shape)) < BOUNDS["Q8_0"]


peer.main(("split", check_split),
          *[(name, lambda scratch, name=name: check(scratch, name)) for name in TYPES],
          *[("flux1 " + target, lambda scratch, target=target: check_written(scratch, "flux1", "tiny", target))
            for target in TARGETS],
          *[(f"{family} {target}", lambda scratch, family=family, variant=variant, target=target:
             check_written(scratch, family, variant, target))
            for family, variant in (("wan", "tiny-t2v"), ("sdxl", "tiny"), ("z_image", "tiny"), ("qwen_image", "tiny"))
            for target in ("q8_0", "q4_k_m")],
          ("reshaped", check_reshaped))
