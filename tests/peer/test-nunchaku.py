# SPDX-License-Identifier: LGPL-2.1-or-later
"""Decodes files of deepcompressor and nunchaku in NumPy, from the recipes of their packers and in F64, and compares;
files that qconv writes, too. Packs small models in the same way, and compares what qconv makes of them with the models."""
import os
import re

import ml_dtypes
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
    if get("bias") is None:
        return rest + low, None
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


OTHER_SPELLING = {"lora_down": "proj_down", "lora_up": "proj_up", "smooth": "smooth_factor"}
SHIFTED = re.compile(r"mlp_(context_)?fc2$|(img|txt)_mlp\.net\.2$")


def decode(layer, tensors):
    get = lambda member: tensors.get(f"{layer}.{member}", tensors.get(f"{layer}.{OTHER_SPELLING.get(member)}"))
    if get("qweight").dtype == np.int32:
        return awq(get, 3 if layer.endswith(".norm.linear") else 6)
    return svdq(get, SHIFTED.search(layer))


def compare_decoded(path, scratch):
    """Compares what qconv makes of a file with what this program does. Returns the decoded weights and biases."""
    out = os.path.join(scratch, "out.safetensors")
    peer.qconv("--to", "f32-safetensors", "--names", "keep", "--force", path, out)
    tensors, plain, worst, decoded = peer.read_safetensors(path), peer.read_safetensors(out), 0.0, {}
    for layer in [key[:-len(".qweight")] for key in tensors if key.endswith(".qweight")]:
        for leaf, want in zip(("weight", "bias"), decode(layer, tensors)):
            if leaf == "bias" and re.search(r"single_transformer_blocks\.\d+\.out_proj$", layer):
                assert not want.any() and f"{layer}.{leaf}" not in plain
                continue
            if leaf == "bias" and want is None:
                continue
            got = plain[f"{layer}.{leaf}"].astype(np.float64)
            assert got.shape == want.shape, f"{layer}.{leaf}: {got.shape}"
            error = np.abs(got - want).max() / max(np.abs(want).max(), 1e-3)
            assert error < 1e-6, f"{layer}.{leaf}: {error}"
            worst = max(worst, error)
            decoded[f"{layer}.{leaf}"] = want
    print(f"# {os.path.basename(path)}: largest difference {worst:.1e} of the largest weight")
    return decoded


def check(name):
    def compare(scratch):
        path = os.path.join(GOLDEN, name)
        if not os.path.exists(path):
            return "the complete files are too large for this repository; QCONV_TEST_GOLDEN may name a folder with them"
        assert len(compare_decoded(path, scratch)) == 2 * 15 - 1
        return None
    return compare


def written(family, layers):
    """Files that qconv writes, and a few of their layers beside the modules of the model that they are made of."""
    def compare(scratch):
        source = os.path.join(scratch, "source.safetensors")
        peer.make_model(f"--family={family}", "--variant=tiny", source)
        model = {key: t.astype(np.float64) for key, t in peer.read_safetensors(source).items()}
        for scheme in ("fp4", "int4"):
            path = os.path.join(scratch, scheme + ".safetensors")
            peer.qconv("--to", f"svdq-{scheme}-nunchaku", "-o", "rounds=1", source, path)
            decoded = compare_decoded(path, scratch)
            for layer, make in layers.items():
                want, got = make(model), decoded[layer]
                # biases with a 1 are rounded at its size
                limit = 0.012 if layer.endswith("weight") else 0.05
                assert ((got - want) ** 2).sum() <= limit * (want ** 2).sum(), f"{scheme} {layer}"
        return None
    return compare


FLUX = {
    "transformer_blocks.1.qkv_proj.weight": lambda m: m["double_blocks.1.img_attn.qkv.weight"],
    "transformer_blocks.0.norm1.linear.weight": lambda m: m["double_blocks.0.img_mod.lin.weight"],
    "transformer_blocks.0.norm1_context.linear.bias": lambda m: m["double_blocks.0.txt_mod.lin.bias"],
    "transformer_blocks.0.mlp_context_fc1.bias": lambda m: m["double_blocks.0.txt_mlp.0.bias"],
    "single_transformer_blocks.2.out_proj.weight": lambda m: m["single_blocks.2.linear2.weight"][:, :256],
    "single_transformer_blocks.2.mlp_fc2.weight": lambda m: m["single_blocks.2.linear2.weight"][:, 256:],
    "single_transformer_blocks.2.mlp_fc1.weight": lambda m: m["single_blocks.2.linear1.weight"][768:],
}
QWEN = {
    "transformer_blocks.0.attn.add_qkv_proj.weight": lambda m: np.concatenate(
        [m[f"transformer_blocks.0.attn.add_{x}_proj.weight"] for x in "qkv"]),
    "transformer_blocks.0.txt_mod.1.weight": lambda m: m["transformer_blocks.0.txt_mod.1.weight"],
    "transformer_blocks.0.img_mlp.net.0.proj.bias": lambda m: m["transformer_blocks.0.img_mlp.net.0.proj.bias"],
}
Z_IMAGE = {
    "layers.1.feed_forward.net.0.proj.weight": lambda m: np.concatenate(
        [m[f"layers.1.feed_forward.w{x}.weight"] for x in (3, 1)]),
    "noise_refiner.0.attention.to_qkv.weight": lambda m: m["noise_refiner.0.attention.qkv.weight"],
}
SDXL = {
    "mid_block.attentions.0.transformer_blocks.3.attn1.to_qkv.weight": lambda m: np.concatenate(
        [m[f"middle_block.1.transformer_blocks.3.attn1.to_{x}.weight"] for x in "qkv"]),
    "up_blocks.1.attentions.0.transformer_blocks.1.ff.net.2.bias": lambda m:
        m["output_blocks.3.1.transformer_blocks.1.ff.net.2.bias"],
}


