# SPDX-License-Identifier: LGPL-2.1-or-later
"""Decodes what tools for language models write in NumPy, from the layouts alone, and compares with qconv bit for bit:
GPTQ, AutoAWQ, compressed-tensors and ModelOpt. The words are random, so every code and every zero point occurs."""
import json

import ml_dtypes
import numpy as np

import case
import peer

K, N = 256, 96
E4M3, E8M0 = ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e8m0fnu


# ---- Random tensors ----

def words(c, *shape):
    return c.random.integers(0, 2**32, shape, np.uint32).view(np.int32)


def octets(c, *shape):
    return c.random.integers(0, 256, shape, np.uint8)


def scales(c, *shape, dtype=np.float16):
    return ((c.random.random(shape) + 0.5) * 0.01).astype(dtype)


def fp8(c, *shape):
    """Codes of E4M3 without NaN."""
    codes = octets(c, *shape)
    return np.where(codes & 127 == 127, codes - 1, codes).astype(np.uint8).view(E4M3)


def exponents(c, *shape):
    return c.random.integers(117, 130, shape).astype(np.uint8)


# ---- Codes ----

def fields(rows, bits, n):
    """Each row of words is a string of bits, the lowest first; returns the first n fields of each."""
    flat = np.ascontiguousarray(rows).view(np.uint8).reshape(rows.shape[0], -1)
    string = np.unpackbits(flat, axis=1, bitorder="little")[:, :n * bits]
    return (string.reshape(rows.shape[0], n, bits) << np.arange(bits)).sum(2)


def planes(rows, bits, n):
    """Runs of 32 codes, whose bits are split in planes: 2 + 1, 4 + 1, 4 + 2 or 4 + 2 + 1 of them."""
    runs = np.ascontiguousarray(rows).reshape(rows.shape[0], -1, bits)
    codes, word, shift = 0, 0, 0
    for width in (w for w in (8, 4, 2, 1) if bits & w):
        plane = np.ascontiguousarray(runs[:, :, word:word + width])
        plane = fields(plane.reshape(-1, width), width, 32).reshape(rows.shape[0], -1)
        codes, word, shift = codes + (plane << shift), word + width, shift + width
    return codes[:, :n]


def two(packed):
    """Two codes in a byte, the first low."""
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)


def by_group(numbers, group):
    return np.repeat(numbers, group, axis=1)[:, :K]


# ---- Comparison ----

def folder(c, name, tensors, config):
    """Writes a model with one layer m, and the JSON files beside it. Returns the path of the model."""
    for file, text in config.items():
        c.write_bytes(f"{name}/{file}", json.dumps(text).encode())
    return c.write({**tensors, "m.bias": scales(c, N)}, f"{name}/model.safetensors")


def compare(c, name, tensors, config, want):
    got = c.plain(folder(c, name, tensors, config))
    assert sorted(got) == ["m.bias", "m.weight"], f"{name}: {sorted(got)}"
    assert peer.same_bits(got["m.weight"], np.ascontiguousarray(want)), f"{name}: the weight differs"


# ---- GPTQ ----

def gptq_zeros(stored, bits, how):
    """Zero points from fields; "packed": one is added to the words, so that it may run into the next field."""
    if how == "v2":
        return stored
    if how == "v1":
        return stored + 1
    per_word = 32 // bits
    runs = stored.reshape(stored.shape[0], -1, per_word).astype(object)
    weights = [1 << bits * i for i in range(per_word)]
    ones = sum(weights)
    sums = ((runs * weights).sum(2) + ones) % 2**32
    return np.array([[[int(w) >> bits * i & (1 << bits) - 1 for i in range(per_word)] for w in row]
                     for row in sums]).reshape(stored.shape)


