# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's cloud kernel boots to its shell in machines of several sizes and CPU models, and the
guest sees what the command line asked for."""
import re

import vmtest
from vmtest import boot_shell, check, equal, run_in_guest

GIB = 1 << 30
# What CPUID shows of these models, by the catalogue of QEMU 7.2; of their features, those that an
# emulator has.
MODELS = {
    "Nehalem": ("GenuineIntel", "Intel Core i7 9xx (Nehalem Class Core i7)", 6, 26,
                "cx16 lm nx popcnt sse4_1 sse4_2 ssse3 syscall", "avx avx2 aes"),
    "Haswell": ("GenuineIntel", "Intel Core Processor (Haswell)", 6, 60,
                "abm aes avx avx2 bmi1 bmi2 erms f16c fma fsgsbase movbe pclmulqdq rdrand smep "
                "xsave", "sha_ni adx"),
    "EPYC": ("AuthenticAMD", "AMD EPYC Processor", 23, 1,
             "adx aes avx avx2 bmi1 bmi2 fma fsgsbase mmxext pdpe1gb rdtscp sha_ni smap smep "
             "xsaveopt", "avx512f"),
}
# Features of these models that QEMU's own CPU does not have.
QEMU_LACKS = {"sha_ni"}


def cpuinfo(text):
    """The first processor of /proc/cpuinfo as a dictionary."""
    fields = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    return fields


def check_model(name, text):
    vendor, title, family, model, present, absent = MODELS[name]
    fields = cpuinfo(text)
    equal(fields["vendor_id"], vendor, "vendor")
    equal(fields["model name"], title, "model name")
    equal(fields["cpu family"], str(family), "family")
    equal(fields["model"], str(model), "model")
    flags = set(fields["flags"].split())
    wanted = set(present.split()) - (QEMU_LACKS if vmtest.IS_QEMU else set())
    check(wanted <= flags, f"missing flags: {sorted(wanted - flags)}")
    check(not flags & set(absent.split()), f"flags too many: {sorted(flags & set(absent.split()))}")


def test_shell_and_poweroff():
    """-m 512: a shell that answers and a power-off that ends the program with 0."""
    with boot_shell("-m", "512") as vm:
        check(vm.shell("uname -s").strip().endswith("Linux"), "uname at the prompt")
        total = int(re.search(r"MemTotal: +(\d+) kB", vm.shell("cat /proc/meminfo"))[1])
        check(400 << 10 < total <= 512 << 10, f"512 MiB, of which Linux sees {total} kB")
        equal(vm.shell("nproc").strip(), "1", "processors")
        vm.send("poweroff\n")
        equal(vm.wait(), 0, "exit status")


def test_memory_above_4g():
    """-m 5G: memory on both sides of the hole below 4 GiB, and usable above it."""
    output = run_in_guest(
        "cat /proc/meminfo; grep RAM /proc/iomem; mkdir /big; "
        "mount -t tmpfs -o size=90% none /big; dd if=/dev/zero of=/big/x bs=1M count=64; "
        "cmp -n 67108864 /big/x /dev/zero && echo same", "-m", "5G")
    total = int(re.search(r"MemTotal: +(\d+) kB", output)[1]) << 10
    check(4.6 * GIB < total <= 5 * GIB, f"5 GiB, of which Linux sees {total >> 20} MiB")
    ranges = [(int(a, 16), int(b, 16))
              for a, b in re.findall(r"([0-9a-f]+)-([0-9a-f]+) : System RAM", output)]
    check(any(start == 4 * GIB for start, _ in ranges), f"nothing at 4 GiB: {output}")
    check(sum(end + 1 - start for start, end in ranges) > 5 * GIB - (2 << 20),
          f"RAM missing: {output}")
    check("same" in output, output)


def test_nehalem():
    """Without the user's configuration the shipped models are still there."""
    option = "-no-user-config" if vmtest.IS_QEMU else "-nodefconfig"
    check_model("Nehalem", run_in_guest("cat /proc/cpuinfo", "-m", "512", option,
                                        "-cpu", "Nehalem"))


def test_haswell():
    check_model("Haswell", run_in_guest("cat /proc/cpuinfo", "-m", "512", "-cpu", "Haswell"))


def test_epyc():
    check_model("EPYC", run_in_guest("cat /proc/cpuinfo", "-m", "512", "-cpu", "EPYC"))


def test_two_processors():
    """-smp 2: both processors start and both run."""
    output = run_in_guest("nproc; grep ^processor /proc/cpuinfo; taskset 1 true && taskset 2 true "
                          "&& echo both; cat /proc/interrupts", "-m", "512", "-smp", "2")
    equal(output.split()[0], "2", "processors")
    check("both" in output, output)
    timer = re.search(r"LOC: +(\d+) +(\d+)", output)
    check(timer and int(timer[1]) and int(timer[2]), f"a local timer stands still: {output}")


def test_no_reboot():
    """With -no-reboot a guest that resets ends the program."""
    with boot_shell("-m", "512", "-no-reboot") as vm:
        vm.send("reboot -f\n")
        equal(vm.wait(), 0, "exit status")


def test_reboot():
    """A reset starts the firmware and the kernel again."""
    with boot_shell("-m", "512", append="") as vm:
        vm.send("reboot -f\n")
        vm.expect("Linux version", vmtest.BOOT_TIMEOUT)
        equal(vm.process.poll(), None, "exit status")


vmtest.main()
