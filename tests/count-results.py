#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: count-results.py LOG.json...

Adds up what `meson test` logged: the cases of TAP programs, other programs as one case each. Prints what failed or was
skipped, then the line 'N passed, N failed, N skipped'. Fails on a failure, a missing or empty log, or no passed case.
"""
import json
import re
import sys

CASE = re.compile(r"^(ok|not ok)\b[ \d]*-?\s*(.*?)\s*(?:#\s*(SKIP)\b\s*(.*))?$", re.IGNORECASE)


def cases(test):
    """Yields (outcome, name, reason) of one test program."""
    failed = 0
    skipped = 0
    found = False
    for line in (test.get("stdout") or "").splitlines():
        match = CASE.match(line)
        if not match:
            continue
        found = True
        ok, name, directive, reason = match.groups()
        if directive and directive.upper() == "SKIP":
            skipped += 1
            yield "skipped", name, reason
        elif ok == "ok":
            yield "passed", name, ""
        else:
            failed += 1
            yield "failed", name, ""
    result = test["result"]
    if result in ("OK", "EXPECTEDFAIL"):
        if not found:
            yield "passed", "", ""
    elif result == "SKIP":
        if not skipped:
            lines = (test.get("stdout") or "").strip().splitlines()
            yield "skipped", "", lines[-1] if lines else "no reason given"
    elif not failed:
        yield "failed", "", result


def main(paths):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for path in paths:
        try:
            with open(path, encoding="utf-8") as log:
                tests = [json.loads(line) for line in log if line.strip()]
        except (OSError, ValueError) as error:
            print(f"{path}: {error}")
            tests = []
        if not tests:
            print(f"{path}: no test ran")
            count["failed"] += 1
        for test in tests:
            for outcome, name, reason in cases(test):
                count[outcome] += 1
                if outcome != "passed":
                    print(f"{outcome}: {test['name']} {name} {reason}".rstrip())
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return 0 if paths and count["passed"] and not count["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
