# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copies some layers of a safetensors file: cut-golden.py IN OUT PREFIX...  Tensors whose name is PREFIX.something stay."""
import json
import pathlib
import struct
import sys


def main():
    source, target, *prefixes = sys.argv[1:]
    data = pathlib.Path(source).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header, body, out = json.loads(data[8:8 + length]), data[8 + length:], bytearray()
    kept = {"__metadata__": header.pop("__metadata__")} if "__metadata__" in header else {}
    for name, tensor in header.items():
        if not any(name.startswith(prefix + ".") for prefix in prefixes):
            continue
        begin, end = tensor["data_offsets"]
        kept[name] = dict(tensor, data_offsets=[len(out), len(out) + end - begin])
        out += body[begin:end]
    text = json.dumps(kept, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(target).write_bytes(struct.pack("<Q", len(text)) + text + out)


main()
