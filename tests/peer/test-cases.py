# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people met, from public bug reports, as small inputs. A form that few write may be decoded or refused by its
name; an output with other values and exit status 0 is always wrong."""
import json
import os

import gguf
import ml_dtypes
import numpy as np

import peer
from case import Case, error

BF16, E4M3, E8M0 = ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e8m0fnu
LAYER = "model.layers.0.self_attn.q_proj."


# Rows of q and k in llama.cpp's order

LLAMA_CPP = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
}
HEAD = 128


def llama_cpp_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem in LLAMA_CPP:
        return f"{LLAMA_CPP[stem]}.{kind}"
    _, _, block, part = stem.split(".", 3)
    return f"blk.{block}.{LLAMA_CPP[part]}.{kind}"


def write_llama_cpp(path, architecture, tensors):
    """Writes a model as llama.cpp's converter does where the rope is NORM: the halves of each head are interleaved."""
    writer = gguf.GGUFWriter(path, architecture)
    heads = {part: tensors[f"model.layers.0.self_attn.{part}_proj.weight"].shape[0] // HEAD for part in "qk"}
    writer.add_head_count(heads["q"])
    writer.add_head_count_kv(heads["k"])
    writer.add_key_length(HEAD)
    writer.add_rope_dimension_count(HEAD)
    writer.add_embedding_length(tensors["model.norm.weight"].shape[0])
    for name, tensor in tensors.items():
        rows = tensor.astype(np.float32)
        name = llama_cpp_name(name)
        for part, count in heads.items():
            if name.endswith(f"attn_{part}.weight"):
                rows = rows.reshape(count, 2, HEAD // 2, -1).swapaxes(1, 2).reshape(rows.shape)
        writer.add_tensor(name, np.ascontiguousarray(rows))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rows_of_llama_cpp(case, architecture):
    base = case.tensors("llm_dense", "tiny")
    write_llama_cpp(case.path("m.gguf"), architecture, base)
    plain = case.plain(case.converted("fp8-comfy", case.path("m.gguf")))
    for part in "qkvo":
        name = f"model.layers.0.self_attn.{part}_proj.weight"
        assert error(plain[name], base[name]) < 2e-3, f"{name} has other values"


def gguf_llama(case):
    rows_of_llama_cpp(case, "llama")


def gguf_mistral3(case):
    rows_of_llama_cpp(case, "mistral3")


def gguf_unlisted(case):
    """An architecture that nobody described: its order of rows is unknown, and the message says so."""
    base = case.tensors("llm_dense", "tiny")
    write_llama_cpp(case.path("m.gguf"), "somebody-new", base)
    case.convert("fp8-comfy", case.path("m.gguf"))
    case.must_refuse("somebody-new")


# Codes beside a scale

def fp8_beside(case, suffix, scale, expand):
    """Returns nothing if qconv decodes FP8 codes beside LAYER + suffix exactly, or refuses the file by that name."""
    codes = case.normal(256, 512, std=1).astype(E4M3)
    source = case.write({LAYER + "weight": codes, LAYER + suffix: scale, "model.norm.weight": np.ones(512, BF16)})
    out = case.convert("f32-safetensors", source)
    if case.status:
        case.must_refuse(suffix)
        return
    got = peer.read_safetensors(out)[LAYER + "weight"]
    assert error(got, codes.astype(np.float32) * expand(scale.astype(np.float32))) <= 1e-9, "other values"


def each_block(scale):
    return scale.repeat(128, 0).repeat(128, 1)


def fp8_weight_scale_inv(case):
    """The form of Qwen and DeepSeek is documented, so a refusal is no answer."""
    fp8_beside(case, "weight_scale_inv", case.random.uniform(.001, .01, (2, 4)).astype(np.float32), each_block)
    assert case.status == 0, case.err


def fp8_dot_scale_e8m0(case):
    fp8_beside(case, "scale", np.full((2, 4), 2.0 ** -7, np.float32).astype(E8M0), each_block)


def fp8_dot_scale_rows(case):
    fp8_beside(case, "scale", case.random.uniform(.001, .01, (256, 1)).astype(np.float32), lambda scale: scale)


def fp8_groups_of_columns(case):
    """One scale for each row and 64 columns is decoded, with few words."""
    tensors, want = {"scaled_fp8": np.zeros(2, E4M3)}, {}
    for name, tensor in case.tensors("wan", "tiny-t2v").items():
        if tensor.ndim != 2 or not name.startswith("blocks.") or not name.endswith(".weight"):
            tensors[name] = tensor
            continue
        groups = tensor.astype(np.float32).reshape(tensor.shape[0], -1, 64)
        scale = np.maximum(np.abs(groups).max(2, keepdims=True) / 448, 1e-8).astype(BF16)
        codes = (groups / scale.astype(np.float32)).clip(-448, 448).astype(E4M3)
        tensors[name] = codes.reshape(tensor.shape)
        tensors[name.removesuffix("weight") + "scale_weight"] = scale
        want[name] = (codes.astype(np.float32) * scale.astype(np.float32)).reshape(tensor.shape)
    got = case.plain(case.write(tensors))
    assert len(case.err.strip().splitlines()) <= 3, case.err
    for name, values in want.items():
        assert error(got[name], values) < 1e-9, name


def refused_as_packed(case, tensors, *words):
    source = case.write({**tensors, "model.norm.weight": np.ones(256, BF16)})
    case.convert("bf16-safetensors", source)
    case.must_refuse(*words)


def packed_gpt_oss(case):
    """Two FP4 codes a byte, the even column low, and a power of two for 32 columns (OpenAI gpt-oss: torch/weights.py)."""
    name = "model.layers.0.mlp.experts.gate_up_proj"
    codes = case.random.integers(0, 255, (2, 128, 8, 16)).astype(np.uint8)
    scales = case.random.integers(115, 125, (2, 128, 8)).astype(np.uint8)
    e2m1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6], np.float32)
    want = np.stack([e2m1[codes & 15], e2m1[codes >> 4]], -1).reshape(2, 128, 8, 32)
    want = (want * np.exp2(scales.astype(np.float32) - 127)[..., None]).reshape(2, 128, 256)
    out = case.convert("bf16-safetensors",
                       case.write({name + "_blocks": codes, name + "_scales": scales, "norm.weight": np.ones(256, BF16)}))
    assert case.status == 0, case.err
    got = peer.read_safetensors(out)[name]
    assert got.shape == want.shape and (got.astype(np.float32) == want).all(), "other values"