BF16 = ml_dtypes.bfloat16
# Original names of modules -> nunchaku's; several original modules of one name are stacked in the order of this table
QWEN_W4A4 = [(r"attn\.to_[qkv]$", "attn.to_qkv"), (r"attn\.add_[qkv]_proj$", "attn.add_qkv_proj"),
             (r"attn\.(to_out\.0|to_add_out)$", r"attn.\1"), (r"(img|txt)_mlp\.net\.(0\.proj|2)$", r"\1_mlp.net.\2")]
QWEN_AWQ = r"(img|txt)_mod\.1$"
Z_IMAGE_W4A4 = [(r"attention\.qkv$", "attention.to_qkv"), (r"attention\.out$", "attention.to_out.0"),
                (r"feed_forward\.w3$", "feed_forward.net.0.proj"), (r"feed_forward\.w1$", "feed_forward.net.0.proj"),
                (r"feed_forward\.w2$", "feed_forward.net.2")]
# skip_refiners: the refiners stay plain, with q, k and v apart
Z_IMAGE_SKIP = [(r"^(layers.*)" + pattern, r"\1" + name) for pattern, name in Z_IMAGE_W4A4]
Z_IMAGE_PLAIN = [(r"attention\.([qk])_norm", r"attention.norm_\1"), (r"^x_embedder", "all_x_embedder.2-1"),
                 (r"^final_layer", "all_final_layer.2-1")]


def redo(array, view, permutation):
    return np.ascontiguousarray(array.reshape(view).transpose(permutation))


