# SPDX-License-Identifier: GPL-2.0-or-later
"""What -cpu shows of CPUs, against the guest's own eyes and libvirt's cpu map."""
import json
import os
import re
import xml.etree.ElementTree as ElementTree

import vmtest
from vmtest import check, contains, equal, run_program, write_file

DATA = f"{vmtest.ROOT}/tests/unit/target-i386"
# Five generations and more, of both vendors.
MODELS = ["pentium3", "core2duo", "Nehalem", "SandyBridge", "Haswell", "Skylake-Server",
          "Icelake-Server", "Opteron_G3", "EPYC", "EPYC-Milan", "max"]
PASSED = 1  # isa-debug-exit: value << 1 | 1
LEAF = re.compile(r"^   0x[0-9a-f]{8} 0x[0-9a-f]{2}: .*$", re.M)


def show(*arguments):
    result = run_program("-nodefconfig", *arguments)
    equal(result.status, 0, f"status; it printed {result.text}")
    return result.stdout


def seen_by_guest(*arguments):
    """The CPUID lines that a bare-metal guest prints."""
    with vmtest.scratch_directory() as scratch:
        report = os.path.join(scratch, "report")
        result = run_program(
            "-nodefconfig", "-machine", "pc", "-m", "64", "-nodefaults", "-display", "none",
            "-bios", os.environ["CPUID_IMAGE"], "-chardev", f"file,id=report,path={report}",
            "-device", "isa-debugcon,iobase=0xe9,chardev=report", "-device",
            "isa-debug-exit,iobase=0xf4,iosize=0x4", "-no-reboot", *arguments)
        # The status of a run that failed is the same.
        check("error:" not in result.stderr, result.stderr)
        equal(result.status, PASSED, f"status; it printed {result.text}")
        with open(report, encoding="ascii") as file:
            return LEAF.findall(file.read())


def compare_with_guest(cpu, *arguments):
    dumped = LEAF.findall(show("-cpu", f"{cpu},dump", *arguments))
    seen = seen_by_guest("-cpu", cpu, *arguments)
    check(len(dumped) > 3, f"only {dumped}")
    equal("\n".join(seen), "\n".join(dumped), f"CPUID of {cpu} in the guest")


def test_dump_is_what_a_guest_sees():
    for model in MODELS:
        compare_with_guest(model)


def test_dump_of_a_topology():
    for model in ["Haswell", "EPYC"]:
        compare_with_guest(model, "-smp", "cpus=8,sockets=1,dies=2,cores=2,threads=2")


def test_dump_of_templates():
    compare_with_guest("Nehalem,cpuid_5_0_ebx=0x1234,level=0x15,cpuid_15_eax=0x2")


def registers(lines):
    """{(leaf, subleaf): [eax, ebx, ecx, edx]} of CPUID lines."""
    numbers = (tuple(int(word, 16) for word in re.findall("0x([0-9a-f]+)", line))
               for line in lines)
    return {words[:2]: list(words[2:]) for words in numbers}


def forget_kernels_own(leaves):
    """Takes out what a KVM answers that goes by its host whatever KVM_SET_CPUID2 said: the features
    in leaves 1 and 7 and the layout in DH."""
    leaves[1, 0][2:] = [0, 0]
    return {place: words for place, words in leaves.items() if place[0] not in (7, 0xd)}


def test_dump_is_what_a_guest_sees_on_kvm():
    """One known KVM, a software one, gives guests features that it says it does not support. QEMU
    7.2's guests see the same there."""
    kvm = ["-accel", "kvm"]
    if run_program("-nodefconfig", *kvm, "-check").status:
        raise vmtest.Skip("no KVM here")
    most = registers(LEAF.findall(show("-cpu", "max,dump", *kvm)))
    for model in MODELS:
        dumped = registers(LEAF.findall(show("-cpu", f"{model},dump", *kvm)))
        seen = registers(seen_by_guest("-cpu", model, *kvm))
        if seen[1, 0][2] & ~most[1, 0][2]:
            print(f"# {model}: the kernel offers what it does not support: "
                  f"{seen[1, 0][2] & ~most[1, 0][2]:#x} in leaf 1")
            seen, dumped = forget_kernels_own(seen), forget_kernels_own(dumped)
        equal(seen, dumped, f"CPUID of {model} in the guest")


