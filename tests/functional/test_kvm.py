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
ODDITIES = f"{IMAGE_DIR}/kvm-oddities"
NO_DEVICE = {"TESSERA_KVM_DEVICE": "/nowhere/kvm"}
# Checks that fail in KVM's part of the work where no exit lets us stand in, and the case of
# tests/guest/kvm-oddities.c that shows the same without us. A KVM that gets the case right has no
# excuse.
KNOWN = {
    "real": {},
    "prot": {"exception-ext-bit": "gate-checks", "exception-gate-ext": "gate-checks"},
    "v86": {},
    "debug": {"dr-write-count": "data-breakpoints", "dr-write-dr6": "data-breakpoints",
              "dr-write-eip": "data-breakpoints", "dr-write-not-read": "data-breakpoints",
              "dr-access-count": "data-breakpoints", "dr-byte-in-range": "data-breakpoints",
              "de-gp-is-df": "double-faults", "tf-rep-iterations": "step-rep",
              "tf-mov-ss-inhibits": "step-mov-ss"},
    "long": {"sysret-flags": "user-iopl", "sysretl-cs": "sysret-compat"},
    "paging64": {"cross-write-nothing": "page-crossing", "cross-write-ro-nothing": "page-crossing"},
    "xsave": {"fxsave-unaligned": "fxsave-alignment"},
    "task": {},
    "paging32": {},
    "shutdown": {},
    "smp": {"locked-across-pages": "split-locks"},
    "shadow": {},
}
# Images that such a case ends early, and the last check before.
ENDED_BY = {"long": ("iret-checks", "iretq-null-ss-user"), "task": ("task-gates", "task-gate-int"),
            "paging32": ("paging32", None)}
PLACES = ("on", "split", "off")  # of the interrupt controllers
# Images that leave the interpreter little to do: the others are run with our own chips alone.
WITH_KERNEL_CHIPS = ("real", "xsave", "shutdown")
# Images that a KVM runs itself within seconds, however slow it is.
PATIENTLY = ("real", "prot", "v86", "debug", "long", "paging64", "xsave", "shutdown", "shadow")
PATIENT = "kvm,trials=patient,kernel-irqchip=off"


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


def test_forbidden_device():
    """A device that this user may not open: who may is said, and the next accelerator is taken."""
    vmtest.skip_on_qemu("other words")
    with vmtest.scratch_directory() as scratch:
        device = vmtest.write_file(scratch, "kvm", "")
        os.chmod(device, 0)
        os.chmod(scratch, 0o755)
        more = {"environment": {"TESSERA_KVM_DEVICE": device}}
        if os.getuid() == 0:
            more.update(user="nobody", group="nogroup", extra_groups=[])
        refused = run_program("-check", "-accel", "kvm", **more)
        equal(refused.status, 1, f"status; it printed {refused.text}")
        contains(refused.stderr, device, "permission denied", "group (kvm)")
        taken = run_program("-check", "-accel", "kvm", "-accel", "tcg", **more)
        equal(taken.status, 0, "status")
        contains(taken.stderr, "warning", "permission denied", "trying the next")


def test_help():
    vmtest.skip_on_qemu("other words")
    text = run_program("-accel", "help", environment=NO_DEVICE).stdout
    check(re.search(r"^kvm$", text, re.M) and re.search(r"^tcg$", text, re.M), text)
    contains(text, "it does not work here: /nowhere/kvm")


def test_irqchip():
    """A wrong word is refused, with the right ones."""
    vmtest.skip_on_qemu("has them in the kernel")
    contains(run_program("-check", "-machine", "kernel-irqchip=maybe").stderr, "on, off, split")


def test_verdict():
    """-d accel says which accelerator runs, and why those named before it do not."""
    vmtest.skip_on_qemu("has no verdict")
    with VM("-accel", "kvm", "-accel", "tcg", "-display", "none", "-d", "accel", "-S",
            environment=NO_DEVICE) as vm:
        vm.expect(r"accelerator 'tcg' runs the machine; 'kvm' does not work here: /nowhere/kvm")


