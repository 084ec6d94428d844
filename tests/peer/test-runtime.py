# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs that load our files decode them to the errors that qconv reports; large packages, run by hand."""
import json
import os

import numpy as np
import torch
import comfy_kitchen.tensor as kitchen

import peer

FP32 = torch.float32


def tensor_of(array, dtype=None):
    """@array as torch's, reinterpreted as @dtype where NumPy has no such type."""
    if dtype is None:
        return torch.from_numpy(np.array(array))
    return torch.from_numpy(np.array(array.view(np.uint8))).view(dtype)


def float8(array):
    types = {"float8_e4m3fn": torch.float8_e4m3fn, "float8_e5m2": torch.float8_e5m2}
    return tensor_of(array, types[array.dtype.name])


def decode_nvfp4(t, marker, shape):
    params = kitchen.TensorCoreNVFP4Layout.Params(scale=tensor_of(t["weight_scale_2"]), orig_dtype=FP32, orig_shape=shape,
                                                  block_scale=float8(t["weight_scale"]))
    return kitchen.TensorCoreNVFP4Layout.dequantize(tensor_of(t["weight"]), params)


def decode_fp8(t, marker, shape):
    params = kitchen.TensorCoreFP8Layout.Params(scale=tensor_of(t["weight_scale"]), orig_dtype=FP32, orig_shape=shape)
    return kitchen.TensorCoreFP8Layout.dequantize(float8(t["weight"]), params)


def decode_mxfp8(t, marker, shape):
    scales = tensor_of(t["weight_scale"], torch.float8_e8m0fnu)
    params = kitchen.TensorCoreMXFP8Layout.Params(scale=scales, orig_dtype=FP32, orig_shape=shape)
    return kitchen.TensorCoreMXFP8Layout.dequantize(float8(t["weight"]), params)


def decode_int8(t, marker, shape):
    params = kitchen.TensorWiseINT8Layout.Params(scale=tensor_of(t["weight_scale"]), orig_dtype=FP32, orig_shape=shape,
                                                 convrot=marker.get("convrot", False),
                                                 convrot_groupsize=marker.get("convrot_groupsize", 256))
    return kitchen.TensorWiseINT8Layout.dequantize(tensor_of(t["weight"]), params)


def decode_w4a4(t, marker, shape):
    params = kitchen.TensorCoreConvRotW4A4Layout.Params(scale=tensor_of(t["weight_scale"]), orig_dtype=FP32,
                                                        orig_shape=shape,
                                                        convrot_groupsize=marker["convrot_groupsize"])
    return kitchen.TensorCoreConvRotW4A4Layout.dequantize(tensor_of(t["weight"]), params)


def decode_w4a8(t, marker, shape):
    scale = t["weight_s_rel"]
    params = kitchen.AsymW4A8Int8Layout.Params(scale=tensor_of(scale) if scale.dtype == np.float32 else float8(scale),
                                               orig_dtype=FP32, orig_shape=shape,
                                               s_channel=tensor_of(t["weight_s_channel"]),
                                               codebook=tensor_of(t["weight_codebook"]) if "weight_codebook" in t else None,
                                               group_size=marker["group_size"],
                                               convrot_groupsize=marker["convrot_groupsize"])
    return kitchen.AsymW4A8Int8Layout.dequantize(tensor_of(t["weight"]), params)


DECODERS = {
    "nvfp4": decode_nvfp4, "float8_e4m3fn": decode_fp8, "float8_e5m2": decode_fp8, "mxfp8": decode_mxfp8,
    "int8_tensorwise": decode_int8, "convrot_w4a4": decode_w4a4, "asym_w4a8_int8": decode_w4a8,
}


def layer_tensors(tensors, layer):
    return {name[len(layer) + 1:]: array for name, array in tensors.items() if name.startswith(layer + ".")}


