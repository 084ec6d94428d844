# SPDX-License-Identifier: LGPL-2.1-or-later
"""nvfp4-comfy files, decoded here from the format's definition, hold what qconv says they hold."""
import json
import os

import gguf
import numpy as np

import peer


def load_source(path):
    if not path.endswith(".gguf"):
        return {name: array.astype(np.float32) for name, array in peer.read_safetensors(path).items()}
    tensors = {}
    for t in gguf.GGUFReader(path).tensors:
        shape = [int(n) for n in reversed(t.shape)]
        tensors[t.name] = gguf.dequantize(t.data, t.tensor_type).astype(np.float32).reshape(shape)
    return tensors


def compare(scratch, source, *options):
    """Converts @source and compares the file with our own decoder, with qconv's, and with the reported errors."""
    original = load_source(source)
    out, plain = os.path.join(scratch, "out.safetensors"), os.path.join(scratch, "plain.safetensors")
    report = json.loads(peer.qconv("convert", "--to", "nvfp4-comfy", "--json", *options, source, out))
    peer.qconv("--to", "f32-safetensors", out, plain)
    tensors, decoded = peer.read_safetensors(out), peer.read_safetensors(plain)
    errors = {layer["name"]: layer["relmse"] for layer in report["layers"]}
    quantized = [name[:-len(".comfy_quant")] for name in tensors if name.endswith(".comfy_quant")]
    assert report["ok"] and quantized
    for layer in quantized:
        assert json.loads(tensors[layer + ".comfy_quant"].tobytes())["format"] == "nvfp4"
        want = original[layer + ".weight"]
        got = peer.decode_nvfp4(tensors, layer, want.shape)
        again = decoded[layer + ".weight"][:want.shape[0], :want.shape[1]]
        # Loaders differ in the sign of zero that code 8 stands for; adding zero takes it away
        assert peer.same_bits(got + np.float32(0), again + np.float32(0)), f"{layer}: qconv decodes other values than this test"
        relmse = peer.relative_error(want, got)
        assert abs(relmse - errors[layer]) <= 1e-6 * relmse, f"{layer}: {relmse} here, {errors[layer]} reported"
        assert relmse < 2e-2, f"{layer}: {relmse}"
    for name, array in original.items():
        stem = name[:-len(".weight")] if name.endswith(".weight") else name
        if stem not in quantized:
            # What was quantized in the source is kept in the dtype that it had before, rounded once
            want = array.astype(tensors[name].dtype).astype(np.float32)
            assert peer.same_bits(decoded[name].reshape(array.shape), want), f"{name}: a kept tensor has changed"


def family(kind, number, *options):
    def check(scratch):
        source = os.path.join(scratch, "in.gguf" if kind == "gguf" else "in.safetensors")
        peer.make_model("--family", "wan", "--variant", "tiny-t2v", "--format", kind, "--type", number, source)
        compare(scratch, source, *options)
    return check


def odd_shapes(scratch):
    random = np.random.default_rng(3)
    shapes = {"a": (256, 256), "b": (272, 320), "c": (300, 272), "d": (384, 1040), "e": (1, 64)}
    source = os.path.join(scratch, "in.safetensors")
    made = {f"{n}.weight": random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    made["a.weight"][:32] = 0
    made["b.weight"][0, 0] = 1000
    made["d.weight"] *= np.float32(1e-30)
    peer.write_safetensors(source, made)
    compare(scratch, source)


def never_worse_than_plain_rounding(scratch):
    source = os.path.join(scratch, "in.safetensors")
    peer.make_model("--layers", 2, "--rows", 256, "--cols", 512, "--type", "f32", source)
    total = {}
    for effort in ("rtn", "search"):
        out = os.path.join(scratch, effort + ".safetensors")
        report = json.loads(peer.qconv("convert", "--to", "nvfp4-comfy", "--json", "--effort", effort, source, out))
        total[effort] = [layer["relmse"] for layer in report["layers"] if layer["scheme"] == "nvfp4"]
    assert total["rtn"] and len(total["rtn"]) == len(total["search"])
    assert all(s <= r for s, r in zip(total["search"], total["rtn"])), total
    print(f"# relative error: rtn {np.mean(total['rtn']):.6f}, search {np.mean(total['search']):.6f}")


peer.main(("from BF16", family("safetensors", "bf16")),
          ("from F32, plain rounding", family("safetensors", "f32", "--effort", "rtn")),
          ("from GGUF Q8_0", family("gguf", "q8_0")), ("from GGUF Q4_0", family("gguf", "q4_0")),
          ("from GGUF BF16", family("gguf", "bf16")), ("odd shapes", odd_shapes),
          ("search is never worse", never_worse_than_plain_rounding))
