#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The house's rules as tests: order of the rooms, headers that stand alone, file heads and sizes.

check.py [NAME...] runs the named tests (all by default) over the tree and prints TAP. What a rule
lets pass is written here, each with its reason; there is no other way round a rule.
The layout itself is left to clang-format for whoever wants it: many hands wrote the tree, and a
test that fails on a line break would cost more than it gives."""
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED_DIRECTORIES = {".git", ".cache", "__pycache__", "subprojects"}

# Rooms, the first match by longest prefix, and what each may include beside itself.
# A trailing /* stands for every room below.
UTIL = ["util"]
CONFIG = UTIL + ["qemu-config"]
CORE = CONFIG + ["migration", "memory", "block", "net", "chardev", "ui"]
BOARD = CORE + ["hw/core", "hw/*", "pc-bios"]
ROOMS = {
    "util": [],
    "qemu-config": UTIL,
    "migration": CONFIG,
    "memory": UTIL,
    "block": CONFIG,
    "net": CONFIG,
    "chardev": CONFIG,
    "ui": CONFIG,
    "hw/core": CORE,
    "accel": UTIL,  # accel.h and the vCPU threads: an interface, no engine
    "target-i386": CONFIG + ["memory", "accel"],
    "accel/kvm": CORE + ["accel", "target-i386"],
    "accel/tcg": CORE + ["accel", "target-i386"],
    # the families are siblings; this row is for each of them
    "hw": CORE + ["hw/core"],
    "hw/i386": BOARD,
    "monitor": BOARD + ["accel", "target-i386", "accel/kvm", "accel/tcg"],
    "pc-bios": [],
    "vl.c": ["*"],
    "tests": ["*"],
    "bench": [],  # programs of their own
}

# (including file or room/, included file or room/): why
EXCEPTIONS = {
    ("hw/", "hw/pci/"): "PCI is the bus of half the families; its device interface is shared",
    ("hw/", "accel/machine.h"): "chips may live in the accelerator; devices ask it for eventfds",
    ("hw/core/", "accel/accel.h"): "a machine starts, stops and resets its vCPUs by this interface",
    ("hw/i386/", "accel/accel.h"): "a PC gives each vCPU its local APIC and lists it in its tables",
    ("hw/intc/", "accel/accel.h"): "interrupt controllers are the other end of its InterruptOps",
}
# Functions over 100 lines: "file:function": why
LONG_FUNCTIONS = {}
# Generated rows of a table, which only their one user includes
TABLE_ROWS = {"bench/guest/expected.h"}
# Headers that the build makes
GENERATED = re.compile(r"pc-bios/\w+-rom\.h$")
MAX_FILE_LINES = 1000
MAX_FUNCTION_LINES = 100
MAX_COLUMNS = 100
# Unfinished work is named in docs/roadmap.md. (Spelled so that this file does not find itself.)
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
SOURCE_SUFFIXES = (".c", ".h", ".def", ".S", ".s", ".asm", ".py", ".sh", ".build", ".conf")


def tree_files():
    """Every file of the tree, relative to its root; generated and downloaded ones left out."""
    found = []
    for directory, subdirectories, files in os.walk(ROOT):
        relative = os.path.relpath(directory, ROOT)
        subdirectories[:] = sorted(
            name for name in subdirectories if name not in SKIPPED_DIRECTORIES
            and not os.path.exists(os.path.join(directory, name, "meson-private")))
        found += [os.path.normpath(os.path.join(relative, name)) for name in sorted(files)]
    return found


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def is_script(path):
    """A program without a suffix that begins with #!."""
    if os.path.splitext(path)[1] or not os.access(os.path.join(ROOT, path), os.X_OK):
        return False
    with open(os.path.join(ROOT, path), "rb") as file:
        return file.read(2) == b"#!"


FILES = tree_files()
C_FILES = [path for path in FILES if path.endswith((".c", ".h", ".def"))]
SOURCES = [path for path in FILES
           if path.endswith(SOURCE_SUFFIXES) or is_script(path) or path == "Makefile"]
# Broken on purpose, down to their last byte.
SOURCES = [path for path in SOURCES if not path.startswith(("tests/functional/broken/",
                                                            "tests/fuzz/corpus"))]


def room_of(path):
    """The longest prefix of a path which is a room, None for a path outside all."""
    if path in ROOMS:
        return path
    parts = path.split("/")[:-1]
    if parts[:1] == ["hw"] and len(parts) > 1:
        return "/".join(parts[:2])
    for end in range(len(parts), 0, -1):
        if "/".join(parts[:end]) in ROOMS:
            return "/".join(parts[:end])
    return None


def allowed_rooms(room):
    return ROOMS.get(room, ROOMS["hw"])


def matches(pattern, path):
    """An entry of EXCEPTIONS: a file, or a folder with its slash at the end."""
    return path == pattern or (pattern.endswith("/") and path.startswith(pattern))


