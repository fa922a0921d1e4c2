#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be seen of the translator: -d in_asm,op,out_asm,stats, info jit, -perfmap, -jitdump."""
import json
import os
import re
import struct
import subprocess
import sys

import vmtest
from vmtest import check, contains, equal

IMAGE_DIR = os.environ.get("IMAGE_DIR", f"{vmtest.ROOT}/build/tests/guest")
PASSED = 1  # isa-debug-exit: value << 1 | 1


def run_image(directory, *arguments, image="long.img"):
    """Runs @image, in @directory, translating at once; returns its log."""
    log = os.path.join(directory, "log")
    command = [os.path.abspath(vmtest.BINARY), "-machine", "pc", "-m", "64", "-nodefaults",
               "-display", "none", "-bios", f"{os.path.abspath(IMAGE_DIR)}/{image}",
               "-chardev", "null,id=report", "-device", "isa-debugcon,iobase=0xe9,chardev=report",
               "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", "-no-reboot", "-cpu", "max",
               "-accel", "tcg,debug=hot:0", "-D", log, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=directory)
    equal(process.wait(timeout=60 * vmtest.SCALE), PASSED, "exit status")
    with open(log, encoding="utf-8") as file:
        return process.pid, file.read()


def test_code():
    """Guest code as it is decoded, the decisions about it, and the code written for it."""
    with vmtest.scratch_directory() as scratch:
        _, log = run_image(scratch, "-d", "in_asm,op,out_asm")
    contains(log, "IN: cpu 0 cpl 0\n0x000000000000fff0: ")
    check(re.search(r"^IN: .*\n0x0+[0-9a-f]+:  ", log, re.M), "no guest code")
    decided = re.search(r"^OP: cpu 0 cpl [03] rip (\w+), (\d+) instructions.*\n((?:0x.*\n  .*\n)+)",
                        log, re.M)
    check(decided, "no decisions")
    equal(decided[3].count("\n"), 2 * int(decided[2]), "lines of a block")
    check(re.search(r"^  copy .*\blive:", log, re.M), "no flags")
    check(re.search(r"^  (call|return|jump-if)\b", log, re.M), "no branch")
    written = log[log.index(f"OUT: cpu 0 cpl 0 rip {decided[1]},"):].split("\n\n")[0]
    equal(len(re.findall(r"^-- [0-9a-f]{16}", written, re.M)), int(decided[2]) + 1, "instructions")
    contains(written, "-- cold")
    bad = [block for block in log.split("\n\n") if block.startswith("OUT") and "(bad)" in block]
    check(not bad, f"data was taken for code: {bad[:1]}")
    check(re.search(r"^0x\w+:  \.site insn \d+, flags", log, re.M), "no side table")


def test_lock():
    """LOCK is left out where the machine can have one CPU, but not of a memory barrier."""
    for cpus, kept in ("1", {"or"}), ("1,maxcpus=2", {"or", "add", "sub"}):
        with vmtest.scratch_directory() as scratch:
            _, log = run_image(scratch, "-d", "op,out_asm", "-smp", cpus, image="jit.img")
        decided, written = set(), set()
        for block in log.split("\n\n"):
            found = re.findall(r"^0x\w+:  .*\block (or|add|sub) ", block, re.M)
            (written if block.startswith("OUT") else decided).update(found)
        check({"or", "add", "sub"} <= decided, f"locked instructions of the guest: {decided}")
        equal(written, kept, f"those of the host with -smp {cpus}")


def test_stats():
    """Counters at the end."""
    with vmtest.scratch_directory() as scratch:
        _, log = run_image(scratch, "-d", "stats")
    numbers = re.search(r"^jit: cpu 0: blocks: (\d+), (\d+) translated of (\d+) guest ", log, re.M)
    check(numbers and 0 < int(numbers[1]) <= int(numbers[2]) <= int(numbers[3]), "blocks")
    check(re.search(r"^jit: cpu 0: code: [1-9]\d* KiB of 64 MiB, \d+ KiB of tables", log, re.M),
          "code")
    check(re.search(r"^jit: cpu 0: translation: \d+ us, [1-9]\d* ns for", log, re.M), "time")
    check(re.search(r"^jit: cpu 0: TLB: [1-9]\d* misses filled", log, re.M), "TLB misses")
    check(re.search(r"^jit: cpu 0: interpreted \w+: [1-9]\d*$", log, re.M), "mnemonics")