def packed_mlx(case):
    codes = case.random.integers(0, 2 ** 31, (256, 32)).astype(np.int32)
    scales, biases = case.normal(256, 4).astype(BF16), case.normal(256, 4).astype(BF16)
    refused_as_packed(case, {LAYER + "weight": codes, LAYER + "scales": scales, LAYER + "biases": biases},
                      "scales", "mlx")


# A text encoder in two files

VISION = {
    "norm1": "ln1", "norm2": "ln2", "attn.proj": "attn_out", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def vision_tensors(name, values):
    """Yields a tensor of the vision part as llama.cpp's converter stores it: q, k and v, and each frame, by itself."""
    stem, kind = name.removeprefix("visual.").rsplit(".", 1)
    if stem == "patch_embed.proj":
        yield "v.patch_embd.weight", values[:, :, 0]
        yield "v.patch_embd.weight.1", values[:, :, 1]
    elif stem.startswith("merger."):
        stem = "v.post_ln" if stem == "merger.ln_q" else stem.replace("merger.mlp", "mm")
        yield f"{stem}.{kind}", values
    else:
        _, block, part = stem.split(".", 2)
        if part != "attn.qkv":
            yield f"v.blk.{block}.{VISION[part]}.{kind}", values
            return
        for letter, rows in zip("qkv", np.split(values, 3)):
            yield f"v.blk.{block}.attn_{letter}.{kind}", rows


def write_gguf(path, architecture, tensors):
    writer = gguf.GGUFWriter(path, architecture)
    for name, values in tensors:
        writer.add_tensor(name, np.ascontiguousarray(values.astype(np.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def vision_file(case):
    """The vision part of Qwen2.5-VL lies beside its GGUF file: both become one encoder, without a changed number."""
    base = case.tensors("qwen2_5_vl", "tiny")
    text = [(llama_cpp_name(name), values) for name, values in base.items() if not name.startswith("visual.")]
    vision = [pair for name, values in base.items() if name.startswith("visual.")
              for pair in vision_tensors(name, values)]
    write_gguf(case.path("text-Q8_0.gguf"), "qwen2vl", text)
    write_gguf(case.path("text-mmproj-f16.gguf"), "clip", vision)
    out = case.converted("f32-safetensors", case.path("text-Q8_0.gguf"), "--names", "comfy")
    case.must_say("text-mmproj-f16.gguf")
    got = peer.read_safetensors(out)
    assert set(got) == set(base), sorted(set(got) ^ set(base))
    for name, values in base.items():
        assert peer.same_bits(got[name], values.astype(np.float32)), f"{name} has other values"
    case.write_bytes("other-mmproj-f32.gguf", b"")
    case.converted("f32-safetensors", case.path("text-Q8_0.gguf"), "--names", "comfy")
    case.must_say("several files", "other-mmproj-f32.gguf")


# Layers that are moved

def nf4_nested_swapped(case):
    """The naming exchanges the halves of a layer whose absmax is nested, so it is no matter of rows alone."""
    model = case.model("flux1", "tiny", "--naming=diffusers")
    nested = case.converted("nf4-bnb", model, "--names", "keep", "-o", "double-quant", "--only", r"norm_out\.linear",
                            output="nested.safetensors")
    want = case.plain(nested)["norm_out.linear.weight"]
    swapped = case.converted("nf4-bnb", nested, "--names", "comfy")
    got = case.plain(swapped)["final_layer.adaLN_modulation.1.weight"]
    half = want.shape[0] // 2
    assert error(got, np.concatenate([want[half:], want[:half]])) < 1e-4, "other values"


def kept_layers_stay_small(case):
    """Layers that the family keeps in a file of FP8 are no reason for a larger output."""
    tensors = {}
    for name, tensor in case.tensors("ltx2", "tiny", "--set=layers=6").items():
        tensors[name] = tensor
        if tensor.ndim == 2 and "blocks" in name and name.endswith(".weight") and min(tensor.shape) >= 256:
            values = tensor.astype(np.float32)
            scale = np.float32(max(np.abs(values).max(), 1e-6) / 448)
            tensors[name], tensors[name + "_scale"] = (values / scale).astype(E4M3), np.asarray(scale)
    source = case.write(tensors)
    out = case.converted("nvfp4-comfy", source)
    assert os.path.getsize(out) < os.path.getsize(source), f"{os.path.getsize(source)} -> {os.path.getsize(out)} bytes"


# LoRA

def lora_alpha_in_config(case):
    """PEFT keeps alpha beside the adapter: 32 at rank 8 is a factor of 4."""
    path = case.model("llm_dense", "tiny")
    name = LAYER + "weight"
    base = peer.read_safetensors(path)[name].astype(np.float64)
    down, up = case.normal(8, base.shape[1], std=.05), case.normal(base.shape[0], 8, std=.05)
    lora = case.write({f"base_model.model.{LAYER}lora_A.weight": down, f"base_model.model.{LAYER}lora_B.weight": up},
                      "peft/adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 8, "lora_alpha": 32, "target_modules": ["q_proj"]}
    case.write_bytes("peft/adapter_config.json", json.dumps(config).encode())
    out = case.converted("f32-safetensors", path, "--lora", lora)
    change, product = peer.read_safetensors(out)[name] - base, (up @ down).astype(np.float64)
    factor = (change * product).sum() / (product * product).sum()
    assert abs(factor - 4) < .01, f"factor {factor:.3g}"


def lora_of_another_width(case):
    path = case.model("wan", "tiny-t2v")
    good, bad = "blocks.0.self_attn.q", "blocks.1.self_attn.q"
    rows, cols = peer.read_safetensors(path)[good + ".weight"].shape
    tensors = {}
    for stem, width in ((good, cols), (bad, cols + 64)):
        tensors[f"diffusion_model.{stem}.lora_A.weight"] = case.normal(4, width)
        tensors[f"diffusion_model.{stem}.lora_B.weight"] = case.normal(rows, 4)
    lora = case.write(tensors, "lora.safetensors")
    case.convert("f32-safetensors", path, "--lora", lora)
    case.must_refuse(bad)
    case.converted("f32-safetensors", path, "--lora", lora, "--lora-partial")
    case.must_say(bad)


# Complete models, and parts of checkpoints

def missing_weight(case):
    tensors = case.tensors("wan", "tiny-t2v")
    del tensors["blocks.1.self_attn.q.weight"]
    source = case.write(tensors)
    case.convert("nvfp4-comfy", source)
    case.must_refuse("blocks.1.self_attn.q")
    case.run("verify", source)
    assert case.status == 4, f"verify: exit {case.status}"
    case.must_say("blocks.1.self_attn.q")


def in_checkpoint(tensors):
    return {"model.diffusion_model." + name: tensor for name, tensor in tensors.items()}


def component_vae(case):
    tensors = in_checkpoint(case.tensors("sd15", "tiny"))
    for name in ("decoder.conv_in.weight", "encoder.conv_in.weight"):
        tensors["first_stage_model." + name] = case.normal(32, 4, 3, 3)
    out = case.converted("f16-safetensors", case.write(tensors), "--component", "vae")
    assert "decoder.conv_in.weight" in peer.read_safetensors(out), sorted(peer.read_safetensors(out))


def prediction_markers(case):
    """Empty tensors that configure a loader go with the diffusion model."""
    tensors = in_checkpoint(case.tensors("sdxl", "tiny"))
    tensors["v_pred"] = tensors["ztsnr"] = np.zeros(0, np.float32)
    out = case.converted("fp8-comfy", case.write(tensors), "--component", "diffusion")
    assert {"v_pred", "ztsnr"} <= set(peer.read_safetensors(out))


def compiled_prefix(case):
    """The prefix of a compiled module is removed, and a weight whose shape the loader probes is never packed."""
    tensors = case.tensors("z_image", "tiny")
    out = case.converted("nvfp4-comfy", case.write({"_orig_mod." + name: t for name, t in tensors.items()}))
    probed = "cap_embedder.1.weight"
    assert peer.read_safetensors(out)[probed].shape == tensors[probed].shape


def nan_in_a_norm(case):
    tensors = case.tensors("wan", "tiny-t2v")
    name = next(name for name, tensor in tensors.items() if "norm" in name and tensor.ndim == 1)
    tensors[name] = tensors[name].astype(np.float32)
    tensors[name][0] = np.nan
    case.convert("fp8-comfy", case.write(tensors))
    case.must_refuse(name.removesuffix(".weight"))


# What is no model

def not_a_model(case):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
    kinds = {
        "pointer.safetensors": (pointer, "LFS"), "pointer.gguf": (pointer, "LFS"),
        "page.safetensors": (b"<!DOCTYPE html><html><body>not found</body></html>" * 9, "HTML"),
        "pickle.safetensors": (b"\x80\x02}q\x00(X\x06\x00\x00\x00weightq\x01K\x01u." * 9, "pickle"),
    }
    for name, (data, word) in kinds.items():
        case.run("inspect", case.write_bytes(name, data))
        assert case.status == 3, f"{name}: exit {case.status}"
        case.must_say(word)


def pipeline_folder(case):
    case.model("flux1", "tiny", "--naming=diffusers", name="pipe/transformer/diffusion_pytorch_model.safetensors")
    index = {"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"]}
    case.write_bytes("pipe/model_index.json", json.dumps(index).encode())
    case.run("--to", "nvfp4-comfy", "--dry-run", case.path("pipe"))
    if case.status:
        case.must_say("transformer")


def cache_stays_clean(case):
    """An output whose name nobody gave never lies in a managed cache of downloads."""
    hub = case.path("hub/models--a--b")
    snapshot = case.path("hub/models--a--b/snapshots/" + "0123456789" * 4)
    os.makedirs(snapshot)
    blob = case.model("wan", "tiny-t2v", name="hub/models--a--b/blobs/0a")
    os.symlink(os.path.relpath(blob, snapshot), os.path.join(snapshot, "m.safetensors"))
    before = sorted(os.walk(hub))
    case.run("--to", "fp8-comfy", os.path.join(snapshot, "m.safetensors"))
    assert sorted(os.walk(hub)) == before


# Words on the command line

def repeated_patterns(case):
    """--keep given twice counts twice."""
    model = case.model("wan", "tiny-t2v")
    case.run("--to", "nvfp4-comfy", "--dry-run", "--keep", "self_attn", "--keep", "cross_attn", model)
    line = next(line for line in case.out.splitlines() if line.startswith("blocks.0.self_attn.q "))
    assert "keep" in line, line


def target_without_writer(case):
    case.run("--to", "nvfp4", case.model("wan", "tiny-t2v"))
    assert case.status == 2
    case.must_say("nvfp4-comfy")


def output_by_option(case):
    case.run("--to", "nvfp4-comfy", "-o", "out.safetensors", case.model("wan", "tiny-t2v"))
    assert case.status == 2
    case.must_say("second")


CASES = [
    gguf_llama, gguf_mistral3, gguf_unlisted, fp8_weight_scale_inv, fp8_dot_scale_e8m0, fp8_dot_scale_rows,
    fp8_groups_of_columns, packed_gpt_oss, packed_mlx, vision_file, nf4_nested_swapped, kept_layers_stay_small,
    lora_alpha_in_config, lora_of_another_width, missing_weight, component_vae, prediction_markers, compiled_prefix,
    nan_in_a_norm, not_a_model, pipeline_folder, cache_stays_clean, repeated_patterns, target_without_writer,
    output_by_option,
]
peer.main(*[(case.__name__, lambda folder, case=case: case(Case(folder))) for case in CASES])
