# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shared by the peer tests: prints TAP, runs qconv, reads tensors, decodes NVFP4."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

import ml_dtypes
import numpy as np

QCONV = os.environ["QCONV_PROGRAM"]
MAKE_MODEL = os.environ["QCONV_MAKE_MODEL"]

DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2, "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}


def run(*arguments):
    """Runs a program and returns its standard output. Raises an error with its messages if it fails."""
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def qconv(*arguments):
    return run(QCONV, *arguments)


def make_model(*arguments):
    return run(MAKE_MODEL, *arguments)


def read_safetensors(path):
    """Every tensor of a file, by the layout's definition; the package lacks NumPy types for some dtypes."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*t["data_offsets"])], DTYPES[t["dtype"]]).reshape(t["shape"])
        for name, t in header.items()
    }


def write_safetensors(path, tensors):
    """The counterpart, for dtypes that the package cannot take from NumPy."""
    names = {np.dtype(t): name for name, t in DTYPES.items()}
    header, offset = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(array.tobytes())


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def unswizzle(scales, rows, groups):
    """Block scales of 128 x 4 tiles back to rows."""
    r, c = np.meshgrid(np.arange(rows), np.arange(groups), indexing="ij")
    tile = (r // 128) * (scales.shape[1] // 4) + c // 4
    return scales.reshape(-1)[tile * 512 + (r % 32) * 16 + (r % 128) // 32 * 4 + c % 4]


def decode_nvfp4(tensors, layer, shape):
    """Values of one layer of a ComfyUI checkpoint, in F32; padding must decode to zero."""
    packed = tensors[layer + ".weight"]
    codes = np.stack([packed >> 4, packed & 15], axis=2).reshape(packed.shape[0], -1)
    scales = tensors[layer + ".weight_scale"].view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    scales = unswizzle(scales, codes.shape[0], codes.shape[1] // 16)
    total = scales * tensors[layer + ".weight_scale_2"].astype(np.float32)
    values = E2M1[codes] * np.repeat(total, 16, axis=1)
    rows, cols = shape
    if values[rows:].any() or values[:, cols:].any():
        raise AssertionError(f"{layer}: the padding is not zero")
    return values[:rows, :cols]


def same_bits(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def relative_error(want, got):
    want, got = want.astype(np.float64), got.astype(np.float64)
    total = (want * want).sum()
    return ((want - got) ** 2).sum() / total if total else 0.0


def main(*tests):
    """Runs functions that take a scratch folder; a returned text is the reason of a skip."""
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, test) in enumerate(tests, 1):
        scratch = tempfile.mkdtemp(prefix="qconv-peer-")
        try:
            reason = test(scratch)
            print(f"ok {number} - {name}" + (f" # SKIP {reason}" if reason else ""))
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
        finally:
            shutil.rmtree(scratch)
    sys.exit(1 if failed else 0)