def compare(scratch, tolerance, *options):
    """Converts a small model and decodes every marked layer; @tolerance: of the relative error that was reported."""
    source, out = os.path.join(scratch, "in.safetensors"), os.path.join(scratch, "out.safetensors")
    peer.make_model("--family", "wan", "--variant", "tiny-t2v", source)
    report = json.loads(peer.qconv("convert", "--json", "--force", *options, source, out))
    original, tensors = peer.read_safetensors(source), peer.read_safetensors(out)
    checked = 0
    for layer in report["layers"]:
        name = layer["name"]
        if name + ".comfy_quant" not in tensors:
            continue
        marker = json.loads(tensors[name + ".comfy_quant"].tobytes())
        want = original[name + ".weight"].astype(np.float32)
        got = DECODERS[marker["format"]](layer_tensors(tensors, name), marker, tuple(want.shape))
        relmse = peer.relative_error(want, got.to(FP32).numpy()[:want.shape[0], :want.shape[1]])
        assert abs(relmse - layer["relmse"]) <= tolerance * relmse, f"{name}: {relmse}, {layer['relmse']} reported"
        checked += 1
    assert checked, "no layer was quantized"
    print(f"# {' '.join(options)}: {checked} layers, relative error of the last {relmse:.3g}")


def without_rotation(*options):
    return lambda scratch: compare(scratch, 1e-6, "--to", *options)


def with_rotation(*options):
    """The order of the sums in the product with the matrix is the BLAS library's."""
    return lambda scratch: compare(scratch, 1e-4, "--to", *options)


def bitsandbytes_agrees(scratch, target, *options):
    try:
        import bitsandbytes.functional as bnb
    except ImportError:
        return "no Python package bitsandbytes: tests/run.sh --peers brings it"
    source, out = os.path.join(scratch, "in.safetensors"), os.path.join(scratch, "out.safetensors")
    peer.make_model("--family", "wan", "--variant", "tiny-t2v", source)
    report = json.loads(peer.qconv("convert", "--json", "--to", target, *options, source, out))
    original, tensors = peer.read_safetensors(source), peer.read_safetensors(out)
    checked = 0
    for layer in report["layers"]:
        name = layer["name"] + ".weight"
        states = {key[len(name) + 1:]: tensor_of(array) for key, array in tensors.items() if key.startswith(name + ".")}
        if not states:
            continue
        state = bnb.QuantState.from_dict(states, device=torch.device("cpu"))
        state.dtype = FP32 # or the result is rounded to the type that the weight had
        got = bnb.dequantize_4bit(tensor_of(tensors[name]), state).numpy()
        relmse = peer.relative_error(original[name].astype(np.float32), got)
        assert abs(relmse - layer["relmse"]) <= 1e-6 * relmse, f"{name}: {relmse}, {layer['relmse']} reported"
        checked += 1
    assert checked, "no layer was quantized"
    print(f"# {target} {' '.join(options)}: {checked} layers, relative error of the last {relmse:.3g}")
    return None


def bitsandbytes_loads(*options):
    return lambda scratch: bitsandbytes_agrees(scratch, *options)


peer.main(
    ("comfy-kitchen nvfp4", without_rotation("nvfp4-comfy")),
    ("comfy-kitchen fp8", without_rotation("fp8-comfy")),
    ("comfy-kitchen fp8 e5m2", without_rotation("fp8-comfy", "-o", "dtype=e5m2")),
    ("comfy-kitchen mxfp8", without_rotation("mxfp8-comfy")),
    ("comfy-kitchen int8 by rows", without_rotation("int8-comfy")),
    ("comfy-kitchen int8 by tensors", without_rotation("int8-comfy", "-o", "scaling=tensor")),
    ("comfy-kitchen int8 rotated", with_rotation("int8-comfy", "-o", "convrot")),
    ("comfy-kitchen convrot_w4a4", with_rotation("convrot-w4a4-comfy")),
    ("comfy-kitchen w4a8", with_rotation("w4a8-comfy")),
    ("comfy-kitchen w6a8", with_rotation("w6a8-comfy")),
    ("bitsandbytes nf4", bitsandbytes_loads("nf4-bnb")),
    ("bitsandbytes nf4, nested", bitsandbytes_loads("nf4-bnb", "-o", "double-quant")),
    ("bitsandbytes nf4, blocks of 128", bitsandbytes_loads("nf4-bnb", "-o", "block=128")),
    ("bitsandbytes fp4", bitsandbytes_loads("fp4-bnb")),
)
