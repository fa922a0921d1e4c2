# SPDX-License-Identifier: GPL-2.0-or-later
"""The accelerator kvm: which accelerator runs and why, the firmware, the models host and max, and
the bare-metal images. What needs /dev/kvm is skipped where there is none."""
import os
import re
import subprocess

import vmtest
from vmtest import VM, Skip, check, contains, equal, run_program

BANNER = r"SeaBIOS \(version"
IMAGE_DIR = os.environ.get("IMAGE_DIR", f"{vmtest.ROOT}/build/tests/guest")
NO_DEVICE = {"TESSERA_KVM_DEVICE": "/nowhere/kvm"}
# Checks that fail in KVM's part of the work, where no exit lets us stand in. A20 is never masked
# by KVM. The others are of software emulations of KVM in a VM without nested virtualization: INT n
# at CPL 3 is #UD, stores that cross into a page that faults are not undone, FXSAVE takes any
# address.
KNOWN = {
    "real": {"real-a20-off"},
    "paging64": {"user-write", "cross-write-nothing", "cross-write-ro-nothing", "smep-user",
                 "smap-user"},
    "xsave": {"fxsave-unaligned"},
    "shutdown": set(),
}


def need_kvm():
    vmtest.skip_on_qemu("these are our messages and statistics")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise Skip("there is no /dev/kvm that this user may use")


def test_missing_device():
    """Without /dev/kvm: an error that says what to look at; with a second name, a warning."""
    vmtest.skip_on_qemu("other words")
    refused = run_program("-check", "-accel", "kvm", environment=NO_DEVICE)
    equal(refused.status, 1, "status")
    contains(refused.stderr, "error: accelerator 'kvm' does not work here", "/nowhere/kvm",
             "no such device", "tcg")
    for words in (["-accel", "kvm", "-accel", "tcg"], ["-machine", "pc,accel=kvm:tcg"]):
        taken = run_program("-check", *words, environment=NO_DEVICE)
        equal(taken.status, 0, f"status of {words}")
        contains(taken.stderr, "warning", "/nowhere/kvm", "trying the next")


def test_wrong_device():
    """A device that is no KVM: its version is looked at."""
    vmtest.skip_on_qemu("other words")
    refused = run_program("-check", "-enable-kvm", environment={"TESSERA_KVM_DEVICE": "/dev/null"})
    equal(refused.status, 1, "status")
    contains(refused.stderr, "-enable-kvm", "/dev/null", "KVM API has version")


def test_help():
    vmtest.skip_on_qemu("other words")
    text = run_program("-accel", "help", environment=NO_DEVICE).stdout
    check(re.search(r"^kvm$", text, re.M) and re.search(r"^tcg$", text, re.M), text)
    contains(text, "it does not work here: /nowhere/kvm")


def test_irqchip():
    """What is not there is refused, not ignored; a wrong word as well."""
    vmtest.skip_on_qemu("has them in the kernel")
    contains(run_program("-check", "-accel", "kvm,kernel-irqchip=split").stderr,
             "kernel-irqchip=split")
    contains(run_program("-check", "-machine", "kernel-irqchip=maybe").stderr, "on, off, split")


def test_verdict():
    """-d accel says which accelerator runs, and why those named before it do not."""
    vmtest.skip_on_qemu("has no verdict")
    with VM("-accel", "kvm", "-accel", "tcg", "-display", "none", "-d", "accel", "-S",
            environment=NO_DEVICE) as vm:
        vm.expect(r"accelerator 'tcg' runs the machine; 'kvm' does not work here: /nowhere/kvm")


def test_firmware():
    need_kvm()
    with VM("-accel", "kvm", "-nographic", "-m", "64", "-d", "accel,stats") as vm:
        vm.expect("accelerator 'kvm' runs the machine")
        vm.expect(BANNER)
        vm.process.terminate()
        vm.expect(r"kvm: cpu 0: io \d+")
        equal(vm.wait(), 0, "status")
        check("unknown" not in vm.output, "an exit of unknown kind")


def test_models():
    """host and max start, and so does a model from before CPUID told address widths."""
    need_kvm()
    for model in ("host", "max", "486"):
        with VM("-accel", "kvm", "-nographic", "-m", "64", "-cpu", model) as vm:
            vm.expect(BANNER)


def test_two_processors():
    """The second CPU is created, sleeps for its start-up message, and the firmware finds it."""
    need_kvm()
    with VM("-accel", "kvm", "-nographic", "-m", "64", "-smp", "2") as vm:
        vm.expect(BANNER)
        vm.expect("(?i)boot")


def run_image(name):
    """The names of the checks that failed, and how many went well."""
    with vmtest.scratch_directory() as scratch:
        report = f"{scratch}/report"
        more = [] if name == "shutdown" else ["-no-reboot"]
        subprocess.run([vmtest.BINARY, "-accel", "kvm", "-cpu", "max", "-m", "64", "-nodefaults",
                        "-display", "none", "-bios", f"{IMAGE_DIR}/{name}.img",
                        "-chardev", f"file,id=report,path={report}",
                        "-device", "isa-debugcon,iobase=0xe9,chardev=report",
                        "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", *more],
                       check=False, timeout=120 * vmtest.SCALE, stdin=subprocess.DEVNULL)
        with open(report, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    check(any(line.startswith("done") for line in lines), f"{name}: no end: {lines[-3:]}")
    failed = {line.split()[1] for line in lines if line.startswith("FAIL ")}
    return failed, sum(line.startswith("ok ") for line in lines)


def test_images():
    """The bare-metal images, apart from what KVM itself gets wrong."""
    need_kvm()
    for name, known in KNOWN.items():
        failed, good = run_image(name)
        check(failed <= known, f"{name}: {sorted(failed - known)} failed")
        check(good > 0, f"{name}: no check went well")


vmtest.main()