def may_include(source, header):
    source_room, header_room = room_of(source), room_of(header)
    if source_room == header_room:
        return True
    for allowed in allowed_rooms(source_room):
        if allowed in ("*", header_room):
            return True
        if allowed.endswith("/*") and header_room.startswith(allowed[:-1]):
            return True
    return any(matches(a, source) and matches(b, header) for a, b in EXCEPTIONS)


def includes(path):
    """(line number, header) of the quoted includes of a file."""
    return [(number, match[1]) for number, line in enumerate(read(path).splitlines(), 1)
            if (match := re.match(r'\s*#\s*include\s+"([^"]+)"', line))]


def check_rooms():
    """Nothing includes a room below itself; siblings never include each other."""
    problems = []
    known = set(FILES)
    for path in C_FILES:
        if room_of(path) is None:
            problems.append(f"{path}: stands in no room of house.md")
            continue
        for number, header in includes(path):
            if header not in known:
                if not GENERATED.match(header) and not path.startswith("tests/"):
                    problems.append(f"{path}:{number}: \"{header}\" is not named from the root")
                    continue
            if room_of(header) is None:
                if not path.startswith("tests/"):
                    problems.append(f"{path}:{number}: {header} stands in no room")
            elif not may_include(path, header):
                problems.append(f"{path}:{number}: {room_of(path)} may not include {header}")
    return problems


def check_exceptions():
    """An exception that nothing needs any more goes away."""
    edges = [(path, header) for path in C_FILES for _, header in includes(path)]
    problems = []
    for (source, header), why in EXCEPTIONS.items():
        if not any(matches(source, a) and matches(header, b) for a, b in edges):
            problems.append(f"tests/style/check.py: nobody needs the exception "
                            f"{source} -> {header} ({why})")
    return problems


def check_cycles():
    """No header includes itself, however long the way."""
    graph = {path: [header for _, header in includes(path)] for path in C_FILES}
    state, problems = {}, []

    def visit(path, trail):
        state[path] = "open"
        for header in graph.get(path, []):
            if state.get(header) == "open":
                cycle = trail[trail.index(header):] if header in trail else [path]
                problems.append("cycle: " + " -> ".join(cycle + [header]))
            elif header not in state:
                visit(header, trail + [header])
        state[path] = "done"

    for path in C_FILES:
        if path not in state:
            visit(path, [path])
    return problems


def check_headers():
    """Every header compiles alone."""
    packages = ["glib-2.0", "gio-unix-2.0", "json-glib-1.0"]
    flags = subprocess.run(["pkg-config", "--cflags", *packages], check=True,
                           capture_output=True, text=True).stdout.split()
    compiler = os.environ.get("CC", "gcc").split()

    def compile_header(path):
        command = [*compiler, "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-x", "c",
                   "-DTESSERA_VERSION=\"\"", "-Wall", "-Werror", "-I", ROOT, *flags, "-"]
        done = subprocess.run(command, input=f'#include "{path}"\n', capture_output=True,
                              text=True, cwd=ROOT)
        return f"{path}: does not compile alone:\n{done.stderr}" if done.returncode else None

    # What is included several times, with a macro set first, is a .def; a .h always stands alone.
    headers = [path for path in C_FILES if path.endswith(".h") and path not in TABLE_ROWS]
    with ThreadPoolExecutor(2) as pool:
        return [problem for problem in pool.map(compile_header, headers) if problem]


def check_spdx():
    """The licence is in the first lines, and a file says what it is."""
    problems = []
    for path in SOURCES:
        head = read(path).splitlines()[:3]
        if not any("SPDX-License-Identifier: GPL-2.0-or-later" in line for line in head):
            problems.append(f"{path}:1: no SPDX line at the head")
    for path in C_FILES:
        lines = read(path).splitlines()
        if path.endswith(".c") and len(lines) > 1 and not re.match(r"\s*(/\*|//)", lines[1]):
            problems.append(f"{path}:2: the file does not say what it is")
    return problems


def check_lines():
    """No tabs, no long lines, no blanks at line ends, one newline at the end."""
    problems = []
    for path in SOURCES:
        text = read(path)
        if text and not text.endswith("\n"):
            problems.append(f"{path}: no newline at the end")
        for number, line in enumerate(text.splitlines(), 1):
            if "\t" in line and path != "Makefile":
                problems.append(f"{path}:{number}: a tab")
            if line != line.rstrip():
                problems.append(f"{path}:{number}: blanks at the end of the line")
            if len(line) > MAX_COLUMNS and path.endswith((".c", ".h", ".py")):
                problems.append(f"{path}:{number}: {len(line)} columns")
    return problems


def check_sizes():
    """Files up to 1000 lines; .def tables and data may be longer."""
    return [f"{path}: {count} lines" for path in SOURCES
            if not path.endswith((".def", ".conf"))
            and (count := read(path).count("\n")) > MAX_FILE_LINES]


def functions(path):
    """(name, first line, lines) of the functions of a C file laid out as the house has it: an
    opening brace alone in the first column, or at the end of an unindented line."""
    name = first = None
    for number, line in enumerate(read(path).splitlines(), 1):
        if first is None:
            head = re.match(r"(?!typedef|struct|enum|union|#)[A-Za-z_].*?(\w+)\(", line)
            if head:
                name = head[1]
            if name and (line == "{" or (re.match(r"[A-Za-z_].*\) ?\{$", line))):
                first = number
            elif line.startswith("}") or line.endswith(";"):
                name = None
        elif line.startswith("}"):
            yield name, first, number - first - 1
            name = first = None