# Registers of features: a bit of a model may differ where an accelerator has it for no model.
FEATURES = {(1, 0): (2, 3), (7, 0): (1, 2, 3), (7, 1): (0, 1, 2, 3), (0xd, 1): (0,),
            (0x40000001, 0): (0,), (0x80000001, 0): (2, 3), (0x80000007, 0): (3,),
            (0x80000008, 0): (1,)}
# What is as it is by such a feature (leaf, its register, bit): registers of leaves.
ALL = (0, 1, 2, 3)
DEPENDENT = {0xd: (ALL, (1, 0), 2, 26), 0x8000001d: (ALL, (0x80000001, 0), 2, 22),
             0x80000008: ((0,), (7, 0), 2, 16)}


def unexplained(under_tcg, under_kvm, most):
    """Lines on what differs for no reason; @most: what each accelerator offers at most."""
    nothing = [0] * 4
    for place in sorted(under_tcg.keys() | under_kvm.keys()):
        ours, theirs = under_tcg.get(place, nothing), under_kvm.get(place, nothing)
        dependent, leaf, register, bit = DEPENDENT.get(place[0], ((), (), 0, 0))
        if dependent and all(one.get(leaf, nothing)[register] >> bit & 1 for one in most):
            dependent = ()
        for i in set(ALL) - set(dependent):
            missing = ~0
            for one in most if i in FEATURES.get(place, ()) else ():
                missing &= one.get(place, nothing)[i]
            if (ours[i] ^ theirs[i]) & missing:
                yield f"{place} register {i}: {ours[i]:#x} under tcg, {theirs[i]:#x} under kvm"


def test_both_accelerators_show_the_same():
    """Ten models, every leaf, under tcg and under kvm as it is by default and as it is itself."""
    if run_program("-nodefconfig", "-accel", "kvm", "-check").status:
        raise vmtest.Skip("no KVM here")
    for options in "kvm", "kvm,trials=patient,kernel-irqchip=off":
        kvm = ["-accel", options]
        most = [registers(LEAF.findall(show("-cpu", "max,dump", *accel))) for accel in ([], kvm)]
        for model in MODELS[:10]:
            ours = registers(seen_by_guest("-cpu", model))
            theirs = registers(seen_by_guest("-cpu", model, *kvm))
            if theirs[1, 0][2] & ~most[1][1, 0][2]:
                print(f"# {model}, {options}: leaves 1, 7 and 0xd are those of the kernel's host")
                ours, theirs = forget_kernels_own(ours), forget_kernels_own(theirs)
            equal(list(unexplained(ours, theirs, most)), [], f"CPUID of {model}, {options}")


def test_baseline_runs_on_both():
    """Each host accepts it with enforce: no feature of it is one that the host lacks."""
    with vmtest.scratch_directory() as scratch:
        first = write_file(scratch, "first.txt", show("-cpu", "Haswell-noTSX,-x2apic,dump"))
        second = write_file(scratch, "second.txt", show("-cpu", "SandyBridge,+umip,dump"))
        base = show("-cpu", f"baseline={first},baseline={second}")
        conf = write_file(scratch, "base.conf", base)
        show("-readconfig", conf, "-cpu", "baseline,enforce", "-check")
        for host in first, second:
            contains(show("-readconfig", conf, "-cpu", f"baseline,compare={host}"), ": subset")
    words = set(re.search(r'features = (.*?)\n\n|features = (.*)', base, re.S)[0].split())
    words = {word.strip('"') for word in words}
    check({"avx", "xsave", "sse4.2"} <= words, f"features: {sorted(words)}")
    check(not {"x2apic", "umip", "avx2"} & words, f"features: {sorted(words)}")
    contains(base, 'vendor = "GenuineIntel"', "model = 42")


def test_baseline_of_nonsense():
    with vmtest.scratch_directory() as scratch:
        path = write_file(scratch, "host.txt", "no CPU\n")
        result = run_program("-nodefconfig", "-cpu", f"baseline={path},baseline=Nehelam,"
                             f"baseline=/dev/zero,baseline={scratch},baseline={path}.not")
    equal(result.status, 1, f"status; it printed {result.text}")
    contains(result.stderr, "no CPUID leaves", "/dev/zero: longer than 4 MiB",
             f"{scratch}: cannot be read", "host.txt.not: No such file",
             "there is no CPU model 'Nehelam'", "did you mean")


