# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Linux guest makes of our own CPU: which mitigations it thinks it needs, which clocks it
chooses, and whether vector instructions compute there what they compute here."""
import os
import re
import subprocess

import vmtest
from vmtest import check, contains, equal, lacks, run_in_guest

VECTORS = os.environ.get("GUEST_VECTORS",
                         f"{vmtest.ROOT}/build/tests/functional/programs/vectors")
LOOK = ("head -n 1 /sys/devices/system/cpu/vulnerabilities/* | grep -v '^$'; "
        "cat /sys/devices/system/clocksource/clocksource0/current_clocksource; "
        "cat /proc/cpuinfo; dmesg")
# Every CPU has the first; the kernel always guards against the second, here by a bit it sets once.
REMAINING = {"spectre_v1": "Mitigation: usercopy/swapgs barriers",
             "spectre_v2": "Mitigation: Enhanced / Automatic IBRS"}


def newc(name, content, mode):
    """A cpio archive with one file, as the kernel unpacks it (Linux driver-api/early-userspace/
    buffer-format.rst)."""
    def member(path, data, mode_bits):
        fields = [1, mode_bits, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + path.encode() + b"\0"
        head += b"\0" * (-len(head) % 4)
        return head + data + b"\0" * (-len(data) % 4)
    return member(name, content, 0o100000 | mode) + member("TRAILER!!!", b"", 0)


def vulnerabilities(text):
    """The files below /sys/.../vulnerabilities as a dictionary."""
    return dict(re.findall(r"==> \S*/(\S+) <==\n(.*)", text))


def look(*arguments):
    return run_in_guest(LOOK, "-m", "512", *arguments)


def check_no_crutches(text):
    found = vulnerabilities(text)
    check(len(found) > 8, f"vulnerabilities: {found}")
    for name, state in found.items():
        if name in REMAINING:
            check(state.startswith(REMAINING[name]), f"{name}: {state}")
            lacks(state, "SW loop", "SW sequence", "Retpoline", "Vulnerable")
        else:
            equal(state, "Not affected", name)
    lacks(text, "Kernel/User page tables isolation: enabled", "return thunks")


def check_clocks(text):
    contains(text, "\ntsc\n", "kvm-clock: Using msrs", "Switched APIC routing to physical x2apic",
             "TSC deadline timer available")
    for flag in "constant_tsc", "nonstop_tsc", "arat", "tsc_known_freq":
        check(re.search(rf"^flags.*\b{flag}\b", text, re.M), f"{flag} is not in /proc/cpuinfo")
    contains(text, "Detected 1000.000 MHz processor")
    # Nothing was measured against another clock.
    lacks(text, "calibration", "Calibrating APIC timer")


def test_max():
    """-cpu max needs no mitigation that costs code, and tells its frequencies."""
    vmtest.skip_on_qemu("offers none of this")
    text = look("-cpu", "max")
    check_no_crutches(text)
    check_clocks(text)


def test_host():
    """-cpu host, which has the host's family and model and so is in more lists of affected CPUs."""
    vmtest.skip_on_qemu("is KVM's alone there")
    check_no_crutches(look("-cpu", "host"))


def test_default_clock():
    """A named model gets KVM's clock, which its definition does not mention, unless kvm=off."""
    vmtest.skip_on_qemu("has KVM's clock under KVM only")
    text = look()
    contains(text, "\nkvm-clock\n", "Hypervisor detected: KVM")
    text = look("-cpu", "qemu64,kvm=off")
    lacks(text, "kvm-clock", "Hypervisor detected: KVM")
    check(re.search(r"^tsc(-early)?$", text, re.M), f"clock source: {text}")


def test_vectors():
    """AVX2, AVX-512 and their kin give the same checksums in the guest and on the host, and two
    processes keep their registers."""
    if not os.path.exists(VECTORS):
        raise vmtest.Skip("the guest program is not built")
    native = subprocess.run([VECTORS], capture_output=True, text=True, check=True).stdout
    kernel, initrd = vmtest.make_guest()
    del kernel
    with open(initrd, "rb") as file, open(VECTORS, "rb") as program:
        image = file.read()
        image += b"\0" * (-len(image) % 4) + newc("vectors", program.read(), 0o755)
    with vmtest.scratch_directory() as scratch:
        path = vmtest.write_file(scratch, "initrd", image)
        guest = run_in_guest("/vectors", "-m", "512", "-cpu", "max", "-initrd", path)
    equal(guest.splitlines(), native.splitlines(), "results in the guest")
    check("avx2 " in native, "this host has no AVX2")


vmtest.main()
