#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QMP as a client sees it: protocol, schema, every command, events, several clients; and HMP."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import vmtest
from vmtest import check, contains, equal


class Client:
    """A connection to a QMP socket; negotiates unless told not to."""

    def __init__(self, path, negotiate=True):
        deadline = time.monotonic() + 30 * vmtest.SCALE
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                check(time.monotonic() < deadline, f"nobody listens on {path}")
                time.sleep(0.02)
        self.socket.settimeout(30 * vmtest.SCALE)
        self.file = self.socket.makefile("r", encoding="ascii", newline="\n")
        self.events = []
        self.greeting = self.message()
        if negotiate:
            equal(self.command("qmp_capabilities"), {}, "qmp_capabilities")

    def message(self):
        line = self.file.readline()
        check(line.endswith("\r\n"), f"a line that ends strangely: {line!r}")
        return json.loads(line)

    def answer(self):
        """The next message that is no event; events are kept."""
        while True:
            message = self.message()
            if "event" not in message:
                return message
            self.events.append(message)

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def raw(self, name, arguments=None, **more):
        request = {"execute": name, **more}
        if arguments is not None:
            request["arguments"] = arguments
        self.send(json.dumps(request))
        return self.answer()

    def command(self, name, arguments=None):
        answer = self.raw(name, arguments)
        check("return" in answer, f"{name}: {answer}")
        return answer["return"]

    def error(self, name, arguments=None):
        answer = self.raw(name, arguments)
        check("error" in answer, f"{name} {arguments}: {answer}")
        return answer["error"]

    def event(self, name):
        """Waits for the next event, which must be this one."""
        if not self.events:
            self.events.append(self.message())
        event = self.events.pop(0)
        equal(event.get("event"), name, "event")
        seconds = event["timestamp"]["seconds"] + event["timestamp"]["microseconds"] / 1e6
        check(abs(seconds - time.time()) < 600, f"time of {event}")
        return event.get("data")

    def close(self):
        self.file.close()
        self.socket.close()


