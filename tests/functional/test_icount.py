# SPDX-License-Identifier: GPL-2.0-or-later
"""-icount: runs that are the same from the first instruction to the last, and what it refuses."""
import os
import re

import vmtest
from vmtest import check, contains, demo_arguments, equal, run_program, scratch_directory

FIXED = ("-rtc", "base=2024-01-01T12:00:00,clock=vm")
# What a guest could draw chance from: times, random numbers, and which process ran when.
LOOK = ("date; cat /proc/uptime /proc/interrupts /proc/sys/kernel/random/boot_id; "
        "head -c 16 /dev/urandom | od -x; cat /proc/schedstat")


def run(*arguments):
    """What a boot to the shell, some work there and a power-off print, and what the CPUs did."""
    with scratch_directory() as scratch:
        log = os.path.join(scratch, "log")
        words = "quiet tessera.run=" + vmtest.quote(LOOK, safe="/;|&$:,.-_=")
        result = run_program(*demo_arguments("-m", "256", "-d", "stats", "-D", log, *arguments,
                                             append=words), timeout=vmtest.BOOT_TIMEOUT)
        equal(result.status, 0, f"status; it printed {result.text}")
        with open(log, encoding="utf-8") as file:
            return result.stdout, file.read()


def check_repeats(*arguments):
    first, first_stats = run(*arguments)
    second, second_stats = run(*arguments)
    check("tessera.run: status 0" in first, first)
    equal(second.splitlines(), first.splitlines(), "output of the second run")
    equal(counts(second_stats), counts(first_stats), "statistics of the second run")
    return first, first_stats


def counts(stats):
    """Instructions, exceptions, interrupts and the hash of the registers at each of these."""
    found = re.findall(r"cpu (\d+): (?:(\d+) instructions, (\d+) exceptions, (\d+) interrupts|"
                       r"trace ([0-9a-f]+))", stats)
    check(found, f"no statistics in {stats!r}")
    return found


def check_engines(stats, *arguments, engines):
    """A boot that went as @stats say goes the same way however its code is run."""
    for engine in engines:
        _, others = run(*arguments, "-accel", "tcg," + engine)
        equal(counts(others), counts(stats), "statistics with " + engine)


def test_same_run():
    """A boot is the same each time, translated, interpreted, or translated in odd ways."""
    vmtest.skip_on_qemu("its statistics are others")
    arguments = ("-cpu", "max", "-icount", "shift=0,sleep=off", *FIXED)
    output, stats = check_repeats(*arguments)
    contains(output, "Mon Jan  1 12:00:0")
    check(int(counts(stats)[0][1]) > 10**8, f"few instructions: {stats}")
    check_engines(stats, *arguments, engines=(
        "translate=off", "debug=one-insn", "debug=hot:0+exact+no-groups",
        "debug=random-exits:1000+flush:10000+tiny-tlb:1000"))


def test_same_run_of_two():
    """Two CPUs take turns; which of them runs a process is the same each time."""
    vmtest.skip_on_qemu("its statistics are others")
    arguments = ("-cpu", "max", "-smp", "2", "-icount", "shift=1,sleep=off", *FIXED)
    _, stats = check_repeats(*arguments)
    executed = [int(row[1]) for row in counts(stats) if row[1]]
    check(len(executed) == 2 and min(executed) > 10**6, f"a CPU that hardly ran: {stats}")
    check_engines(stats, *arguments, engines=("translate=off",))


def test_not_in_lockstep():
    vmtest.skip_on_qemu("has no lockstep")
    result = run_program("-icount", "1", "-accel", "tcg,lockstep=on", "-display", "none")
    equal(result.status, 1, "status")
    contains(result.stderr, "lockstep=on cannot count instructions (-icount)")


def test_pace():
    """With shift=auto idle time is the host's: a sleep takes as long here."""
    script = "cat /proc/uptime; sleep 3; cat /proc/uptime"
    with vmtest.boot_shell("-m", "256", "-icount", "auto") as vm:
        begin = vmtest.time.monotonic()
        times = [float(line.split()[0]) for line in vm.shell(script).splitlines() if line.strip()]
        took = vmtest.time.monotonic() - begin
    check(times[1] - times[0] > 2.9, f"a sleep of 3 s took {times} in the guest")
    check(took > 2.0, f"and {took} s here")


def test_refused():
    for words, complaint in (("shift=11", "neither auto nor a number from 0 to 10"),
                             ("shift=two", "neither auto nor a number"),
                             ("shift=auto,align=on", "shift=auto and align=on contradict"),
                             ("sleep=off", "shift=auto and sleep=off contradict"),
                             ("shift=1,align=on,sleep=off", "align=on and sleep=off contradict"),
                             ("shift=1,pace=3", "pace")):
        result = run_program("-icount", words, "-check")
        equal(result.status, 1, f"status of -icount {words}")
        if not vmtest.IS_QEMU:
            contains(result.stderr, complaint)


def test_not_with_kvm():
    vmtest.skip_on_qemu("has other words")
    result = run_program("-icount", "1", "-accel", "kvm", "-check")
    equal(result.status, 1, "status")
    contains(result.stderr, "accelerator 'kvm' cannot count instructions (-icount)")
    result = run_program("-icount", "1", "-accel", "kvm", "-accel", "tcg", "-check")
    equal(result.status, 0, "status with tcg to fall back on")
    contains(result.stderr, "'kvm' cannot count instructions (-icount); trying the next")


vmtest.main()
