#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""usage: check-abi.py [--update] SRCDIR LIBQCONV CC...
Compares what programs and modules are compiled with against the lists beside this file: exported symbols, offsets and
sizes of public structs, numbers of enums. --update rewrites the lists; the rules of core/qconv.h and
plugin-api/qconv-types.h then say which number rises."""
import difflib
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RULE = """Lines with + alone are additions, and so is a struct that core allocates and that grew at its end, or a member
that took room from reserved. Any other line with - breaks what was compiled before: core/qconv.h says when soversion
rises, plugin-api/qconv-types.h when QCONV_PLUGIN_ABI does. --update records a change that is meant."""


def read_headers(source):
    """Returns the text of the public headers without comments and preprocessor lines"""
    names = ["plugin-api/" + name for name in sorted(os.listdir(source + "/plugin-api")) if name.endswith(".h")]
    text = "\n".join(open(f"{source}/{name}", encoding="utf-8").read() for name in names + ["core/qconv-registry.h", "core/qconv.h"])
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r"^#(.*\\\n)*.*$", "", text, flags=re.M)


def find_members(body):
    members = []
    for declaration in filter(None, map(str.strip, body.split(";"))):
        function = re.search(r"\(\*\s*(\w+)\)\s*\(", declaration)
        if function:
            members.append(function[1])
        else:
            members += [re.search(r"(\w+)\s*(\[.*\])?$", word.strip())[1] for word in declaration.split(",")]
    return members


def find_structs(text):
    """Returns [(name, members)] in the order of the headers"""
    pattern = r"typedef struct \{([^{}]*)\} (\w+);|struct _(\w+) \{([^{}]*)\};"
    return [(m[2] or m[3], find_members(m[1] or m[4])) for m in re.finditer(pattern, text)]


def find_enumerators(text):
    bodies = re.findall(r"typedef enum \{([^{}]*)\}", text)
    return [word for body in bodies for word in re.findall(r"(?:^|,)\s*(QCONV_\w+)", body)]


def run_program(source, compiler, text):
    """Compiles a program that prints the lists; returns the size of a pointer and both lists"""
    program = ['#include "qconv.h"', "#include <stddef.h>", "#include <stdio.h>", "int main (void)", "{",
               'printf ("%zu\\n", sizeof (void *));']
    for name, members in find_structs(text):
        program.append(f'printf ("{name} %zu\\n", sizeof ({name}));')
        program += [f'printf ("{name}.{m} %zu %zu\\n", offsetof ({name}, {m}), sizeof ((({name} *) 0)->{m}));'
                    for m in members]
    program.append('puts ("numbers");')
    program += [f'printf ("{word} %d\\n", (int) {word});' for word in find_enumerators(text)]
    program += ["return 0;", "}"]
    flags = subprocess.run(["pkg-config", "--cflags", "gio-2.0", "gmodule-no-export-2.0"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.split()
    with tempfile.TemporaryDirectory() as scratch:
        with open(scratch + "/abi.c", "w", encoding="utf-8") as file:
            file.write("\n".join(program) + "\n")
        subprocess.run([*compiler, "-std=c17", f"-I{source}/plugin-api", f"-I{source}/core", *flags, scratch + "/abi.c",
                        "-o", scratch + "/abi"], check=True)
        lines = subprocess.run([scratch + "/abi"], check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
    middle = lines.index("numbers")
    return int(lines[0]), lines[1:middle], lines[middle + 1:]


def find_symbols(library):
    """Returns the soname and the exported symbols with their versions"""
    def read(option):
        return subprocess.run(["readelf", "-W", option, library], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.splitlines()

    soname = [line.split("[")[1].rstrip("]") for line in read("-d") if "(SONAME)" in line]
    rows = [line.split() for line in read("--dyn-syms")]
    symbols = [row[7] for row in rows if len(row) > 7 and row[4] in ("GLOBAL", "WEAK") and row[6] not in ("UND", "ABS")]
    return soname + sorted(s for s in symbols if not re.match(r"__|_init$|_fini$|_end$|_edata$", s))


def compare(name, lines, update):
    """Compares @lines with the list @name; returns the lines that differ"""
    path = f"{HERE}/{name}"
    if update:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    kept = open(path, encoding="utf-8").read().splitlines()
    if not any("@" in line for line in lines):  # the linker knows no version scripts
        kept = [line.split("@")[0] for line in kept]
    return [line for line in difflib.unified_diff(kept, lines, name, "this build", lineterm="", n=0)
            if not line.startswith("@@")]


def main():
    update = "--update" in sys.argv
    source, library, *compiler = [word for word in sys.argv[1:] if word != "--update"]
    pointer, structs, numbers = run_program(source, compiler, read_headers(source))
    failed = False

    print("1..3")
    for i, (name, lines) in enumerate((("symbols.txt", find_symbols(library)), ("structs.txt", structs),
                                       ("numbers.txt", numbers)), 1):
        if name == "structs.txt" and pointer != 8:
            print(f"ok {i} - {name} # SKIP the list is kept for pointers of 8 bytes, here they have {pointer}")
            continue
        differs = compare(name, lines, update)
        failed |= bool(differs) or len(lines) < 20
        print(f"{'not ok' if differs or len(lines) < 20 else 'ok'} {i} - {name}: {len(lines)} lines")
        print("".join(f"# {line}\n" for line in differs + (RULE.splitlines() if differs else [])), end="")
    return failed


sys.exit(main())
