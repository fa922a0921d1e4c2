# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness of the functional tests: virtual machines with a piped serial line, and TAP.

A test is a script whose functions test_*() take no argument and raise on failure; it ends with
`vmtest.main()`. Run by hand, it takes the names of the tests to run. Environment:
  TESSERA_BINARY  the program under test (default build/tessera-system-x86_64). With a
                  qemu-system-x86_64 here the same tests check the tests (IS_QEMU).
  GUEST_DIR       the demo guest (default .cache/guest, made when absent)
  TIMEOUT_SCALE   multiplies every timeout, for slow machines and sanitizer builds"""
import fcntl
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import traceback
from urllib.parse import quote

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("TESSERA_BINARY", f"{ROOT}/build/tessera-system-x86_64")
GUEST_DIR = os.environ.get("GUEST_DIR", f"{ROOT}/.cache/guest")
SCALE = float(os.environ.get("TIMEOUT_SCALE", "1"))
IS_QEMU = os.path.basename(BINARY).startswith("qemu-system")
BOOT_TIMEOUT = 300  # seconds; a boot takes 10 to 30 alone on a core, and tests run beside others
WELCOME = "Type poweroff"
ESCAPE = re.compile("\x1b(\\[[0-9;?]*[A-Za-z]|[a-z])")
PARTIAL_ESCAPE = re.compile("(\x1b(\\[[0-9;?]*)?)?$")
PROMPT = r"(?m)^\S* # "


class Skip(Exception):
    """Raised by a test that cannot be run here; the text says why."""


class Failure(Exception):
    """What was expected did not come; carries what came instead."""


class VM:
    """A running machine. Use it in a with statement: it is killed at the end if it still runs."""

    def __init__(self, *arguments, environment=None):
        self.command = [BINARY, *arguments]
        self.output = ""    # everything seen so far
        self.held = ""
        self.mark = 0       # where the next expect() begins to look
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env={**os.environ, **(environment or {})})

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _read(self, deadline):
        """Reads once; False at the end of the output."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
            self._fail("timed out")
        data = os.read(self.process.stdout.fileno(), 65536)
        raw = self.held + data.decode("utf-8", "replace").replace("\r", "")
        # Control sequences are for terminals; one that is not whole yet waits for its rest.
        whole = len(raw) - len(PARTIAL_ESCAPE.search(raw)[0])
        self.output += ESCAPE.sub("", raw[:whole])
        self.held = raw[whole:]
        return bool(data)

    def _fail(self, why):
        tail = "\n".join(self.output.splitlines()[-60:])
        raise Failure(f"{why}: {' '.join(self.command)}\n--- last output:\n{tail}")

    def expect(self, pattern, timeout=60):
        """Waits until the regular expression appears after what was expected before; returns the
        match."""
        deadline = time.monotonic() + timeout * SCALE
        while True:
            match = re.compile(pattern).search(self.output, self.mark)
            if match:
                self.mark = match.end()
                return match
            if not self._read(deadline):
                self._fail(f"ended without {pattern!r}")

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def shell(self, command, timeout=60):
        """Types a command at the guest's prompt; returns what it prints."""
        self.send(command + "\n")
        # The echoed line may be wrapped at the terminal's width; a marker ends the answer.
        begin = self.expect(re.escape(command[-20:]) + r"\n", timeout).end()
        end = self.expect(PROMPT, timeout).start()
        return self.output[begin:end]

    def wait(self, timeout=60):
        """Waits for the end of the machine; returns its exit status."""
        deadline = time.monotonic() + timeout * SCALE
        while self._read(deadline):
            pass
        return self.process.wait(timeout=max(1, deadline - time.monotonic()))


def make_guest():
    """The demo guest's kernel and initramfs, made once if they are not there."""
    files = [f"{GUEST_DIR}/vmlinuz", f"{GUEST_DIR}/initrd.gz"]
    if not all(map(os.path.exists, files)):
        os.makedirs(GUEST_DIR, exist_ok=True)
        with open(f"{GUEST_DIR}/.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            subprocess.run([f"{ROOT}/scripts/make-guest", GUEST_DIR], check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return files


def demo_arguments(*arguments, append=""):
    """The command line that boots the demo guest on the console; a test's own words last."""
    kernel, initrd = make_guest()
    return ["-nographic", "-kernel", kernel, "-initrd", initrd,
            "-append", f"console=ttyS0 {append}".strip(), *arguments]


def boot_shell(*arguments, append="quiet", **more):
    """A machine whose demo guest is at its prompt. Quiet, lest the kernel talks into answers."""
    vm = VM(*demo_arguments(*arguments, append=append), **more)
    try:
        vm.expect(WELCOME, BOOT_TIMEOUT)
        vm.expect(PROMPT)
    except BaseException:
        vm.__exit__()
        raise
    return vm


def run_in_guest(command, *arguments, append="quiet", timeout=BOOT_TIMEOUT, **more):
    """Boots, runs one shell command in the guest and powers off; returns the command's output.
    Fails unless the command succeeds and the machine exits with status 0."""
    words = f"{append} tessera.run={quote('echo BEGIN; ' + command, safe='/;|&$:,.-_=')}".strip()
    with VM(*demo_arguments(*arguments, append=words), **more) as vm:
        begin = vm.expect(r"BEGIN\n", timeout).end()
        end = vm.expect(r"tessera.run: status (\d+)\n", timeout)
        output = vm.output[begin:end.start()]
        equal(end[1], "0", f"status of {command!r} in the guest, which printed {output!r}")
        equal(vm.wait(), 0, "exit status of the machine")
        return output


class Result:
    """What a program printed and how it ended."""

    def __init__(self, done):
        self.status = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr
        self.text = done.stdout + done.stderr


def run_program(*arguments, environment=None, timeout=60, **more):
    """Runs the program under test to its end, with nothing on its standard input."""
    done = subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=timeout * SCALE,
                          env={**os.environ, **(environment or {})}, **more)
    return Result(done)


def scratch_directory():
    """A temporary directory for a with statement."""
    return tempfile.TemporaryDirectory(prefix="tessera-test-")


def write_file(directory, name, content):
    path = os.path.join(directory, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def equal(got, wanted, what="value"):
    if got != wanted:
        raise Failure(f"{what}: got {got!r}, wanted {wanted!r}")


def check(condition, text):
    if not condition:
        raise Failure(text)


def contains(text, *wanted):
    for part in wanted:
        check(part in text, f"{part!r} is not in:\n{text}")


def lacks(text, *unwanted):
    for part in unwanted:
        check(part not in text, f"{part!r} is in:\n{text}")


def skip_on_qemu(why):
    if IS_QEMU:
        raise Skip(f"QEMU: {why}")


def run_one(number, name, function):
    begin = time.monotonic()
    try:
        function()
    except Skip as skip:
        print(f"ok {number} - {name} # SKIP {skip}")
    except Exception:
        for line in traceback.format_exc().splitlines():
            print(f"# {line}")
        print(f"not ok {number} - {name}")
        return False
    else:
        print(f"ok {number} - {name} ({time.monotonic() - begin:.1f} s)")
    finally:
        sys.stdout.flush()
    return True


def main():
    tests = {name[5:]: function for name, function in vars(sys.modules["__main__"]).items()
             if name.startswith("test_") and callable(function)}
    chosen = sys.argv[1:] or list(tests)
    print(f"1..{len(chosen)}", flush=True)
    results = [run_one(number, name, tests[name]) for number, name in enumerate(chosen, 1)]
    sys.exit(0 if all(results) else 1)