def pack_numbers(x):
    n, groups = x.shape
    return redo(x.astype(BF16), (n // 128, 1, 8, 2, 4, 2, groups), (0, 6, 1, 2, 4, 3, 5)).ravel()


def pack_w4a4(module, w, bias, shifted):
    """INT4, rounded, with a product of zeros. Returns the tensors and the weight that they hold."""
    n, k = w.shape
    scale = (np.abs(w.reshape(n, k // 64, 64)).max(2) / 7).astype(BF16)
    q = np.clip(np.rint(w / np.repeat(scale.astype(np.float32), 64, 1)), -7, 7).astype(np.int64)
    held = q * np.repeat(scale.astype(np.float64), 64, 1)
    nibbles = redo(q & 15, (n // 128, 8, 2, 8, 1, k // 64, 1, 2, 4, 8), (0, 5, 6, 1, 3, 8, 2, 7, 4, 9)).reshape(-1, 8)
    words = (nibbles << 4 * np.arange(8)).sum(1).astype("<u4")
    tensors = {
        "qweight": np.frombuffer(words.tobytes(), np.int8).reshape(n, k // 2),
        "wscales": pack_numbers(scale).reshape(k // 64, n),
        "smooth_factor": np.ones(k, BF16), "smooth_factor_orig": np.ones(k, BF16),
        "proj_down": np.zeros((k, 16), BF16), "proj_up": np.zeros((n, 16), BF16),
    }
    if bias is not None:
        bias = bias - (SHIFT * held.sum(1) if shifted else 0)
        tensors["bias"] = pack_numbers(bias[:, None])
    return {f"{module}.{name}": t for name, t in tensors.items()}, held


def pack_modulation(module, w, bias):
    n, k = w.shape
    low, high = w.reshape(n, k // 64, 64).min(2), w.reshape(n, k // 64, 64).max(2)
    scale, zero = ((high - low) / 15).astype(BF16), low.astype(BF16)
    wide = lambda x: np.repeat(x.astype(np.float64), 64, 1)
    q = np.clip(np.rint((w - wide(zero)) / wide(scale)), 0, 15).astype(np.int64)
    bias = bias.reshape(6, -1).copy()
    bias[[1, 4]] += 1
    order = lambda x: np.ascontiguousarray(x.reshape(6, n // 6, -1).transpose(1, 0, 2)).reshape(n, -1)
    words = (order(q).reshape(n, k // 32, 4, 8) << 4 * np.arange(4)[:, None]).sum(2).astype("<u2")
    words = redo(words, (n // 4, 4, k // 64, 16), (0, 2, 1, 3))
    tensors = {
        "qweight": np.frombuffer(words.tobytes(), "<i4").reshape(n // 4, k // 2),
        "wscales": np.ascontiguousarray(order(scale).T), "wzeros": np.ascontiguousarray(order(zero).T),
        "bias": order(bias).ravel().astype(BF16),
    }
    return {f"{module}.{name}": t for name, t in tensors.items()}, q * wide(scale) + wide(zero)


def pack_model(model, fused, modulation, plain):
    """Returns nunchaku's tensors of a model, and the weights that come back."""
    groups, packed, held = {}, {}, {}
    for pattern, name in fused:
        # "_r" puts k between q and v
        for key in sorted((key for key in model if key.endswith(".weight")), key=lambda key: key.replace("_k", "_r")):
            module = key[:-len(".weight")]
            if re.search(pattern, module) and re.match(r"(transformer_blocks|layers|\w+_refiner)\.", module):
                groups.setdefault(re.sub(pattern, name, module), []).append(module)
    for target, modules in groups.items():
        get = lambda leaf: [model[f"{m}.{leaf}"].astype(np.float32) for m in modules if f"{m}.{leaf}" in model]
        bias = np.concatenate(get("bias")) if get("bias") else None
        tensors, weight = pack_w4a4(target, np.concatenate(get("weight")), bias, target.endswith("_mlp.net.2"))
        packed.update(tensors)
        held.update(zip((f"{m}.weight" for m in modules), np.split(weight, len(modules))))
    done = {m for modules in groups.values() for m in modules}
    for key, tensor in model.items():
        module, _, leaf = key.rpartition(".")
        if modulation and re.search(modulation, module) and leaf == "weight":
            bias = model[f"{module}.bias"].astype(np.float32)
            tensors, held[key] = pack_modulation(module, tensor.astype(np.float32), bias)
            packed.update(tensors)
            done.add(module)
    for key, tensor in model.items():
        if key.rpartition(".")[0] in done:
            continue
        name = key
        for pattern, to in plain:
            name = re.sub(pattern, to, name)
        if ".attention.qkv." in name:
            packed.update({name.replace("qkv", "to_" + x): t for x, t in zip("qkv", np.split(tensor, 3))})
        elif ".w1." in name:
            pair = np.concatenate([model[key.replace(".w1.", ".w3.")], tensor])
            packed[name.replace(".w1.", ".net.0.proj.")] = pair
        elif ".w3." not in name:
            packed[name.replace(".w2.", ".net.2.").replace("attention.out", "attention.to_out.0")] = tensor
    return packed, held


def names(family, *tables):
    def compare(scratch):
        source, packed, out = (os.path.join(scratch, name + ".safetensors") for name in ("source", "packed", "out"))
        peer.make_model(f"--family={family}", "--variant=tiny", source)
        model = peer.read_safetensors(source)
        tensors, held = pack_model(model, *tables)
        peer.write_safetensors(packed, tensors)
        peer.qconv("--to", "f32-safetensors", "--names", "comfy", packed, out)
        got = peer.read_safetensors(out)
        assert set(got) == set(model), set(got) ^ set(model)
        assert len(held) > 10
        for key, tensor in got.items():
            want = held.get(key, model[key]).astype(np.float64)
            assert tensor.shape == want.shape, f"{key}: {tensor.shape}"
            # biases were rounded where they are larger
            most = 0.02 if key.endswith("bias") else 1e-6
            assert np.abs(tensor - want).max() <= most * max(np.abs(want).max(), 1), key
    return compare


peer.main(*[(name, check(f"flux-tiny-{name}-r32.safetensors")) for name in ("int4", "fp4")],
          ("written, FLUX.1", written("flux1", FLUX)), ("written, Qwen-Image", written("qwen_image", QWEN)),
          ("written, Z-Image", written("z_image", Z_IMAGE)), ("written, SDXL", written("sdxl", SDXL)),
          ("Qwen-Image", names("qwen_image", QWEN_W4A4, QWEN_AWQ, [])),
          ("Z-Image", names("z_image", Z_IMAGE_W4A4, None, Z_IMAGE_PLAIN)),
          ("Z-Image, plain refiners", names("z_image", Z_IMAGE_SKIP, None, Z_IMAGE_PLAIN)))
