# SPDX-License-Identifier: GPL-2.0-or-later
"""The one command of the README: `make run` in a fresh copy of the sources builds everything and
ends at a Linux shell, with piped input as well."""
import os
import shutil
import subprocess

import vmtest
from vmtest import check, contains, equal


def not_sources(directory, names):
    """What a clone would not have: history, downloads, build directories."""
    return [name for name in names if name in (".git", ".cache", "__pycache__")
            or os.path.isdir(os.path.join(directory, name, "meson-private"))]


def test_piped_input():
    vmtest.make_guest()
    with vmtest.scratch_directory() as scratch:
        copy = os.path.join(scratch, "tessera")
        shutil.copytree(vmtest.ROOT, copy, ignore=not_sources, symlinks=True)
        # The copy's own program is under test; the downloads alone are shared with this tree.
        environment = {**os.environ, "GUEST_DIR": vmtest.GUEST_DIR}
        environment.pop("MAKEFLAGS", None)
        if not vmtest.IS_QEMU:
            environment.pop("TESSERA_BINARY", None)
        done = subprocess.run(["make", "run"], cwd=copy, env=environment, text=True,
                              input="uname -a\ncat /proc/cpuinfo\npoweroff\n", errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=900 * vmtest.SCALE)
        equal(done.returncode, 0, f"status of make run, which printed:\n{done.stdout[-4000:]}\n")
        output = done.stdout.replace("\r", "")
        contains(output, "press Ctrl-a x")
        at_prompt = output[output.index(vmtest.WELCOME):]
        check("x86_64 GNU/Linux" in at_prompt, f"uname -a did not answer:\n{at_prompt[-4000:]}")
        contains(at_prompt, "uname -a", "processor\t: 0", "vendor_id", "flags")


vmtest.main()
