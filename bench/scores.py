# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the guest benchmark, natively or in a machine, and keeps its scores: for compare and table.

A score is as the guest's clock has it. "adjusted" corrects it for the share of one host CPU that
the process really got since the line before, so that a busy host does not spoil it; tests with two
threads (mt_), and machines with several vCPUs, are left as they are. A command that runs the
benchmark as a plain process reports its own CPU time (cpu=)."""
import json
import math
import os
import re
import statistics
import subprocess
import threading
import time

LINE = re.compile(rb"^(\S+) +([0-9.]+) ([0-9.e+-]+) (\S+) (\d+) ([0-9a-f]+) (ok|WRONG|unverified)"
                  rb"(?: cpu=([0-9.]+))?")
CRASH = re.compile(rb"^(\S+) +- - CRASH")
QUIET = re.compile(rb"bench-done|.* skip$")
# As a plain process these wait for others: no correction.
SCHEDULING = ("os_fork", "os_forkexec", "os_ctxsw", "os_ctxsw_free", "os_thread")
LEAST_SHARE = 0.05
BAD_VERDICTS = ("WRONG", "CRASH")


def cpu_seconds(pid):
    """CPU time of all threads of a process so far."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    except OSError:
        pass
    return total / 1e9


def is_machine(command):
    return "-system-" in command[0]


def share_of(match, machine, cpu, wall):
    if match[1].startswith(b"mt_"):
        return 1.0
    if machine:
        share = cpu / wall
    else:
        share = float(match[8] or 0) / float(match[2])
    return min(1.0, max(share, LEAST_SHARE))


def entry_of(results, test, unit=""):
    return results.setdefault(test.decode(), {"unit": unit, "raw": [], "adjusted": [],
                                              "share": [], "verdict": "ok"})


def keep_line(results, line, machine, cpu, wall):
    """Takes in a line of output; False if it is none of the benchmark's."""
    match = LINE.match(line)
    crash = CRASH.match(line)
    if match:
        share = share_of(match, machine, cpu, wall)
        entry = entry_of(results, match[1])
        entry["unit"] = match[4].decode()
        if entry["verdict"] not in BAD_VERDICTS:
            entry["verdict"] = match[7].decode()
        entry["raw"].append(float(match[3]))
        entry["adjusted"].append(float(match[3]) / share)
        entry["share"].append(round(share, 3))
    elif crash:
        entry_of(results, crash[1])["verdict"] = "CRASH"
    return bool(match or crash or QUIET.match(line))


def measure_once(command, results, other, timeout=None):
    """One run into @results. Lines that are not the benchmark's go to the binary file @other. True
    if the command ended by itself, False if it was killed after @timeout seconds."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    killed = threading.Event()

    def kill():
        killed.set()
        process.kill()

    watchdog = threading.Timer(timeout or 1e6, kill)
    watchdog.daemon = True
    watchdog.start()
    cpu, wall = cpu_seconds(process.pid), time.monotonic()
    for line in process.stdout:
        cpu_now, wall_now = cpu_seconds(process.pid), time.monotonic()
        if not keep_line(results, line.strip(), is_machine(command), cpu_now - cpu,
                         wall_now - wall):
            other.write(line)
            other.flush()
        cpu, wall = cpu_now, wall_now
    process.wait()
    watchdog.cancel()
    return not killed.is_set()


def save(path, name, command, runs, results):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"name": name, "cmd": command, "runs": runs, "res": results}, file)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def score(data, test):
    """The median to compare; None if the test was not run."""
    entry = data["res"].get(test)
    if not entry or not entry["raw"]:
        return None
    plain = not is_machine(data["cmd"]) and test in SCHEDULING
    return statistics.median(entry["raw" if plain or "-smp" in data["cmd"] else "adjusted"])


def verdict(data, test):
    """WRONG or CRASH if the test ever went so, else an empty text."""
    entry = data["res"].get(test)
    return entry["verdict"] if entry and entry["verdict"] in BAD_VERDICTS else ""


def number(value):
    return "-" if value is None else f"{value:.4g}" if value < 1e5 else f"{value:.0f}"


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None
