# SPDX-License-Identifier: LGPL-2.1-or-later
"""Families for the tests of faults."""
import os


def without_families(folder, but="generic"):
    """Makes programs read no family but the generic one and @but: models are of no other, and programs start faster."""
    installed = os.environ["QCONV_DATA_PATH"]
    os.makedirs(os.path.join(folder, "families"))
    for name in ("lora", *sorted({"families/generic.json", f"families/{but}.json"})):
        os.symlink(os.path.join(installed, name), os.path.join(folder, name))
    os.environ["QCONV_DATA_PATH"] = folder