def check_functions():
    """No function over 100 lines, unless it is a table in the form of a switch."""
    problems = []
    used = set()
    for path in C_FILES:
        if path.startswith("bench/"):
            continue
        for name, line, count in functions(path):
            if count > MAX_FUNCTION_LINES:
                used.add(f"{path}:{name}")
                if f"{path}:{name}" not in LONG_FUNCTIONS:
                    problems.append(f"{path}:{line}: {name}() has {count} lines")
    problems += [f"tests/style/check.py: {entry} is no long function any more"
                 for entry in LONG_FUNCTIONS if entry not in used]
    return problems


def check_marks():
    """Nothing half done: what is missing is in docs/roadmap.md."""
    return [f"{path}:{number}: {match[0]}" for path in SOURCES
            for number, line in enumerate(read(path).splitlines(), 1)
            if (match := MARKS.search(line))]


# clang-format's layout is no condition, but house.md asks for braces always.
BRACELESS = re.compile(r"^\s*(?:\} )?(?:if|for|else if) \(.*\)$"
                       r"|^\s*while \(.*\)$|^\s*(?:\} )?else$")


def check_braces():
    """An if, else, for or while has its braces."""
    problems = []
    for path in C_FILES:
        if not path.endswith((".c", ".h")) or path.startswith("bench/"):
            continue
        lines = read(path).splitlines()
        for number, line in enumerate(lines, 1):
            if BRACELESS.match(line) and line.count("(") == line.count(")") \
                    and number < len(lines) and lines[number].strip() != "{":
                problems.append(f"{path}:{number}: no brace")
    return problems


def check_scripts():
    """Shell and Python scripts parse."""
    problems = []
    for path in SOURCES:
        first = read(path).split("\n", 1)[0]
        if path.endswith(".py") or "python3" in first:
            try:
                compile(read(path), path, "exec")
            except SyntaxError as error:
                problems.append(f"{path}:{error.lineno}: {error.msg}")
        elif re.match(r"#!.*\b(ba)?sh$", first):
            shell = "bash" if "bash" in first else "sh"
            done = subprocess.run([shell, "-n", path], cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                problems.append(done.stderr.strip())
    return problems


def check_checker():
    """These tests can fail: each finds the mistakes planted in a small tree."""
    planted = {
        "util/low.h": "/* SPDX-License-Identifier: GPL-2.0-or-later */\n/* l */\n"
                      '#include "hw/core/high.h"\nundeclared_type value;\n',
        "hw/core/high.h": "/* SPDX-License-Identifier: GPL-2.0-or-later */\n/* h */\n"
                          '#include "util/low.h"\n',
        "hw/char/uart.c": "int x;\n" + "\tint y;\n" + "int z; /* " + "TO" + "DO */\n"
                          + "void f(void)\n{\n    if (x)\n        y = 1;\n"
                          + "    y = 2;\n" * 101 + "}\n" + "/* */\n" * 1000,
        "hw/timer/clock.h": '/* SPDX-License-Identifier: GPL-2.0-or-later */\n/* */\n'
                            '#include "hw/char/uart.h"\n',
        "hw/char/uart.h": "/* SPDX-License-Identifier: GPL-2.0-or-later */\n/* */\n",
        "scripts/bad.sh": "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-or-later\nif\n",
    }
    with tempfile.TemporaryDirectory() as scratch:
        for path, text in planted.items():
            os.makedirs(os.path.join(scratch, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(scratch, path), "w", encoding="utf-8") as file:
                file.write(text)
        os.makedirs(os.path.join(scratch, "tests/style"))
        with open(__file__, encoding="utf-8") as source:
            with open(os.path.join(scratch, "tests/style/check.py"), "w", encoding="utf-8") as copy:
                copy.write(source.read())
        names = [name for name in TESTS if name not in ("checker", "exceptions")]
        done = subprocess.run([sys.executable, os.path.join(scratch, "tests/style/check.py"),
                               *names], capture_output=True, text=True)
    return [f"tests/style/check.py: {name} does not see a planted mistake\n{done.stdout}"
            for name in names if f" - {name}\n" not in
            "".join(line + "\n" for line in done.stdout.splitlines() if line.startswith("not ok"))]


TESTS = {name[6:]: function for name, function in list(globals().items())
         if name.startswith("check_")}


def main():
    chosen = sys.argv[1:] or list(TESTS)
    print(f"1..{len(chosen)}")
    failed = 0
    for number, name in enumerate(chosen, 1):
        problems = TESTS[name]()
        for problem in problems:
            print("\n".join(f"# {line}" for line in problem.splitlines()))
        print(f"{'not ok' if problems else 'ok'} {number} - {name}")
        failed += bool(problems)
    sys.exit(1 if failed else 0)


main()
