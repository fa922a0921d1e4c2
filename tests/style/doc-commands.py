#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the commands that README.md and docs/*.md show, so that they stay true. Prints TAP.

Of the fenced blocks of a document, in order, in one scratch directory which shows the source tree:
  ```sh test         is run (sh -eu, nothing on standard input, the built program in PATH) and must
                     succeed; a command that is to fail is written `! command`
  ```conf NAME       (or any language) with a file name is written to that file
  ```sh              shows commands that another test runs; each must be in COVERED
doc-commands.py BUILDDIR [DOCUMENT...]"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT = 120
# Commands too heavy to be run again here, and what runs them.
COVERED = {
    "make": "tests/functional/test_make_run.py builds",
    "make run": "tests/functional/test_make_run.py",
    "make check": ".ci/run",
    "make bench": "by hand: it measures, and no test judges time",
}
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.M | re.S)


def blocks(path):
    """(line, words of the info string, body) of the fenced blocks of a document."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1].split(), match[2]


def uncovered(body):
    """The commands of a plain sh block that no test runs."""
    lines = (re.sub(r"\s+#.*", "", line).strip() for line in body.splitlines())
    return [line for line in lines if line and not line.startswith("#") and line not in COVERED]


def scratch_tree(scratch):
    for name in os.listdir(ROOT):
        if not name.startswith(".git"):
            os.symlink(os.path.join(ROOT, name), os.path.join(scratch, name))


def run_block(body, scratch, build):
    environment = {**os.environ, "PATH": f"{os.path.abspath(build)}:{os.environ['PATH']}"}
    try:
        done = subprocess.run(["sh", "-eu", "-c", body], cwd=scratch, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, errors="replace", timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"timed out after {TIMEOUT} s"
    return f"status {done.returncode}\n{done.stdout[-3000:]}" if done.returncode else None


def check_document(path, build):
    """Yields (place, problem or None) of every block that is a test."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch_tree(scratch)
        for line, info, body in blocks(path):
            place = f"{path}:{line}"
            if info[:2] == ["sh", "test"]:
                yield place, run_block(body, scratch, build)
            elif info == ["sh"]:
                missing = uncovered(body)
                yield place, f"no test runs: {missing}" if missing else None
            elif len(info) == 2:
                file = os.path.join(scratch, info[1])
                if os.path.lexists(file):
                    yield place, f"{info[1]} is in the tree already"
                else:
                    os.makedirs(os.path.dirname(file), exist_ok=True)
                    with open(file, "w", encoding="utf-8") as output:
                        output.write(body)


def main():
    build = sys.argv[1]
    documents = sys.argv[2:] or ["README.md"] + sorted(
        f"docs/{name}" for name in os.listdir(f"{ROOT}/docs") if name.endswith(".md"))
    failed = number = 0
    for path in documents:
        for place, problem in check_document(path, build):
            number += 1
            if problem:
                print("\n".join(f"# {line}" for line in problem.splitlines()))
                failed += 1
            print(f"{'not ok' if problem else 'ok'} {number} - {place}", flush=True)
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


main()