def test_compare():
    text = show("-cpu", "Nehalem,compare=SandyBridge,compare=core2duo")
    contains(text, "'Nehalem' to 'SandyBridge': subset", "  -avx\n",
             "'Nehalem' to 'core2duo': incompatible", "  +sse4.2\n", "  -monitor\n")


def test_fallback():
    result = run_program("-nodefconfig", "-cpu", "SapphireRapids,fallback=Skylake-Server Penryn",
                         "-check")
    equal(result.status, 0, f"status; it printed {result.text}")
    contains(result.stderr, "amx-tile", "its fallback 'Penryn' is used instead")
    equal(result.stderr.count("warning:"), 1, "warnings")


def exported():
    return ElementTree.fromstring(show("-cpu", "export=libvirt"))


def record():
    with open(f"{DATA}/libvirt-cpu-map-9.0.json", encoding="ascii") as file:
        return json.load(file)


def place(feature):
    """Leaf, subleaf or "msr", index; register and bit."""
    bit = feature[0]
    where = ["msr", int(bit.get("index"), 16)] if bit.tag == "msr" else [
        int(bit.get("eax_in"), 16), int(bit.get("ecx_in"), 16)]
    register = next(name for name in ("eax", "ebx", "ecx", "edx") if int(bit.get(name, "0"), 16))
    return where + [register, int(bit.get(register), 16).bit_length() - 1]


# Resource monitoring, which no guest is given, and a bit that no CPU ever had.
NOT_OURS = {"cmt", "mbm_total", "mbm_local", "cvt16"}


def test_export_has_libvirts_features():
    ours = {feature.get("name"): place(feature) for feature in exported().findall("feature")}
    for name, wanted in record()["features"].items():
        if name not in NOT_OURS:
            equal(ours.get(name), wanted, f"bit of {name}")


# libvirt keeps a model as it was when it came; ours are as QEMU 7.2 has them. Only in libvirt's:
# features that QEMU took back, and vme, which QEMU's models do not list.
ONLY_LIBVIRT = {"vme", "mpx", "intel-pt", "rdtscp"}
# Only in ours: features that QEMU added to a model later.
ONLY_OURS = {"abm", "acpi", "apic", "arat", "arch-capabilities", "clflushopt", "cx16", "f16c",
             "ibrs-all", "lahf_lm", "mca", "mds-no", "monitor", "movbe", "mpx", "npt", "nrip-save",
             "pclmuldq", "pdpe1gb", "pku", "popcnt", "rdctl-no", "rdrand", "rdtscp",
             "skip-l1dfl-vmentry", "ss", "sse4a", "topoext", "xsaveopt", "xsaves"}
# Models of libvirt's own.
ONLY_THERE = {"Icelake-Client", "Icelake-Client-noTSX", "cpu64-rhel5", "cpu64-rhel6", "pentiumpro"}


def test_export_has_libvirts_models():
    ours = {model.get("name"): model for model in exported().findall("model")}
    for name, wanted in record()["models"].items():
        if name in ONLY_THERE:
            continue
        check(name in ours, f"no {name}")
        features = {feature.get("name") for feature in ours[name].findall("feature")}
        theirs = {word for word in wanted["features"].split() if not word.startswith("vmx-")}
        check(theirs - features <= ONLY_LIBVIRT, f"{name} lacks {theirs - features}")
        check(features - theirs <= ONLY_OURS, f"{name} has {features - theirs}")
        if wanted["vendor"]:
            equal(ours[name].find("vendor").get("name"), wanted["vendor"], f"vendor of {name}")


def test_export_is_of_one_piece():
    """Every model names only features and vendors that the document defines."""
    root = exported()
    features = {feature.get("name") for feature in root.findall("feature")}
    vendors = {vendor.get("name") for vendor in root.findall("vendor")}
    for model in root.findall("model"):
        used = {feature.get("name") for feature in model.findall("feature")}
        check(used <= features, f"{model.get('name')}: {used - features}")
        check(model.find("vendor").get("name") in vendors, model.get("name"))


vmtest.main()