def gptq_case(c, bits, how, group, order, fmt="gptq"):
    planar = fmt == "gptq_p" or bits in (5, 6, 7)
    groups = -(-K // group)
    read = planes if planar else fields
    t = {"m.qweight": words(c, K * bits // 32, N), "m.qzeros": words(c, groups, N * bits // 32),
         "m.scales": scales(c, groups, N), "m.g_idx": (np.arange(K) // group).astype(np.int32)}
    if order:
        c.random.shuffle(t["m.g_idx"])
    config = {"bits": bits, "group_size": group if group < K else -1, "sym": False, "desc_act": order,
              "quant_method": "gptq", "checkpoint_format": fmt}
    if how == "packed":
        config["meta"] = {"quantizer": ["gptqmodel:7.7.0"]}
    codes = read(t["m.qweight"].T, bits, K)
    zeros = gptq_zeros(read(t["m.qzeros"], bits, N), bits, how)
    of = t["m.g_idx"]
    want = (codes - zeros.T[:, of]).astype(np.float32) * t["m.scales"].astype(np.float32).T[:, of]
    compare(c, f"{bits}-{how}-{group}-{order}-{fmt}", t, {"quantize_config.json": config}, want)


def gptq(scratch):
    c = case.Case(scratch)
    for bits in (2, 3, 4, 8):
        for group, order in ((64, False), (32, True), (K, False)):
            gptq_case(c, bits, "v1", group, order)
            gptq_case(c, bits, "v2", group, order, "gptq_v2")
    for bits in (2, 4, 8):
        gptq_case(c, bits, "packed", 64, True)
    for bits in (3, 5, 6, 7):
        gptq_case(c, bits, "v2", 64, True, "gptq_p")


# ---- AutoAWQ ----

GEMM_ORDER = [0, 4, 1, 5, 2, 6, 3, 7]  # the nibble of each of eight columns


def nibbles(w):
    return (w.view(np.uint32)[..., None] >> (4 * np.arange(8, dtype=np.uint32)) & 15).astype(np.int64)


def awq_case(c, version, group):
    config = {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": version}
    groups = K // group
    if version == "gemm":
        t = {"m.qweight": words(c, K, N // 8), "m.qzeros": words(c, groups, N // 8), "m.scales": scales(c, groups, N)}
        codes = nibbles(t["m.qweight"])[..., GEMM_ORDER].reshape(K, N).T
        zeros = nibbles(t["m.qzeros"])[..., GEMM_ORDER].reshape(groups, N).T
        factors = t["m.scales"].T
    else:
        multiple = {32: 4, 64: 2}.get(group, 1)
        width = -(-(-(-groups // 8)) // multiple) * multiple
        t = {"m.qweight": words(c, N, K // 8), "m.qzeros": words(c, N, width),
             "m.scales": np.zeros((N, 8 * width), np.float16)}
        t["m.scales"][:, :groups] = scales(c, N, groups)
        codes = nibbles(t["m.qweight"]).reshape(N, K)
        zeros = nibbles(t["m.qzeros"]).reshape(N, -1)[:, :groups]
        factors = t["m.scales"][:, :groups]
    want = (codes - by_group(zeros, group)).astype(np.float32) * by_group(factors.astype(np.float32), group)
    compare(c, f"{version}-{group}", t, {"config.json": {"quantization_config": config}}, want)


def awq(scratch):
    c = case.Case(scratch)
    for version in ("gemm", "gemv"):
        for group in (32, 64, 128):
            awq_case(c, version, group)


# ---- compressed-tensors ----

def ct_config(fmt, bits, kind, **weights):
    about = {"num_bits": bits, "type": kind, "symmetric": True, "dynamic": False, **weights}
    return {"config.json": {"quantization_config": {
        "quant_method": "compressed-tensors", "format": fmt, "quantization_status": "compressed", "ignore": [],
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": about, "format": fmt}}}}}


def ct_packed(c, bits, group, order=False, zeros=False, old=False):
    """Codes are strings of bits along K, or whole in each word as before commit 3f01c782; zero points go along N."""
    groups, per_word = K // group, 32 // bits
    width = -(-K // per_word) if old else -(-K * bits // 32)
    packed = words(c, N, width)
    t = {"m.weight_packed": packed, "m.weight_scale": scales(c, N, groups, dtype=ml_dtypes.bfloat16),
         "m.weight_shape": np.array([N, K], np.int64)}
    if old:
        spread = packed.view(np.uint32)[..., None] >> (bits * np.arange(per_word, dtype=np.uint32))
        codes = (spread & (1 << bits) - 1).astype(np.int64).reshape(N, -1)[:, :K]
    else:
        codes = fields(packed, bits, K)
    middle = np.full((N, groups), 1 << bits - 1)
    if zeros:
        t["m.weight_zero_point"] = words(c, -(-N * bits // 32), groups)
        middle = fields(t["m.weight_zero_point"].T, bits, N).T
    of = np.arange(K) // group
    if order:
        c.random.shuffle(of)
        t["m.weight_g_idx"] = of.astype(np.int32)
    want = (codes - middle[:, of]).astype(np.float32) * t["m.weight_scale"].astype(np.float32)[:, of]
    config = ct_config("pack-quantized", bits, "int", group_size=group, strategy="group", symmetric=not zeros,
                       actorder="group" if order else None)
    compare(c, f"packed-{bits}-{group}-{order}-{zeros}-{old}", t, config, want)


def ct_pack_quantized(scratch):
    c = case.Case(scratch)
    for bits in range(2, 9):
        ct_packed(c, bits, 64)
        ct_packed(c, bits, 32, zeros=True)
        ct_packed(c, bits, 32, order=True)
    for bits in (3, 5, 6):
        ct_packed(c, bits, 64, old=True)


def ct_floats(scratch):
    c = case.Case(scratch)
    for bn, bk in ((32, 32), (128, 128), (40, 96)):
        t = {"m.weight": fp8(c, N, K), "m.weight_scale": scales(c, -(-N // bn), -(-K // bk), dtype=np.float32)}
        grid = np.repeat(np.repeat(t["m.weight_scale"], bn, 0)[:N], bk, 1)[:, :K]
        compare(c, f"block-{bn}-{bk}", t,
                ct_config("float-quantized", 8, "float", strategy="block", block_structure=[bn, bk]),
                t["m.weight"].astype(np.float32) * grid)
    for rows in (1, N):
        t = {"m.weight": fp8(c, N, K), "m.weight_scale": scales(c, *((1,) if rows == 1 else (N, 1)), dtype=np.float32)}
        compare(c, f"fp8-{rows}", t,
                ct_config("float-quantized", 8, "float", strategy="tensor" if rows == 1 else "channel"),
                t["m.weight"].astype(np.float32) * t["m.weight_scale"].reshape(-1, 1))
    t = {"m.weight": octets(c, N, K).view(np.int8), "m.weight_scale": scales(c, N, 1, dtype=np.float32),
         "m.weight_zero_point": octets(c, N, 1).view(np.int8)}
    compare(c, "int8", t, ct_config("int-quantized", 8, "int", strategy="channel", symmetric=False),
            (t["m.weight"].astype(np.float32) - t["m.weight_zero_point"]) * t["m.weight_scale"])


def ct_micro(scratch):
    c = case.Case(scratch)
    t = {"m.weight_packed": octets(c, N, K // 2), "m.weight_scale": fp8(c, N, K // 16),
         "m.weight_global_scale": np.array([372.5], np.float32)}
    total = np.abs(t["m.weight_scale"].astype(np.float32))
    t["m.weight_scale"] = total.astype(E4M3)
    compare(c, "nvfp4", t, ct_config("nvfp4-pack-quantized", 4, "float", strategy="tensor_group", group_size=16),
            peer.E2M1[two(t["m.weight_packed"])] * by_group(total / t["m.weight_global_scale"], 16))
    t = {"m.weight_packed": octets(c, N, K // 2), "m.weight_scale": exponents(c, N, K // 32)}
    power = by_group(t["m.weight_scale"].view(E8M0).astype(np.float32), 32)
    compare(c, "mxfp4", t, ct_config("mxfp4-pack-quantized", 4, "float", strategy="group", group_size=32),
            peer.E2M1[two(t["m.weight_packed"])] * power)
    t = {"m.weight": fp8(c, N, K), "m.weight_scale": t["m.weight_scale"]}
    compare(c, "mxfp8", t, ct_config("mxfp8-quantized", 8, "float", strategy="group", group_size=32),
            t["m.weight"].astype(np.float32) * power)
    t = {"m.weight_packed": octets(c, N, 3 * K // 4), "m.weight_scale": t["m.weight_scale"]}
    codes = fields(t["m.weight_packed"], 6, K)
    exponent, mantissa = codes >> 3 & 3, codes & 7
    size = np.where(exponent == 0, mantissa / 8, (1 + mantissa / 8) * 2.0 ** (exponent - 1)).astype(np.float32)
    compare(c, "mxfp6", t, ct_config("mxfp6-pack-quantized", 6, "float", strategy="group", group_size=32),
            np.where(codes & 32, -size, size) * power)


# ---- ModelOpt ----

def mo_config(algorithm, **more):
    return {"hf_quant_config.json": {"producer": {"name": "modelopt", "version": "0.47.0"}, "quantization": {
        "quant_algo": algorithm, "kv_cache_quant_algo": None, "exclude_modules": ["lm_head"], **more}}}


def mo_nvfp4(scratch):
    """Codes times (block scale times tensor scale); code 8 is plus zero in ModelOpt's table."""
    c = case.Case(scratch)
    values = peer.E2M1.copy()
    values[8] = 0.0
    t = {"m.weight": octets(c, N, K // 2),
         "m.weight_scale": np.abs(fp8(c, N, K // 16).astype(np.float32)).astype(E4M3),
         "m.weight_scale_2": np.array(0.00123, np.float32)}
    total = by_group(t["m.weight_scale"].astype(np.float32) * t["m.weight_scale_2"], 16)
    want = values[two(t["m.weight"])] * total
    compare(c, "nvfp4", t, mo_config("NVFP4", group_size=16), want)
    t["m.pre_quant_scale"] = scales(c, K, dtype=np.float32) * 100
    compare(c, "nvfp4-awq", t, mo_config("NVFP4_AWQ", group_size=16), want * t["m.pre_quant_scale"])


def mo_int4(scratch):
    """Two rows in a byte, the even one low; codes from -8 to 7."""
    c = case.Case(scratch)
    for pre in (False, True):
        t = {"m.weight": octets(c, N // 2, K), "m.weight_scale": scales(c, N, K // 128, dtype=np.float32)}
        codes = np.stack([t["m.weight"] & 15, t["m.weight"] >> 4], axis=1).reshape(N, K).astype(np.float32)
        want = np.where(codes > 7, codes - 16, codes) * by_group(t["m.weight_scale"], 128)
        if pre:
            t["m.pre_quant_scale"] = scales(c, K, dtype=np.float32) * 100
            want = want * t["m.pre_quant_scale"]
        compare(c, f"int4-{pre}", t, mo_config("W4A16_AWQ", group_size=128), want)


def mo_floats(scratch):
    c = case.Case(scratch)
    t = {"m.weight": fp8(c, N, K), "m.weight_scale": np.array(0.0123, np.float32)}
    compare(c, "fp8", t, mo_config("FP8"), t["m.weight"].astype(np.float32) * t["m.weight_scale"])
    t = {"m.weight": fp8(c, N, K), "m.weight_scale": exponents(c, N, K // 32)}
    power = by_group(t["m.weight_scale"].view(E8M0).astype(np.float32), 32)
    compare(c, "mxfp8", t, mo_config("MXFP8", group_size=32), t["m.weight"].astype(np.float32) * power)
    t = {"m.weight": octets(c, N, K // 2), "m.weight_scale": t["m.weight_scale"].reshape(-1, 1)}
    compare(c, "mxfp4", t, mo_config("MXFP4", group_size=32), peer.E2M1[two(t["m.weight"])] * power)


peer.main(
    ("GPTQ: 2 to 8 bits, both zero points, act-order", gptq),
    ("AutoAWQ: GEMM and GEMV", awq),
    ("compressed-tensors: packed whole numbers", ct_pack_quantized),
    ("compressed-tensors: FP8 and INT8", ct_floats),
    ("compressed-tensors: NVFP4, MXFP4, MXFP6, MXFP8", ct_micro),
    ("ModelOpt: NVFP4", mo_nvfp4),
    ("ModelOpt: INT4", mo_int4),
    ("ModelOpt: FP8, MXFP8, MXFP4", mo_floats),
)
