# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Linux guest makes of our own CPU: which mitigations it thinks it needs, which clocks it
chooses and how steady they are, and whether vector instructions compute there what they compute
here."""
import json
import os
import re
import socket
import subprocess
import time

import vmtest
from vmtest import check, contains, equal, lacks, run_in_guest

VECTORS = os.environ.get("GUEST_VECTORS",
                         f"{vmtest.ROOT}/build/tests/functional/programs/vectors")
CLOCKS = os.environ.get("GUEST_CLOCKS", f"{vmtest.ROOT}/build/tests/functional/programs/clocks")
STOPPED = 4  # seconds
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


def initrd_with(scratch, path):
    """An initramfs in which the program @path is in the root directory."""
    with open(vmtest.make_guest()[1], "rb") as file, open(path, "rb") as program:
        image = file.read()
        image += b"\0" * (-len(image) % 4) + newc(os.path.basename(path), program.read(), 0o755)
    return vmtest.write_file(scratch, "initrd", image)


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


def test_vectors():
    """AVX2, AVX-512 and their kin give the same checksums in the guest and on the host, and two
    processes keep their registers."""
    if not os.path.exists(VECTORS):
        raise vmtest.Skip("the guest program is not built")
    native = subprocess.run([VECTORS], capture_output=True, text=True, check=True).stdout
    with vmtest.scratch_directory() as scratch:
        path = initrd_with(scratch, VECTORS)
        guest = run_in_guest("/vectors", "-m", "512", "-cpu", "max", "-initrd", path)
    equal(guest.splitlines(), native.splitlines(), "results in the guest")
    check("avx2 " in native, "this host has no AVX2")


def qmp(path, *commands):
    """Connects to the QMP socket and gives the commands, a wait of STOPPED between them."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        with connection.makefile("rw") as stream:
            stream.readline()
            for number, command in enumerate(("qmp_capabilities", *commands)):
                if number > 1:
                    time.sleep(STOPPED)
                print(json.dumps({"execute": command}), file=stream, flush=True)
                while "return" not in json.loads(stream.readline()):
                    pass


def check_steady(*arguments):
    """No clock of either CPU goes back or jumps, though the machine is loaded and stops a while."""
    with vmtest.scratch_directory() as scratch:
        path = f"{scratch}/qmp"
        words = ["-m", "512", "-smp", "2", "-qmp", f"unix:{path},server,nowait",
                 "-initrd", initrd_with(scratch, CLOCKS), *arguments]
        append = "quiet tessera.run=/clocks%208"
        with vmtest.VM(*vmtest.demo_arguments(*words, append=append)) as vm:
            vm.expect("looking\n", vmtest.BOOT_TIMEOUT)
            time.sleep(1)
            qmp(path, "stop", "cont")
            found = vm.expect(r"backwards (\d+) (\d+) longest (\d+) drift (-?\d+)", 120)
            tsc, monotonic, longest, drift = map(int, found.groups())
            equal(vm.wait(), 0, "exit status")
    equal((tsc, monotonic), (0, 0), "how often the TSC and CLOCK_MONOTONIC went back")
    check(longest < 1000 * STOPPED, f"CLOCK_MONOTONIC jumped by {longest} ms")
    check(abs(drift) < 200, f"CLOCK_MONOTONIC is {drift} ppm from the TSC")


def test_steady_tsc():
    vmtest.skip_on_qemu("is slow to boot two CPUs")
    check_steady("-cpu", "max")


def test_steady_kvm_clock():
    vmtest.skip_on_qemu("has KVM's clock under KVM only")
    check_steady()


vmtest.main()
