#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden diagnostics: every NN-*.conf here must be refused with exactly the text of its .expected.

usage: run-broken.py PROGRAM [--update]

A line "# args: …" in the file gives further arguments. --update writes what the program says now:
read the difference before it is committed.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def install(program, prefix):
    """The program beside its data, as installed: only what is in data/ is found."""
    (prefix / 'bin').mkdir()
    shutil.copy(program, prefix / 'bin' / 'tessera')
    shutil.copytree(HERE / 'data', prefix / 'share' / 'tessera')
    return prefix / 'bin' / 'tessera'


def run(program, prefix, conf):
    args = []
    for line in conf.read_text().splitlines():
        if line.startswith('# args: '):
            args = line[len('# args: '):].split(' ')
    command = [program, '-check', '-readconfig', conf.name] + args
    environment = {'TESSERA_SYSCONFDIR': '/nonexistent', 'LC_ALL': 'C'}
    result = subprocess.run(command, cwd=HERE, env=environment, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=60, check=False)
    text = result.stderr.replace(str(prefix), '@PREFIX@').replace(str(HERE), '@HERE@')
    if result.stdout:
        text += 'standard output: ' + result.stdout
    return f'{text}exit status {result.returncode}\n'


def check(program, prefix, update):
    confs = sorted(HERE.glob('[0-9]*.conf'))
    print(f'1..{len(confs)}')
    for number, conf in enumerate(confs, 1):
        golden = conf.with_suffix('.expected')
        said = run(program, prefix, conf)
        if update:
            golden.write_text(said)
        wanted = golden.read_text() if golden.exists() else ''
        good = said == wanted and said.endswith('exit status 1\n')
        print(f'{"ok" if good else "not ok"} {number} - {conf.stem}')
        if not good:
            for line in f'expected:\n{wanted}got:\n{said}'.splitlines():
                print('#', line)


with tempfile.TemporaryDirectory() as directory:
    where = pathlib.Path(directory).resolve()
    check(install(sys.argv[1], where), where, '--update' in sys.argv)
