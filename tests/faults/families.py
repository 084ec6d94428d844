# SPDX-License-Identifier: LGPL-2.1-or-later
"""Families for the tests of faults."""
import os


def without_families(folder):
    """Makes programs read no family but the generic one: the model is of none, and they start faster."""
    installed = os.environ["QCONV_DATA_PATH"]
    os.makedirs(os.path.join(folder, "families"))
    for name in ("families/generic.json", "lora"):
        os.symlink(os.path.join(installed, name), os.path.join(folder, name))
    os.environ["QCONV_DATA_PATH"] = folder
