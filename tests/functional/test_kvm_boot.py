# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel boots to its shell under the accelerator kvm, and sees the CPU that the same
machine shows under tcg. Apart from test_kvm.py (make check-kvm-boot): a KVM that is itself emulated
takes some ten minutes for patience. KVM_BOOT_TIMEOUT bounds that (seconds)."""
import os
import re
import subprocess
import time

import vmtest
from vmtest import Skip, check, contains, equal, run_in_guest, run_program, write_file

TIMEOUT = int(os.environ.get("KVM_BOOT_TIMEOUT", "2400"))
ODDITIES = os.environ.get("KVM_ODDITIES", f"{vmtest.ROOT}/build/tests/guest/kvm-oddities")
FILE = '''[memory]
  size = "512M"
[cpu]
  base_cpudef = "%s"
'''
ROUNDS = 4
MODELS = ("Haswell", "Nehalem", "x86-64-v1")  # some KVMs reach little
# Words of Linux for what no CPUID says: how it knows the clock's rate (from kvmclock), and a bit of
# MSR 0xce, which KVM has.
NOT_OF_CPUID = {"tsc_known_freq", "constant_tsc", "nonstop_tsc", "tsc_reliable", "cpuid_fault"}


def need_kvm():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("there is no /dev/kvm that this user may use")


def flags(text):
    line = next(line for line in text.splitlines() if line.startswith("flags"))
    return set(line.split(":")[1].split()) - NOT_OF_CPUID


def common_model():
    """The richest model that both accelerators offer in full."""
    for model in MODELS:
        if all(run_program("-check", "-accel", accel, "-cpu", f"{model},enforce=on").status == 0
               for accel in ("kvm", "tcg")):
            return model
    raise Skip(f"none of {MODELS} is in reach of both accelerators")


def run_under(accel, path, log, *more):
    begin = time.monotonic()
    output = run_in_guest("cat /proc/cpuinfo", "-accel", accel, "-readconfig", path, *more,
                          "-d", "accel,stats", "-D", log, timeout=TIMEOUT)
    print(f"# {accel}: {time.monotonic() - begin:.0f} seconds")
    return output


def print_statistics(log):
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            if "our interpreter runs" not in line:
                print("#", line.rstrip())


def interpreted(log):
    """True if our interpreter did the supervisor's part for a slow KVM."""
    with open(log, encoding="utf-8", errors="replace") as file:
        return bool(re.search("failed the trials of.* speed", file.read()))


def test_same_cpu():
    """One file, both accelerators, the same flags in /proc/cpuinfo."""
    need_kvm()
    odd = subprocess.run([ODDITIES], check=True, capture_output=True, text=True).stdout
    with vmtest.scratch_directory() as scratch:
        model = common_model()
        print(f"# CPU model {model}")
        path = write_file(scratch, "my.conf", FILE % model)
        log = os.path.join(scratch, "log")
        under_kvm = run_under("kvm", path, log)
        print_statistics(log)
        if "cpuid" in odd and not interpreted(log):
            print("# flags are not compared: in 64-bit code this KVM answers CPUID as its host")
            return
        under_tcg = run_under("tcg", path, log)
    equal(sorted(flags(under_kvm)), sorted(flags(under_tcg)), "flags under kvm")
    check("sse2" in flags(under_kvm), under_kvm)


def boot_patiently(cpus):
    """KVM runs the kernel itself, however slow it is, and the interpreter what it cannot; programs
    do not suffer from that."""
    need_kvm()
    rounds = " ".join(map(str, range(ROUNDS)))
    with vmtest.scratch_directory() as scratch:
        log = os.path.join(scratch, "log")
        begin = time.monotonic()
        output = run_in_guest(f"nproc; for i in {rounds}; do ls -l /bin | md5sum; done", "-accel",
                              "kvm,trials=patient,kernel-irqchip=off", "-m", "512", "-smp",
                              str(cpus), "-d", "accel,stats", "-D", log, timeout=TIMEOUT)
        print(f"# {time.monotonic() - begin:.0f} seconds")
        print_statistics(log)
        with open(log, encoding="utf-8", errors="replace") as file:
            seconds = re.search(r"cpu 0: ([\d.]+) s in KVM, ([\d.]+) s in the interp", file.read())
    count, *sums = output.splitlines()
    equal(count, str(cpus), "processors")
    equal(len(sums), ROUNDS, f"lines of {output!r}")
    equal(len(set(sums)), 1, f"different sums in {output!r}")
    check(float(seconds[1]) > float(seconds[2]), f"KVM did the lesser part: {seconds[0]}")


def test_patience():
    boot_patiently(1)


def test_patience_of_two():
    boot_patiently(2)


def test_two_processors():
    """Both processors run under kvm."""
    need_kvm()
    with vmtest.scratch_directory() as scratch:
        log = os.path.join(scratch, "log")
        output = run_in_guest("nproc; taskset 1 true && taskset 2 true && echo both", "-accel",
                              "kvm", "-m", "512", "-smp", "2", "-d", "accel,stats", "-D", log,
                              timeout=TIMEOUT)
        print_statistics(log)
    contains(output, "2\n", "both")


vmtest.main()
