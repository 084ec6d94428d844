# SPDX-License-Identifier: LGPL-2.1-or-later
"""Decodes files of deepcompressor and nunchaku in NumPy, from the recipes of their packers and in F64, and compares."""
import os

import numpy as np

import peer

GOLDEN = os.path.join(os.environ["QCONV_TEST_GOLDEN"], "nunchaku")
E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6])
SHIFT = 11 / 64


def undo(packed, view, permutation):
    """The inverse of array.reshape(view).transpose(permutation), which is how the packers write."""
    shape = [view[p] for p in permutation]
    return packed.reshape(shape).transpose(np.argsort(permutation))


def codes(t, n, k):
    words = np.frombuffer(t.tobytes(), "<u4")
    nibbles = (words[:, None] >> (4 * np.arange(8, dtype=np.uint32)) & 15).astype(np.int64)
    return undo(nibbles, (n // 128, 8, 2, 8, 1, k // 64, 1, 2, 4, 8), (0, 5, 6, 1, 3, 8, 2, 7, 4, 9)).reshape(n, k)


def numbers(t, n, groups=1):
    return undo(t.ravel(), (n // 128, 1, 8, 2, 4, 2, groups), (0, 6, 1, 2, 4, 3, 5)).reshape(n, groups)


def micro(t, n, k):
    return undo(t.ravel(), (n // 128, 1, 4, 4, 8, k // 64, 4), (0, 5, 1, 4, 3, 2, 6)).reshape(n, k // 16)


def factor(t, major, minor, down):
    """A matrix of [major, minor]; "lora_down" is that with ranks first, "lora_up" that with ranks last."""
    a, b = major // 16, minor // 16
    outer = (b, a) if down else (a, b)
    tiles = undo(t.ravel(), (*outer, 2, 8, 1, 2, 4, 2), (0, 1, 3, 6, 2, 5, 4, 7)).reshape(*outer, 16, 16)
    return tiles.transpose((1, 2, 0, 3) if down else (0, 2, 1, 3)).reshape(major, minor)


def svdq(get, shifted):
    """The weight of one layer, and its bias without the shift of the input."""
    n, k = get("qweight").shape[0], get("qweight").shape[1] * 2
    rank = get("lora_down").shape[1]
    wide = lambda t: t.astype(np.float64)
    c, fp4 = codes(get("qweight"), n, k), get("wscales").dtype.itemsize == 1
    if fp4:
        rest = E2M1[c] * np.repeat(wide(micro(get("wscales"), n, k)), 16, 1)
        rest *= wide(get("wtscale"))[0] if get("wtscale") is not None else 1
        rest *= wide(numbers(get("wcscales"), n)) if get("wcscales") is not None else 1
    else:
        rest = (c - 16 * (c > 7)) * np.repeat(wide(numbers(get("wscales"), n, k // 64)), 64, 1)
    rest = rest / wide(numbers(get("smooth"), k))[:, 0]
    low = wide(factor(get("lora_up"), n, rank, False)) @ wide(factor(get("lora_down"), rank, k, True))
    bias = wide(numbers(get("bias"), n))[:, 0]
    return rest + low, bias + (SHIFT * rest.sum(1) if shifted and not fp4 else 0)


def awq(get, chunks):
    n, k = get("qweight").shape[0] * 4, get("qweight").shape[1] * 2
    words = np.frombuffer(get("qweight").tobytes(), "<u2").reshape(n // 4, k // 64, 4, 16).transpose(0, 2, 1, 3)
    words = words.reshape(n, k // 32, 8)
    q = np.stack([words >> s & 15 for s in (0, 4, 8, 12)], 2).reshape(n, k)
    scale, zero = (np.repeat(get(x).astype(np.float64).T, 64, 1) for x in ("wscales", "wzeros"))
    order = lambda x: x.reshape(n // chunks, chunks, -1).transpose(1, 0, 2)
    bias = order(get("bias").astype(np.float64))
    bias[1::3] -= 1
    return order(q * scale + zero).reshape(n, k), bias.reshape(n)


def decode(layer, tensors):
    get = lambda member: tensors.get(f"{layer}.{member}")
    if get("qweight").dtype == np.int32:
        return awq(get, 3 if layer.endswith(".norm.linear") else 6)
    return svdq(get, layer.endswith("fc2"))


def check(name):
    def compare(scratch):
        path, out = os.path.join(GOLDEN, name), os.path.join(scratch, "out.safetensors")
        peer.qconv("--to", "f32-safetensors", "--names", "keep", path, out)
        tensors, plain, worst = peer.read_safetensors(path), peer.read_safetensors(out), 0.0
        layers = [key[:-len(".qweight")] for key in tensors if key.endswith(".qweight")]
        assert len(layers) == 15
        for layer in layers:
            for leaf, want in zip(("weight", "bias"), decode(layer, tensors)):
                if leaf == "bias" and layer.endswith("single_transformer_blocks.0.out_proj"):
                    assert not want.any() and f"{layer}.{leaf}" not in plain
                    continue
                got = plain[f"{layer}.{leaf}"].astype(np.float64)
                assert got.shape == want.shape, f"{layer}.{leaf}: {got.shape}"
                error = np.abs(got - want).max() / max(np.abs(want).max(), 1e-3)
                assert error < 1e-6, f"{layer}.{leaf}: {error}"
                worst = max(worst, error)
        print(f"# {name}: largest difference {worst:.1e} of the largest weight")
    return compare


peer.main(*[(name, check(f"flux-tiny-{name}-r32.safetensors")) for name in ("int4", "fp4")])