class Machine:
    """The program with as many QMP sockets as wanted, stopped, ended with the statement."""

    def __init__(self, *arguments, sockets=1, machine="none"):
        self.scratch = vmtest.scratch_directory()
        self.paths = [f"{self.scratch.name}/qmp{n}" for n in range(sockets)]
        options = [word for path in self.paths
                   for word in ("-qmp", f"unix:{path},server=on,wait=off")]
        self.process = subprocess.Popen(
            [vmtest.BINARY, "-machine", machine, "-display", "none", "-S", *options, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.scratch.cleanup()

    def client(self, number=0, **more):
        return Client(self.paths[number], **more)


class Schema:
    """What query-qmp-schema says, and whether a value is of a type."""

    def __init__(self, entities):
        self.entities = {entity["name"]: entity for entity in entities}
        equal(len(self.entities), len(entities), "entities with names of their own")

    def of_meta_type(self, meta_type):
        return {name: entity for name, entity in self.entities.items()
                if entity["meta-type"] == meta_type}

    def members(self, name):
        return {member["name"]: member for member in self.entities[name]["members"]}

    def validate(self, name, value, place):
        entity = self.entities[name]
        getattr(self, "_" + entity["meta-type"])(entity, value, place)

    def _builtin(self, entity, value, place):
        kinds = {"string": str, "int": int, "boolean": bool, "number": (int, float),
                 "null": type(None), "value": object}
        kind = entity["json-type"]
        check(isinstance(value, kinds[kind]) and (kind != "int" or not isinstance(value, bool)),
              f"{place}: {value!r} is no {kind}")

    def _enum(self, entity, value, place):
        equal([member["name"] for member in entity["members"]], entity["values"], "members")
        check(value in entity["values"], f"{place}: {value!r} is none of {entity['values']}")

    def _array(self, entity, value, place):
        check(isinstance(value, list), f"{place}: {value!r} is no array")
        for number, item in enumerate(value):
            self.validate(entity["element-type"], item, f"{place}[{number}]")

    def _object(self, entity, value, place):
        check(isinstance(value, dict), f"{place}: {value!r} is no object")
        members = self.members(entity["name"])
        for variant in entity.get("variants", []):
            if value.get(entity["tag"]) == variant["case"]:
                members = {**members, **self.members(variant["type"])}
        for name, member in members.items():
            if name in value:
                self.validate(member["type"], value[name], f"{place}.{name}")
            else:
                check("default" in member, f"{place}: {name} is missing in {value}")
        equal(set(value) - set(members), set(), f"{place}: members unknown to the schema")


NEHALEM = {"name": "Nehalem"}
# Arguments with which each command that takes any succeeds; what ends or changes the machine last.
ARGUMENTS = {
    "qom-list-types": [{}, {"implements": "device"}, {"abstract": True}],
    "qom-list-properties": [{"typename": "max-x86_64-cpu"}, {"typename": "none-machine"},
                            {"typename": "VGA"}],
    "device-list-properties": [{"typename": "VGA"}, {"typename": "isa-serial"}],
    "query-config": [{}, {"group": "machine"}],
    "human-monitor-command": [{"command-line": "info status"}],
    "query-command-line-options": [{}, {"option": "smp-opts"}],
    "query-cpu-model-expansion": [{"type": "static", "model": {"name": "max"}},
                                  {"type": "full", "model": {**NEHALEM, "props": {"aes": True}}}],
    "query-cpu-model-comparison": [{"modela": NEHALEM, "modelb": {"name": "Haswell"}}],
    "query-cpu-model-baseline": [{"modela": NEHALEM, "modelb": {"name": "EPYC"}}],
}
LAST = ["system_powerdown", "cont", "stop", "system_reset", "quit"]


def test_every_command():
    with Machine() as machine:
        client = machine.client()
        schema = Schema(client.command("query-qmp-schema"))
        commands = schema.of_meta_type("command")
        equal({command["name"] for command in client.command("query-commands")}, set(commands),
              "commands of query-commands and of the schema")
        equal({event["name"] for event in client.command("query-events")},
              set(schema.of_meta_type("event")), "events")
        for name in sorted(set(commands) - set(LAST)) + LAST:
            if name == "qmp_capabilities":
                continue
            required = [key for key, member in schema.members(commands[name]["arg-type"]).items()
                        if "default" not in member]
            check(not required or name in ARGUMENTS, f"this test has no arguments for {name}")
            for arguments in ARGUMENTS.get(name, [None, {}]):
                if name == "quit" and arguments is None:
                    continue
                schema.validate(commands[name]["arg-type"], arguments or {}, name)
                schema.validate(commands[name]["ret-type"], client.command(name, arguments), name)
        equal(machine.process.wait(30 * vmtest.SCALE), 0, "exit status")


def test_wrong_arguments():
    wrong = {"str": 1, "bool": "yes", "int": "1", "number": [], "any": None}
    with Machine() as machine:
        client = machine.client()
        schema = Schema(client.command("query-qmp-schema"))
        for name, command in schema.of_meta_type("command").items():
            if name == "qmp_capabilities":
                continue
            good = ARGUMENTS.get(name, [{}])[-1]
            equal(client.error(name, {**good, "no-such": 1}),
                  {"class": "GenericError", "desc": "Parameter 'no-such' is unexpected"}, name)
            for key, member in schema.members(command["arg-type"]).items():
                bad = wrong.get(member["type"], 5)
                if member["type"] == "any":
                    continue
                error = client.error(name, {**good, key: bad})
                equal(error["class"], "GenericError", f"{name}: class")
                contains(error["desc"], f"Invalid parameter type for '{key}', expected: ")
                if "default" not in member:
                    rest = {other: value for other, value in good.items() if other != key}
                    equal(client.error(name, rest)["desc"], f"Parameter '{key}' is missing", name)
        error = client.error("query-cpu-model-expansion",
                             {"type": "full", "model": {"name": "max", "props": {"aes": [1]}}})
        contains(error["desc"], "props.aes")
        error = client.error("query-cpu-model-expansion", {"type": "all", "model": NEHALEM})
        equal(error["desc"], "Parameter 'type' does not accept value 'all'")
        equal(client.error("no-such-command"),
              {"class": "CommandNotFound",
               "desc": "The command no-such-command has not been found"})
        equal(client.error("device-list-properties", {"typename": "nothing"})["class"],
              "DeviceNotFound")


def test_negotiation():
    with Machine() as machine:
        client = machine.client(negotiate=False)
        version = client.greeting["QMP"]["version"]
        equal({**version["qemu"], "micro": 0}, {"major": 7, "minor": 2, "micro": 0}, "version")
        contains(version["package"], "Tessera ")
        equal(client.raw("query-status", id=5), {
            "id": 5, "error": {"class": "CommandNotFound", "desc":
                               "Expecting capabilities negotiation with 'qmp_capabilities'"}})
        client.command("qmp_capabilities")
        equal(client.error("qmp_capabilities")["class"], "CommandNotFound")
        client.close()
        equal(machine.client().command("query-status")["status"], "prelaunch")


def test_stream():
    """Cut anywhere, several in one, mistakes between: every request is answered in its turn."""
    with Machine() as machine:
        client = machine.client()
        ids = [None, 0, -1, 2**63 - 1, 2**63, 2**64 - 1, "é😀\0", [1, {"a": []}], {}, True]
        for ident in ids:
            equal(client.raw("query-name", id=ident), {"return": {}, "id": ident})
        request = json.dumps({"execute": "query-name", "id": "é😀" + "x" * 20},
                             ensure_ascii=False).encode()
        for cut in range(1, len(request)):
            client.send(request[:cut])
            time.sleep(0.001)
            client.send(request[cut:])
            equal(client.answer()["id"], "é😀" + "x" * 20)
        client.send(b"".join(b'{"execute":"query-name","id":%d}' % n for n in range(2000)))
        for n in range(2000):
            equal(client.answer(), {"return": {}, "id": n})
        client.send(b'{"execute":"query-name","id":1}}{"id":2 "execute":3}@ \xff'
                    b'{"execute":"query-name","id":2}')
        equal([client.answer().get("id", "error") for _ in range(5)],
              [1, "error", "error", "error", 2])
        client.send(b"[" * 100000 + b"\xff")
        equal(client.answer()["error"]["desc"], "JSON nesting depth limit exceeded")
        client.send(b'\xff{"execute":"query-name","id":"end"}')
        while client.answer().get("id") != "end":
            pass


def test_events():
    with Machine("-no-shutdown", machine="pc", sockets=2) as machine:
        client, other = machine.client(0), machine.client(1)
        silent = None
        client.command("cont")
        equal(client.events.pop(0)["event"], "RESUME")
        equal(client.command("query-status"),
              {"running": True, "singlestep": False, "status": "running"})
        client.command("stop")
        client.event("STOP")
        equal(client.command("query-status")["status"], "paused")
        client.command("system_reset")
        equal(client.event("RESET"), {"guest": False, "reason": "host-qmp-system-reset"})
        equal(client.command("query-status")["status"], "prelaunch")
        client.command("system_powerdown")
        client.event("POWERDOWN")
        for name in ("RESUME", "STOP", "RESET", "POWERDOWN"):  # the other client saw them all
            other.event(name)
        other.close()
        silent = machine.client(1, negotiate=False)
        machine.process.send_signal(signal.SIGTERM)
        equal(client.event("SHUTDOWN"), {"guest": False, "reason": "host-signal"})
        equal(machine.process.wait(30 * vmtest.SCALE), 0, "exit status")
        equal(silent.file.read(), "", "a client that has not negotiated gets")


def test_quit():
    with Machine(sockets=1) as machine:
        client = machine.client()
        client.command("quit")
        equal(client.event("SHUTDOWN"), {"guest": False, "reason": "host-qmp-quit"})
        equal(machine.process.wait(30 * vmtest.SCALE), 0, "exit status")
        check(not os.path.exists(machine.paths[0]), "the socket is still there")


def test_several_clients():
    with Machine(sockets=3) as machine:
        clients = [machine.client(number) for number in range(3)]
        for number, client in enumerate(clients):
            client.send(b'{"execute":"query-commands","id":%d}' % number * 50)
        for number, client in enumerate(clients):
            for _ in range(50):
                equal(client.answer()["id"], number)


def test_slow_reader():
    """A client that sends and does not read stops being read, and loses nothing."""
    with Machine(sockets=2) as machine:
        slow, other = machine.client(0), machine.client(1)
        data = b'{"execute":"query-commands"}\n'
        sent = 0
        slow.socket.setblocking(False)
        try:
            while sent < 10000000:
                sent += slow.socket.send(data * 100)
        except BlockingIOError:
            pass
        check(sent < 10000000, "all is read though nothing is answered")
        equal(other.command("query-name"), {})
        memory = open(f"/proc/{machine.process.pid}/statm", encoding="ascii").read().split()
        check(int(memory[1]) * 4096 < 200 << 20, f"resident pages: {memory[1]}")
        slow.socket.settimeout(30 * vmtest.SCALE)
        for _ in range(sent // len(data)):
            check(slow.answer()["return"], "an answer")


def test_machine_queries():
    uuid = "550e8400-e29b-41d4-a716-446655440000"
    with Machine("-name", "guest=vm1", "-uuid", uuid, "-smp", "4,sockets=2,cores=2", "-m", "64",
                 machine="pc") as machine:
        client = machine.client()
        equal(client.command("query-name"), {"name": "vm1"})
        equal(client.command("query-uuid"), {"UUID": uuid})
        equal(client.command("query-target"), {"arch": "x86_64"})
        equal(client.command("human-monitor-command", {"command-line": "info name"}), "vm1\r\n")
        equal(client.command("query-kvm")["enabled"], False)
        cpus = client.command("query-cpus-fast")
        equal([(cpu["props"]["socket-id"], cpu["props"]["core-id"]) for cpu in cpus],
              [(0, 0), (0, 1), (1, 0), (1, 1)])
        tasks = os.listdir(f"/proc/{machine.process.pid}/task")
        check(all(str(cpu["thread-id"]) in tasks for cpu in cpus), f"{cpus} are not of {tasks}")
        machines = {item["name"]: item for item in client.command("query-machines")}
        equal([name for name, item in machines.items() if item.get("is-default")],
              ["pc-i440fx-1.0"])
        config = client.command("query-config", {"group": "smp"})
        equal({key["key"]: key["value"] for key in config[0]["keys"]},
              {"cpus": "4", "sockets": "2", "cores": "2"})
        check(all(key["origin"].startswith("-smp argument ") for key in config[0]["keys"]),
              f"origins: {config}")
        labels = {item["label"]: item for item in client.command("query-chardev")}
        equal(labels["compat_monitor0"], {
            "label": "compat_monitor0", "frontend-open": True,
            "filename": f"unix:{machine.paths[0]},server=on"})


def test_types():
    with Machine() as machine:
        client = machine.client()
        names = {item["name"] for item in client.command("qom-list-types")}
        check({"VGA", "isa-serial", "max-x86_64-cpu", "none-machine", "tcg-accel"} <= names,
              f"types: {names}")
        for item in client.command("qom-list-types", {"implements": "device"}):
            client.command("qom-list-properties", {"typename": item["name"]})
        models = client.command("query-cpu-definitions")
        check(len(models) >= 132, f"{len(models)} models")
        for model in models:
            check(model["typename"] in names, f"{model['typename']} is no type")
        by_name = {model["name"]: model for model in models}
        equal(by_name["Nehalem"]["alias-of"], "Nehalem-v1")
        contains(by_name["Haswell"]["unavailable-features"], "hle", "rtm")


def test_cpu_expansion():
    """What an expansion says makes the same model again; static ones stand on base."""
    with Machine() as machine:
        client = machine.client()
        for name in ("max", "Nehalem", "EPYC", "486"):
            static, full = (client.command("query-cpu-model-expansion",
                                           {"type": kind, "model": {"name": name}})["model"]
                            for kind in ("static", "full"))
            equal(static["name"], "base")
            again = client.command("query-cpu-model-expansion", {"type": "full", "model": static})
            equal(again["model"]["props"], full["props"], f"{name}: static, then full")
            again = client.command("query-cpu-model-expansion", {"type": "static", "model": full})
            equal(again["model"], static, f"{name}: full, then static")
            compared = client.command("query-cpu-model-comparison",
                                      {"modela": static, "modelb": {"name": name}})
            equal(compared["result"], "identical", name)
        baseline = client.command("query-cpu-model-baseline",
                                  {"modela": {"name": "Haswell"}, "modelb": {"name": "EPYC"}})
        for name in ("Haswell", "EPYC"):
            compared = client.command("query-cpu-model-comparison",
                                      {"modela": baseline["model"], "modelb": {"name": name}})
            equal(compared["result"], "subset", name)


def test_forms():
    """-chardev and -mon, pretty, a configuration file, stdio."""
    with vmtest.scratch_directory() as scratch:
        done = subprocess.run(
            [vmtest.BINARY, "-machine", "none", "-S", "-display", "none", "-chardev",
             "stdio,id=c0", "-mon", "chardev=c0,mode=control,pretty=on"],
            input='{"execute":"qmp_capabilities"} {"execute":"query-target"}{"execute":"quit"}',
            capture_output=True, text=True, timeout=60 * vmtest.SCALE)
        contains(done.stdout, '{\n    "return": {\n        "arch": "x86_64"\n    }\n}\n')
        equal(done.returncode, 0)
        path = vmtest.write_file(scratch, "vm.conf", '[mon "m"]\n  chardev = "q"\n'
                                 '  mode = "control"\n[chardev "q"]\n  backend = "stdio"\n')
        done = subprocess.run(
            [vmtest.BINARY, "-machine", "none", "-S", "-display", "none", "-readconfig", path],
            input='{"execute":"qmp_capabilities"}{"execute":"quit"}',
            capture_output=True, text=True, timeout=60 * vmtest.SCALE)
        equal([list(json.loads(line))[0] for line in done.stdout.splitlines()],
              ["QMP", "return", "return", "timestamp"])
        done = vmtest.run_program("-machine", "none", "-mon", "chardev=nothing", "-check")
        equal(done.status, 1)
        contains(done.stderr, "there is no character device 'nothing'")


def test_hmp():
    with vmtest.VM("-machine", "pc", "-S", "-display", "none", "-serial", "none",
                   "-monitor", "stdio") as vm:
        vm.expect(r"\(qemu\) $")
        for command, answer in (("info status", r"VM status: paused \(prelaunch\)"),
                                ("info version", r"Tessera \d"), ("info mtree", r"pc\.ram"),
                                ("info qtree", r"dev: mc146818rtc"), ("info stats", r"CPU #0: "),
                                ("info jit", r"CPU #0:\nblocks: 0, 0 translated"),
                                ("info cpus", r"\* CPU #0: thread_id=\d+"),
                                ("info registers", r"RIP=000000000000fff0"),
                                ("cont\ninfo status", r"VM status: running"),
                                ("info registers", r"RIP="), ("help", r"system_reset -- "),
                                ("no-such", r"unknown command: 'no-such'")):
            vm.send(command + "\n")
            vm.expect(answer)
            vm.expect(r"\(qemu\) ")
        vm.send("quit\n")
        equal(vm.wait(), 0, "exit status")


def test_hmp_registers_of_kvm():
    """The kernel has the registers while KVM runs a CPU: the monitor asks for them."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise vmtest.Skip("no /dev/kvm")
    with vmtest.VM("-machine", "pc", "-S", "-display", "none", "-serial", "none", "-accel", "kvm",
                   "-monitor", "stdio") as vm:
        vm.send("info registers\n")
        vm.expect(r"RIP=000000000000fff0")
        vm.send("cont\n")
        deadline = time.monotonic() + 30 * vmtest.SCALE
        while True:
            vm.send("info registers\n")
            if vm.expect(r"RIP=(\w+)")[1] != "000000000000fff0":
                break
            check(time.monotonic() < deadline, "RIP stays at the reset vector")
            time.sleep(0.1)
        vm.send("quit\n")
        equal(vm.wait(), 0, "exit status")


def test_mux():
    """The terminal of -nographic: Ctrl-a c leads to the monitor and back."""
    with vmtest.VM("-machine", "pc", "-S", "-nographic") as vm:
        time.sleep(0.5)
        vm.send("\x01c")
        vm.expect(r"Tessera .* monitor - type 'help' for more information\n\(qemu\) ")
        vm.send("info status\n")
        vm.expect(r"VM status: paused \(prelaunch\)\n\(qemu\) ")
        vm.send("\x01cinfo status\n\x01c")
        vm.expect(r"\(qemu\) ")
        check(len(re.findall("VM status", vm.output)) == 1, "what is typed at the serial port")
        vm.send("quit\n")
        equal(vm.wait(), 0, "exit status")


if __name__ == "__main__":
    vmtest.main()