def test_perf_map():
    """Lines of start, size and name, for code that does not overlap."""
    with vmtest.scratch_directory() as scratch:
        pid, _ = run_image(scratch, "-perfmap")
        path = f"/tmp/perf-{pid}.map"
        try:
            with open(path, encoding="ascii") as file:
                lines = [line.split() for line in file]
        finally:
            os.unlink(path)
    pieces = sorted((int(start, 16), int(size, 16)) for start, size, _ in lines)
    for (start, size), (following, _) in zip(pieces, pieces[1:]):
        check(start + size <= following, f"{start:x} overlaps")
    names = {name for _, _, name in lines}
    check("trampolines" in names, "no trampolines")
    check(any(re.fullmatch(r"cpl0\.[0-9a-f]{16}", name) for name in names), "no supervisor code")
    check(any(re.fullmatch(r"cpl\d\.[0-9a-f]{16}\.cold", name) for name in names), "no cold code")


def records(data):
    """(id, body) of a jitdump's records."""
    at = struct.unpack_from("<I", data, 8)[0]
    while at < len(data):
        number, size, _ = struct.unpack_from("<IIQ", data, at)
        yield number, data[at + 16:at + size]
        at += size


def test_jit_dump():
    """The header, a record with name and bytes for each piece of code, and the end."""
    with vmtest.scratch_directory() as scratch:
        pid, _ = run_image(scratch, "-jitdump")
        with open(os.path.join(scratch, f"jit-{pid}.dump"), "rb") as file:
            data = file.read()
    magic, version, size, machine, _, said = struct.unpack_from("<6I", data)
    equal((magic, version, size, machine, said), (0x4A695444, 1, 40, 62, pid), "header")
    found = list(records(data))
    equal([number for number, _ in found], [0] * (len(found) - 1) + [3], "kinds of records")
    names = set()
    for index, (_, body) in enumerate(found[:-1]):
        owner, _, vma, address, length, number = struct.unpack_from("<IIQQQQ", body)
        name, _, code = body[40:].partition(b"\0")
        equal((owner, vma, number, len(code)), (pid, address, index, length), "record")
        names.add(name.decode())
    check("trampolines" in names and len(names) > 10, f"names: {sorted(names)[:5]}")


def test_monitor():
    """HMP and QMP say the same."""
    with vmtest.VM("-machine", "pc", "-S", "-display", "none", "-nodefaults", "-smp", "2",
                   "-qmp", "stdio") as vm:
        vm.send('{"execute": "qmp_capabilities"}\n{"execute": "x-query-jit", "id": 1}\n')
        answer = vm.expect(r'(?m)^(\{"return": .*"id": 1\})\s*$')
        text = json.loads(answer[1])["return"]["human-readable-text"]
        check(re.match(r"CPU #0:\nblocks: 0, 0 translated", text), text)
        contains(text, "CPU #1:\n")
        vm.send('{"execute": "human-monitor-command", "arguments": {"command-line": "info jit"}, '
                '"id": 2}\n')
        answer = vm.expect(r'(?m)^(\{"return": .*"id": 2\})\s*$')
        equal(json.loads(answer[1])["return"].replace("\r\n", "\n"), text)
        vm.send('{"execute": "quit"}\n')
        equal(vm.wait(), 0, "exit status")
    with vmtest.VM("-machine", "pc", "-S", "-display", "none", "-nodefaults", "-accel",
                   "tcg,translate=off", "-monitor", "stdio") as vm:
        vm.send("info jit\n")
        vm.expect(r"CPU #0:\s+its code is not translated")
        vm.send("quit\n")
        equal(vm.wait(), 0, "exit status")


if __name__ == "__main__":
    if not os.path.exists(f"{IMAGE_DIR}/long.img"):
        print("1..0 # SKIP no test images")
        sys.exit(0)
    vmtest.main()