def test_firmware():
    need_kvm()
    for place in ("on", "off"):
        with VM("-accel", f"kvm,kernel-irqchip={place}", "-nographic", "-m", "64", "-d",
                "accel,stats") as vm:
            vm.expect("accelerator 'kvm' runs the machine")
            vm.expect(BANNER)
            vm.process.terminate()
            vm.expect(r"kvm: cpu 0: \d+ exits")
            if place == "on":  # else a slow KVM may have had nothing to do
                vm.expect(r"kvm: cpu 0: io \d+")
            equal(vm.wait(), 0, "status")
            check("unknown" not in vm.output, "an exit of unknown kind")


def test_models():
    """host and max start under both accelerators, and so does, under kvm, a model from before CPUID
    told address widths."""
    need_kvm()
    for accel, model in (("kvm", "host"), ("kvm", "max"), ("kvm", "486"), ("tcg", "host"),
                         ("tcg", "max")):
        with VM("-accel", accel, "-nographic", "-m", "64", "-cpu", model) as vm:
            vm.expect(BANNER)


def test_two_processors():
    """The second CPU is created, sleeps for its start-up message, and the firmware finds it."""
    need_kvm()
    for place in PLACES:
        with VM("-accel", f"kvm,kernel-irqchip={place}", "-nographic", "-m", "64",
                "-smp", "2") as vm:
            vm.expect(BANNER)
            vm.expect("(?i)boot")


def run_to_end(command, early):
    """With @early, what the guest does behind its end is no matter."""
    try:
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL,
                       timeout=(10 if early else 120) * vmtest.SCALE)
    except subprocess.TimeoutExpired:
        check(early, f"timed out: {command}")


def run_image(name, odd, accel):
    """The names of the checks that failed."""
    case, last = ENDED_BY.get(name, (None, None))
    early = case in odd
    with vmtest.scratch_directory() as scratch:
        report = f"{scratch}/report"
        more = [] if name == "shutdown" else ["-no-reboot"]
        more += ["-smp", "2"] if name == "smp" else []
        run_to_end([vmtest.BINARY, "-accel", accel, "-cpu", "max",
                    "-m", "64", "-nodefaults", "-display", "none",
                    "-bios", f"{IMAGE_DIR}/{name}.img",
                    "-chardev", f"file,id=report,path={report}",
                    "-device", "isa-debugcon,iobase=0xe9,chardev=report",
                    "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4", *more],
                   early)
        with open(report, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    end = f"ok {last}" if early else "done"
    check(early and not last or any(line.startswith(end) for line in lines),
          f"{name}: no {end}: {lines[-3:]}")
    return {line.split()[1] for line in lines if line.startswith("FAIL ")}


def kvm_is_slow():
    """True if our interpreter does the supervisor's part for it."""
    with VM("-accel", "kvm", "-display", "none", "-d", "accel", "-S") as vm:
        vm.expect("runs the machine")
        vm.process.terminate()
        vm.wait()
        return bool(re.search("failed the trials of.* speed", vm.output))


def all_oddities():
    shown = subprocess.run([ODDITIES], check=True, capture_output=True, text=True,
                           timeout=60 * vmtest.SCALE)
    return {line.split()[0] for line in shown.stdout.splitlines()}


def check_image(name, odd, accel):
    excused = {test for test, case in KNOWN[name].items() if case in odd}
    failed = run_image(name, odd, accel)
    check(failed <= excused, f"{name}, {accel}: {sorted(failed - excused)} failed")


def test_images():
    """The bare-metal images, apart from what KVM itself gets wrong."""
    need_kvm()
    all_odd = all_oddities()
    slow = kvm_is_slow()
    for name in KNOWN:
        for place in PLACES if name in WITH_KERNEL_CHIPS else ("off",):
            # A slow KVM runs none of this, our interpreter does.
            odd = set() if slow and place == "off" else all_odd
            check_image(name, odd, f"kvm,kernel-irqchip={place}")


def test_images_patiently():
    """A KVM that emulates runs them itself, in turns with our interpreter."""
    need_kvm()
    odd = all_oddities()
    for name in PATIENTLY:
        check_image(name, odd, PATIENT)


vmtest.main()
