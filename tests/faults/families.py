# SPDX-License-Identifier: LGPL-2.1-or-later
"""Families for the tests of faults."""
import os
import subprocess

# The family of the model for targets whose loaders know only models of families, and the sizes of a small one
FAMILY = "flux1"
SIZES = {"depth_double": 1, "depth_single": 1, "hidden": 128, "mlp": 512, "mlp1": 512}


def needs_family(target):
    return target.endswith("-nunchaku")


def make_family_model(make_model, path):
    sizes = [word for dim, n in SIZES.items() for word in ("--set", f"{dim}={n}")]
    subprocess.run([make_model, "--family", FAMILY, "--variant", "tiny", *sizes, path], check=True)


def without_families(folder):
    """Makes programs read no families but the generic one and FAMILY: they start faster."""
    installed = os.environ["QCONV_DATA_PATH"]
    os.makedirs(os.path.join(folder, "families"))
    for name in ("families/generic.json", f"families/{FAMILY}.json", "lora"):
        os.symlink(os.path.join(installed, name), os.path.join(folder, name))
    os.environ["QCONV_DATA_PATH"] = folder
