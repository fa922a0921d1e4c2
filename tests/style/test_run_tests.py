#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/run-tests counts what it says: a small project with one test of each outcome."""
import os
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# name: (protocol, shell script, passed, failed, skipped)
OUTCOMES = {
    "plain": ("exitcode", "exit 0", 1, 0, 0),
    "plain-failing": ("exitcode", "exit 3", 0, 1, 0),
    "plain-skipped": ("exitcode", "exit 77", 0, 0, 1),
    "tap": ("tap", "printf '1..3\\nok 1 - a\\nok 2 - b\\nok 3 c # SKIP no\\n'", 2, 0, 1),
    "tap-failing": ("tap", "printf '1..2\\nok 1 a\\nnot ok 2 b\\n'; exit 1", 1, 1, 0),
    "tap-crashing": ("tap", "printf '1..2\\nok 1 a\\n'; kill -SEGV $$", 1, 1, 0),
    "tap-cut-short": ("tap", "printf '1..3\\nok 1 a\\n'", 1, 1, 0),
    "glib-unmarked": ("exitcode", "printf '1..2\\nok 1 /a/b\\nok 2 /a/c\\n'", 2, 0, 0),
    "slow": ("exitcode", "exec sleep 60", 0, 1, 0),
}


def make_project(directory):
    lines = ["project('outcomes')", "shell = find_program('sh')"]
    for name, (protocol, script, *_) in OUTCOMES.items():
        with open(f"{directory}/{name}.sh", "w", encoding="utf-8") as file:
            file.write(script + "\n")
        lines.append(f"test('{name}', shell, args: files('{name}.sh'), protocol: '{protocol}', "
                     f"timeout: 2, suite: 'all')")
    with open(f"{directory}/meson.build", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def run(directory, *arguments):
    """The status and the last line of the copy of run-tests in @directory."""
    done = subprocess.run([f"{directory}/scripts/run-tests", *arguments], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return done.returncode, done.stdout.splitlines()[-1]


def main():
    print("1..3")
    with tempfile.TemporaryDirectory() as directory:
        make_project(directory)
        os.mkdir(f"{directory}/scripts")
        shutil.copy(f"{ROOT}/scripts/run-tests", f"{directory}/scripts")
        subprocess.run(["meson", "setup", f"{directory}/build", directory], check=True,
                       stdout=subprocess.DEVNULL)
        passed, failed, skipped = (sum(row[column] for row in OUTCOMES.values())
                                   for column in (2, 3, 4))
        results = {
            "all outcomes": (run(directory, "build:all"),
                             (1, f"{passed} passed, {failed} failed, {skipped} skipped")),
            "a broken build": (run(directory, "--broken", "a build"), (1, "0 passed, 1 failed")),
            "no test at all": (run(directory, "build:none"), (1, "0 passed, 0 failed")),
        }
    for number, (name, (got, wanted)) in enumerate(results.items(), 1):
        if got != wanted:
            print(f"# got {got}, wanted {wanted}")
        print(f"{'ok' if got == wanted else 'not ok'} {number} - {name}")


main()
