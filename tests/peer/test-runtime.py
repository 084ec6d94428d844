# SPDX-License-Identifier: LGPL-2.1-or-later
"""ComfyUI's own kernels decode our default NVFP4 file to the errors that qconv reports; large packages, run by hand."""
import json
import os

import numpy as np
import torch
import comfy_kitchen

import peer


def kernels_agree(scratch):
    source, out = os.path.join(scratch, "in.safetensors"), os.path.join(scratch, "out.safetensors")
    peer.make_model("--family", "wan", "--variant", "tiny-t2v", source)
    report = json.loads(peer.qconv("convert", "--to", "nvfp4-comfy", "--json", source, out))
    original, tensors = peer.read_safetensors(source), peer.read_safetensors(out)
    checked = 0
    for layer in report["layers"]:
        if layer["scheme"] != "nvfp4":
            continue
        name = layer["name"]
        want = original[name + ".weight"].astype(np.float32)
        scales = torch.from_numpy(tensors[name + ".weight_scale"].view(np.uint8).copy()).view(torch.float8_e4m3fn)
        got = comfy_kitchen.dequantize_nvfp4(torch.from_numpy(tensors[name + ".weight"].copy()),
                                             torch.tensor(tensors[name + ".weight_scale_2"]), scales,
                                             output_type=torch.float32).numpy()[:want.shape[0], :want.shape[1]]
        ours = peer.decode_nvfp4(tensors, name, want.shape)
        assert np.array_equal(got, ours), f"{name}: the kernels decode otherwise"
        relmse = peer.relative_error(want, got)
        assert abs(relmse - layer["relmse"]) <= 1e-6 * relmse, f"{name}: {relmse}, {layer['relmse']} reported"
        checked += 1
    assert checked
    print(f"# {checked} layers, relative error of the last {relmse:.6f}")


peer.main(("comfy-kitchen", kernels_agree))
