#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: count-results.py [--failed STEPS] LOG.json...

Adds up what `meson test` logged; tests/run.sh calls it at the end. A TAP program counts as its cases, another program
as one case. Prints what was skipped, then what failed with the path of its log, then the line
'N passed, N failed, N skipped'. --failed gives the steps that failed and are no tests, such as a build, one a line.
Exits with 1 after a failure, a missing or empty log, or if no case passed.
"""
import argparse
import json
import os
import re
import sys

CASE = re.compile(r"^(ok|not ok)\b[ \d]*-?\s*(.*?)\s*(?:#\s*(SKIP)\b\s*(.*))?$", re.IGNORECASE)
# Lines that say what went wrong: of GLib's tests, of sanitizers and valgrind, of Python
REASON = re.compile(r"(^#?\s*(\S+:)?(ERROR|CRITICAL|Bail out!).*|.*(ERROR: \w+Sanitizer|runtime error:|AssertionError).*)")


def reason_of(test, result):
    """Returns meson's result, and the first line of the output that says why."""
    for text in (test.get("stderr"), test.get("stdout")):
        for line in (text or "").splitlines():
            if REASON.match(line):
                return f"{result}: {line.strip('# ')}"
    return result


def cases(test):
    """Yields (outcome, name, reason) for each case of one test program."""
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
            yield "failed", name, reason_of(test, "FAIL")
    result = test["result"]
    if result in ("OK", "EXPECTEDFAIL"):
        if not found:
            yield "passed", "", ""
    elif result == "SKIP":
        if not skipped:
            lines = (test.get("stdout") or "").strip().splitlines()
            yield "skipped", "", lines[-1] if lines else "no reason given"
    elif not failed:
        yield "failed", "", reason_of(test, result)


def read_log(path):
    """Returns (tests, error); one of them is empty."""
    try:
        with open(path, encoding="utf-8") as log:
            tests = [json.loads(line) for line in log if line.strip()]
    except (OSError, ValueError) as error:
        return [], str(error)
    return tests, "" if tests else f"no test ran, says {path}"


def main(arguments):
    parser = argparse.ArgumentParser(usage="count-results.py [--failed STEPS] LOG.json...")
    parser.add_argument("--failed", default="", metavar="STEPS")
    parser.add_argument("logs", nargs="*")
    options = parser.parse_args(arguments)
    count = {"passed": 0, "failed": 0, "skipped": 0}
    steps = options.failed.splitlines()
    lines = {"passed": [], "failed": [f"failed: {step}" for step in steps], "skipped": []}
    count["failed"] = len(steps)
    for path in options.logs:
        tests, error = read_log(path)
        if error:
            count["failed"] += 1
            lines["failed"].append(f"failed: {error}")
        for test in tests:
            for outcome, name, reason in cases(test):
                count[outcome] += 1
                line = f"{outcome}: {test['name']} {name}".rstrip() + (f": {reason}" if reason else "")
                if outcome == "failed":
                    line += f" (log: {os.path.splitext(path)[0]}.txt)"
                lines[outcome].append(line)
    for line in lines["skipped"] + lines["failed"]:
        print(line)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return 0 if count["passed"] and not count["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
