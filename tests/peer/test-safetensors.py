# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of the safetensors package go through unchanged, and floats are cast as NumPy casts them."""
import os

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

import peer


def random_bytes(dtype, shape, seed):
    random = np.random.default_rng(seed)
    if dtype == np.bool_:
        return np.asarray(random.random(shape) < 0.5)
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        return np.asarray(random.integers(info.min, info.max, shape, dtype, endpoint=True), dtype)
    # The error per layer is part of the report: widths that F16 and FP8 can hold
    return np.asarray(random.standard_normal(shape)).astype(dtype)


def arrays(dtypes):
    made = {}
    for seed, (name, dtype) in enumerate(dtypes.items()):
        made[f"{name}.matrix"] = random_bytes(dtype, (48, 64), seed)
        made[f"{name}.vector"] = random_bytes(dtype, (7,), seed + 100)
        made[f"{name}.scalar"] = random_bytes(dtype, (), seed + 200)
        made[f"{name}.empty"] = np.zeros((0, 3), dtype)
    return made


def copy_package_file(scratch):
    dtypes = {name: t for name, t in peer.DTYPES.items() if np.dtype(t).kind in "fiub" and np.dtype(t).isbuiltin == 1}
    made = arrays(dtypes)
    source, out = os.path.join(scratch, "in.safetensors"), os.path.join(scratch, "out.safetensors")
    save_file(made, source, metadata={"format": "pt", "note": "kept"})
    peer.qconv("--to", "copy-safetensors", source, out)
    got = load_file(out)
    assert set(got) == set(made)
    for name, array in made.items():
        assert peer.same_bits(got[name], array), name
    with safetensors.safe_open(out, "numpy") as file:
        assert file.metadata()["note"] == "kept"


def copy_all_types(scratch):
    made = arrays(peer.DTYPES)
    source, out = os.path.join(scratch, "in.safetensors"), os.path.join(scratch, "out.safetensors")
    peer.write_safetensors(source, made)
    peer.qconv("--to", "copy-safetensors", source, out)
    got = peer.read_safetensors(out)
    assert set(got) == set(made)
    for name, array in made.items():
        assert peer.same_bits(got[name], array), name
    with open(out, "rb") as file:
        safetensors.deserialize(file.read())


def cast(target):
    def check(scratch):
        floats = {name: peer.DTYPES[name] for name in ("F64", "F32", "F16", "BF16")}
        others = {name: peer.DTYPES[name] for name in ("I32", "U8", "BOOL")}
        made = arrays({**floats, **others})
        source, out = os.path.join(scratch, "in.safetensors"), os.path.join(scratch, "out.safetensors")
        peer.write_safetensors(source, made)
        peer.qconv("--to", target.lower() + "-safetensors", source, out)
        got = peer.read_safetensors(out)
        for name, array in made.items():
            want = array
            if name.split(".")[0] in floats:
                # F64 goes by way of F32, the numbers that qconv calculates with
                want = array.astype(np.float32).astype(peer.DTYPES[target])
            assert peer.same_bits(got[name], want), name
    return check


peer.main(("copy a file of the package", copy_package_file), ("copy every dtype", copy_all_types),
          *[(f"cast to {target}", cast(target)) for target in ("F32", "F16", "BF16")])
