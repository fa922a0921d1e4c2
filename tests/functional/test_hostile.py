#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile guests: images that run random code in every mode, over their page tables and code,
without end (tests/guest/hostile*.c). Meanwhile the program answers QMP, stops and goes on, stays
within its memory, and at the end it quits. `make check-hostile` does so for an hour; by hand:

    test_hostile.py --seconds N [--seed N] [--turn SECONDS]"""
import argparse
import os
import random
import re
import select
import subprocess
import sys
import time

import vmtest
from test_qmp import Client
from vmtest import check, equal

IMAGE_DIR = os.environ.get("IMAGE_DIR", f"{vmtest.ROOT}/build/tests/guest")
MARK = b"hostile\0"
RAM = 64        # MiB
SILENCE = 8     # seconds without progress after which the machine is reset
# MiB beside the guest's memory and the code: the program, and for each CPU what is decoded, TLBs
# and the translator's tables.
PROGRAM, EACH_CPU = 60, 60
MEMORY_SCALE = float(os.environ.get("MEMORY_SCALE", "1"))  # sanitizers keep what was freed


def write_image(scratch, name, seed):
    """The image with its seed in it."""
    with open(f"{IMAGE_DIR}/{name}.img", "rb") as file:
        image = file.read()
    equal(image.count(MARK), 1, "marks in the image")
    at = image.index(MARK) + len(MARK)
    image = image[:at] + seed.to_bytes(8, "little") + image[at + 8:]
    return vmtest.write_file(scratch, "image", image)


class Hostile:
    """A hostile guest that runs."""

    def __init__(self, scratch, image, seed, accel, cpus=1, code=64):
        limit = (RAM + PROGRAM + cpus * (code + EACH_CPU)) * MEMORY_SCALE
        self.limit = int(limit) << 10
        self.rounds = self.resets = self.ends = self.peak = 0
        self.text = ""
        self.said = time.monotonic()
        self.errors = open(os.path.join(scratch, "errors"), "w+", encoding="utf-8",
                           errors="replace")
        path = os.path.join(scratch, "qmp")
        self.process = subprocess.Popen(
            [vmtest.BINARY, "-machine", "pc", "-m", str(RAM), "-nodefaults", "-display", "none",
             "-no-shutdown", "-cpu", "max", "-smp", str(cpus), "-accel", f"{accel},tb-size={code}",
             "-bios", write_image(scratch, image, seed), "-qmp", f"unix:{path},server=on,wait=off",
             "-chardev", "stdio,id=report",
             "-device", "isa-debugcon,iobase=0xe9,chardev=report"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors)
        self.qmp = Client(path)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def messages(self):
        self.errors.seek(0)
        return self.errors.read(20000)

    def listen(self, seconds):
        """What the guest says for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.process.stdout], [], [], left)[0]:
                return
            said = os.read(self.process.stdout.fileno(), 65536).decode("ascii", "replace")
            if not said:
                raise vmtest.Failure(f"it ended with {self.process.wait()}: {self.messages()}")
            if "." in said or "[" in said:
                self.said = time.monotonic()
            self.rounds += 8 * said.count(".")
            self.text = (self.text + said.replace(".", ""))[-20000:]

    def look(self, turn):
        """Questions that must be answered, some of which stop the CPUs."""
        commands = [("query-status", None), ("x-query-jit", None),
                    ("human-monitor-command", {"command-line": "info registers"}),
                    ("stop", None), ("cont", None)]
        self.qmp.command(*commands[turn % len(commands)])
        self.reset_if_needed()
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            resident = int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])
        self.peak = max(self.peak, resident)
        check(resident < self.limit, f"{resident} KiB resident, {self.limit} are allowed")

    def reset_if_needed(self):
        """Soup may stop all that would end it, or power the machine off."""
        events = [event["event"] for event in self.qmp.events]
        self.qmp.events.clear()
        self.ends += events.count("SHUTDOWN")
        self.resets += events.count("RESET")
        if "SHUTDOWN" in events or time.monotonic() - self.said > SILENCE * vmtest.SCALE:
            self.said = time.monotonic()
            self.qmp.command("system_reset")
            self.qmp.command("cont")

    def run(self, seconds):
        deadline, turn = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            self.listen(0.3)
            self.look(turn)
            turn += 1
        self.qmp.command("quit")
        try:
            status = self.process.wait(timeout=60 * vmtest.SCALE)
        except subprocess.TimeoutExpired:
            raise vmtest.Failure("it does not quit") from None
        equal(status, 0, f"exit status, with {self.messages()!r}")
        check(self.rounds, "the guest came to nothing")


# image, -accel, CPUs, tb-size
KINDS = [
    ("hostile64", "tcg,debug=hot:0", 1, 1),
    ("hostile64", "tcg", 2, 2),
    ("hostile32", "tcg,debug=hot:0", 1, 1),
    ("hostile64", "tcg,translate=off", 2, 1),
    ("hostile32", "tcg,debug=random-exits:50+flush:4000+tiny-tlb:500+hot:1+no-groups", 1, 1),
    ("hostile64", "tcg,debug=random-exits:50+flush:4000+tiny-tlb:500+hot:1+no-groups", 2, 1),
    ("hostile32", "tcg", 1, 2),
    ("hostile64", "tcg", 4, 4),
    ("hostile64", "tcg,debug=exact+one-insn+hot:0", 1, 1),
]


def run_kind(number, seed, seconds):
    image, accel, cpus, code = KINDS[number % len(KINDS)]
    what = f"{image} -accel {accel} -smp {cpus}, tb-size={code}, seed {seed:#x}"
    print(f"# {what}", flush=True)
    with vmtest.scratch_directory() as scratch, \
            Hostile(scratch, image, seed, accel, cpus, code) as guest:
        try:
            guest.run(seconds)
        except Exception:
            time.sleep(1)
            print(f"# status {guest.process.poll()} after {guest.rounds} rounds; "
                  f"{guest.messages()[-3000:]!r}", flush=True)
            raise
        messages = guest.messages()
        check(len(messages) < 20000, f"it says too much: {messages[:500]}")
        check("tessera:" not in messages and "lockstep:" not in messages, messages[:2000])
        print(f"# {guest.rounds} rounds, {guest.resets} resets, {guest.ends} shutdowns, at most "
              f"{guest.peak >> 10} MiB of {guest.limit >> 10}", flush=True)


def test_64_bit():
    """64-bit code and compatibility mode, all of it translated, in a small buffer."""
    run_kind(0, 1, 8)


def test_64_bit_two():
    """Two CPUs that write over each other's code and tables."""
    run_kind(1, 2, 8)


def test_32_bit():
    """Real, virtual-8086 and protected mode, 16 and 32 bits."""
    run_kind(2, 3, 8)


def run_long():
    """All kinds by turns, each for two minutes at most, with seeds that follow from the first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=lambda text: int(text, 0), default=None)
    parser.add_argument("--turn", type=float, default=120)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().getrandbits(48)
    print(f"# --seed {seed:#x}", flush=True)
    deadline, number = time.monotonic() + args.seconds, 0
    while (left := deadline - time.monotonic()) > 0:
        run_kind(number, seed + number, min(args.turn, left))
        number += 1
    print(f"{number} hostile guests in {args.seconds:.0f} s: none did harm")


if __name__ == "__main__":
    if "--seconds" in sys.argv:
        run_long()
    else:
        vmtest.main()
