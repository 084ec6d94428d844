# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: test-generator.py MAKE_MODEL FAMILIES

Checks that the generator's output depends only on its options, that weights are the same in every naming, and that memory
and disk stay within bounds.
"""
import glob
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter

MAKE_MODEL, FAMILIES = sys.argv[1:3]
LAYERS = ("--layers", "2", "--rows", "8", "--cols", "64")
TINY_WAN = ("--family", os.path.join(FAMILIES, "wan.json"), "--variant", "tiny-t2v")
# The other tests are built on these bytes: a change here changes what they expect
DIGESTS = {
    LAYERS: "4c4c304d7fe58356c20a43a3c0bd9353",
    LAYERS + ("--format", "gguf", "--type", "nvfp4"): "d70a1f5f53e8499833d3a4a2340744b3",
    TINY_WAN: "481b419324b393d68ae56b7dacad7060",
    TINY_WAN + ("--format", "gguf", "--type", "q8_0"): "edad69a882392a35ad48b894640300b3",
}


def generate(path, *arguments):
    subprocess.run([MAKE_MODEL, *arguments, path], check=True)
    return path


def content(path):
    with open(path, "rb") as file:
        return file.read()


def family_of(name):
    with open(os.path.join(FAMILIES, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def header_of(data):
    return json.loads(data[8:8 + int.from_bytes(data[:8], "little")])


def load(path):
    """name -> (shape, bytes)"""
    data = content(path)
    header = header_of(data)
    header.pop("__metadata__")
    start = 8 + int.from_bytes(data[:8], "little")
    return {name: (t["shape"], data[start + t["data_offsets"][0]:start + t["data_offsets"][1]])
            for name, t in header.items()}


def rows(tensor):
    shape, data = tensor
    n = len(data) // shape[0]
    return [data[i * n:(i + 1) * n] for i in range(shape[0])]


def make_tiny(folder, family, *arguments, variant="tiny"):
    return load(generate(os.path.join(folder, "model"), "--family", os.path.join(FAMILIES, family + ".json"),
                         "--variant", variant, *arguments))


def check_bytes(folder):
    def make(*arguments):
        return content(generate(os.path.join(folder, "model"), *LAYERS, *arguments))
    assert make() == make("--seed", "1"), "one seed gave different bytes in two runs"
    assert make() != make("--seed", "2"), "two seeds gave the same bytes"
    assert make("--type", "f32") != make()
    for arguments, digest in DIGESTS.items():
        data = content(generate(os.path.join(folder, "model"), *arguments))
        assert hashlib.sha256(data).hexdigest()[:32] == digest, f"the bytes changed: {arguments}"


def join_columns(tensors, left, right):
    """Puts the tensors of single blocks that end in @right beside those that end in @left."""
    names = [n for n in tensors if n.startswith("single_transformer_blocks.") and n.endswith("." + left)]
    assert names
    for name in names:
        beside = tensors.pop(name[:-len(left)] + right)
        tensors[name] = (tensors[name][0], b"".join(a + b for a, b in zip(rows(tensors[name]), rows(beside))))


def check_naming(family, naming, variant, folder):
    """Renaming loses, changes or doubles no row."""
    def count(tensors):
        counter = Counter()
        for shape, data in tensors.values():
            counter.update(rows((shape, data)) if shape else [data])
        return counter
    ours = make_tiny(folder, family, variant=variant)
    theirs = make_tiny(folder, family, "--naming", naming, variant=variant)
    if family == "clip_text":
        ours.pop("text_projection.weight")
        theirs.pop("text_projection")
    if family == "gemma":  # llama.cpp's norms are larger by one
        ours, theirs = ({name: t for name, t in of.items() if "norm" not in name} for of in (ours, theirs))
    if (family, naming) == ("flux1", "nunchaku"):  # two layers are the columns of one
        join_columns(theirs, "out_proj.weight", "mlp_fc2.weight")
    assert count(ours) == count(theirs)
    assert set(ours) != set(theirs) or family == "qwen_image"


def check_flux(folder):
    ours, theirs = make_tiny(folder, "flux1"), make_tiny(folder, "flux1", "--naming", "diffusers")
    single = "single_transformer_blocks.1."
    for leaf in ("weight", "bias"):
        parts = [theirs[f"transformer_blocks.0.attn.add_{x}_proj.{leaf}"][1] for x in "qkv"]
        assert ours[f"double_blocks.0.txt_attn.qkv.{leaf}"][1] == b"".join(parts)
        parts = [theirs[f"{single}{x}.{leaf}"][1] for x in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")]
        assert ours[f"single_blocks.1.linear1.{leaf}"][1] == b"".join(parts)
        data = theirs[f"norm_out.linear.{leaf}"][1]
        half = len(data) // 2
        assert ours[f"final_layer.adaLN_modulation.1.{leaf}"][1] == data[half:] + data[:half]


def check_llama(folder):
    ours, theirs = make_tiny(folder, "llm_dense"), make_tiny(folder, "llm_dense", "--naming", "llama.cpp")
    plain = make_tiny(folder, "llm_dense", "--naming", "llama.cpp", "--arch", "qwen3")
    name, d = "model.layers.1.self_attn.q_proj.weight", 128
    original, permuted = rows(ours[name]), rows(theirs["blk.1.attn_q.weight"])
    for i, row in enumerate(original):
        h, s, j = i // d, i % d // (d // 2), i % (d // 2)
        assert row == permuted[h * d + 2 * j + s]
    assert ours[name][1] == plain["blk.1.attn_q.weight"][1]
    assert ours["model.layers.1.self_attn.v_proj.weight"][1] == theirs["blk.1.attn_v.weight"][1]
    gguf = content(generate(os.path.join(folder, "model"), "--family", os.path.join(FAMILIES, "llm_dense.json"),
                            "--variant", "tiny", "--naming", "llama.cpp", "--format", "gguf", "--type", "f32"))
    assert b"blk.1.attn_q.weight" in gguf and b"model.layers" not in gguf and b"llama" in gguf


def check_clip(folder):
    ours, theirs = make_tiny(folder, "clip_text"), make_tiny(folder, "clip_text", "--naming", "open_clip")
    name = "text_model.encoder.layers.1.self_attn.{}_proj.weight"
    assert theirs["transformer.resblocks.1.attn.in_proj_weight"][1] == b"".join(ours[name.format(x)][1] for x in "qkv")
    shape, data = ours["text_projection.weight"]
    width = shape[1]
    assert theirs["text_projection"][1] == b"".join(
        data[2 * (r * width + c):2 * (r * width + c) + 2] for c in range(width) for r in range(shape[0]))


def check_sets(folder):
    plain, prefixed = make_tiny(folder, "flux1"), make_tiny(folder, "flux1", "--prefix", "model.diffusion_model.")
    assert {"model.diffusion_model." + name: t for name, t in plain.items()} == prefixed
    one = make_tiny(folder, "flux1", "--set", "depth_double=1", "--set", "depth_single=0", "--set", "guidance=0")
    assert one.keys() < plain.keys() and all(plain[name] == t for name, t in one.items())
    for wrong in ("depth=1", "depth_double", "depth_double=-1", "depth_double=x", "hidden=9223372036854775807"):
        done = subprocess.run([MAKE_MODEL, *TINY_WAN[:1], os.path.join(FAMILIES, "flux1.json"), "--variant", "tiny",
                               "--set", wrong, os.path.join(folder, "never")], capture_output=True, check=False)
        assert done.returncode == 1 and done.stderr, wrong
        assert not os.path.exists(os.path.join(folder, "never"))


def check_config(folder):
    for variant, member in (("2.3-22b", ("header_config",)), ("tiny", ("loader_reduced", "config"))):
        path = generate(os.path.join(folder, "model"), "--family", os.path.join(FAMILIES, "ltx2.json"), "--variant",
                        variant, "--sparse")
        with open(path, "rb") as file:
            size = file.read(8)
            header = header_of(size + file.read(int.from_bytes(size, "little")))
        want = family_of("ltx2")["variants"][variant]
        for name in member:
            want = want[name]
        assert json.loads(header["__metadata__"]["config"]) == {"transformer": want}
        os.remove(path)


def check_sparse(folder):
    def size(path):
        return os.stat(path).st_size, os.stat(path).st_blocks * 512
    full, hole = os.path.join(folder, "full"), os.path.join(folder, "hole")
    for form in ((), ("--format", "gguf", "--type", "q8_0")):
        a = content(generate(full, *TINY_WAN, *form))
        b = content(generate(hole, *TINY_WAN, *form, "--sparse"))
        header = len(os.path.commonprefix([a, b]))
        assert len(a) == len(b) and header > 1000 and not b[header:].strip(b"\0")
    generate(hole, "--family", TINY_WAN[1], "--variant", "2.1-t2v-14b", "--sparse")
    params = family_of("wan")["variants"]["2.1-t2v-14b"]["params"]
    assert size(hole)[0] > 2 * params and size(hole)[1] < 1 << 20, size(hole)
    os.remove(hole)


def check_memory(folder):
    """A model of 128 MiB takes less than 64 MiB of memory."""
    path = os.path.join(folder, "large")
    # The peak of a process includes what its parent had at the fork, so the parent must be small
    script = ("import os, sys; pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]);"
              "status, used = os.wait4(pid, 0)[1:]; print(used.ru_maxrss); sys.exit(status != 0)")
    done = subprocess.run([sys.executable, "-S", "-c", script, MAKE_MODEL, "--layers", "4", "--rows", "4096", "--cols",
                           "4096", path], capture_output=True, text=True, check=True)
    assert os.path.getsize(path) > 128 << 20
    assert int(done.stdout) < 64 << 10, f"{done.stdout.strip()} KiB"
    os.remove(path)


def check_list(folder):
    for name in ("flux1", "wan"):
        for variant, about in family_of(name)["variants"].items():
            text = content(generate(os.path.join(folder, "list"), "--family", os.path.join(FAMILIES, name + ".json"),
                                    "--variant", variant, "--format", "list")).decode()
            shapes = [line.split("\t")[1] for line in text.splitlines()]
            items = sum(math.prod(int(n) for n in shape.split("x") if n) for shape in shapes)
            assert (len(shapes), items) == (about["tensors"], about["params"]), variant


def naming_cases():
    """Yields the smallest variant of each family with another naming, unless it is large."""
    for path in sorted(glob.glob(os.path.join(FAMILIES, "*.json"))):
        family = family_of(os.path.basename(path)[:-len(".json")])
        for keymap in family.get("keymaps", []):
            usable = [v for v in family["variants"] if v not in keymap.get("except_variants", [])]
            variant = min(usable, key=lambda v: family["variants"][v]["params"])
            if family["variants"][variant]["params"] < 30_000_000:
                yield family["family"], keymap["b"], variant


def main():
    cases = [("bytes", check_bytes), ("flux", check_flux), ("llama", check_llama), ("clip", check_clip),
             ("sets", check_sets), ("config", check_config), ("sparse", check_sparse), ("memory", check_memory),
             ("list", check_list)]
    namings = [(f"naming {family} {naming} {variant}",
                lambda folder, c=(family, naming, variant): check_naming(*c, folder))
               for family, naming, variant in naming_cases()]
    assert len(namings) >= 10, "too few families have another naming"
    cases += namings
    failed = 0
    print(f"1..{len(cases)}")
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, check) in enumerate(cases, 1):
            try:
                check(folder)
                print(f"ok {number} - {title}", flush=True)
            except (AssertionError, KeyError, subprocess.CalledProcessError) as error:
                failed += 1
                print(f"not ok {number} - {title}\n# {type(error).__name__} {error}", flush=True)
    sys.exit(1 if failed else 0)


main()
