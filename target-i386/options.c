/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -cpu and [cpudef]: the processor and the models that it is made from. */
#include "qemu-config/schema.h"
#include "target-i386/cpu-model.h"

/* Numbers of a model; ranges are those that CPUID can tell (SDM 2A CPUID, figure 3-6). */
#define MODEL_KEYS                                                                                 \
    {.name = "vendor", .type = OPT_STRING, .help = "vendor, 12 characters: GenuineIntel"},         \
    {.name = "family", .type = OPT_UINT, .help = "family", .min = 0, .max = 0xf + 0xff},           \
    {.name = "model", .type = OPT_UINT, .help = "model number", .min = 0, .max = 0xff},            \
    {.name = "stepping", .type = OPT_UINT, .help = "stepping", .min = 0, .max = 0xf},              \
    {.name = "model_id", .type = OPT_STRING, .help = "name that guests show, 48 characters",       \
     .synonym = "model-id"},                                                                       \
    {.name = "level", .type = OPT_UINT, .help = "highest basic CPUID leaf", .min = 0,              \
     .max = 0xff},                                                                                 \
    {.name = "min-level", .type = OPT_UINT, .help = "highest basic CPUID leaf, at least",          \
     .min = 0, .max = 0xff, .synonym = "min_level"},                                               \
    {.name = "level-func7", .type = OPT_UINT, .help = "highest subleaf of leaf 7", .min = 0,       \
     .max = 2, .synonym = "level_func7"},                                                          \
    {.name = "xlevel", .type = OPT_UINT, .help = "highest extended CPUID leaf", .min = 0,          \
     .max = 0x800000ff},                                                                           \
    {.name = "min-xlevel", .type = OPT_UINT, .help = "highest extended CPUID leaf, at least",      \
     .min = 0, .max = 0x800000ff, .synonym = "min_xlevel"},                                        \
    {.name = "phys_bits", .type = OPT_UINT, .help = "physical address bits", .min = 32,            \
     .max = 52, .synonym = "phys-bits"},                                                           \
    {.name = "virt_bits", .type = OPT_UINT, .help = "linear address bits", .min = 32, .max = 57,   \
     .synonym = "virt-bits"},                                                                      \
    {.name = "l1d_size", .type = OPT_SIZE, .help = "first-level data cache"},                      \
    {.name = "l1d_ways", .type = OPT_UINT, .help = "its ways", .min = 1, .max = 255},              \
    {.name = "l1i_size", .type = OPT_SIZE, .help = "first-level instruction cache"},               \
    {.name = "l1i_ways", .type = OPT_UINT, .help = "its ways", .min = 1, .max = 255},              \
    {.name = "l2_size", .type = OPT_SIZE, .help = "second-level cache"},                           \
    {.name = "l2_ways", .type = OPT_UINT, .help = "its ways", .min = 1, .max = 255},               \
    {.name = "l3_size", .type = OPT_SIZE, .help = "third-level cache, 0 for none"},                \
    {.name = "l3_ways", .type = OPT_UINT, .help = "its ways", .min = 1, .max = 255},               \
    {.name = "add_features", .type = OPT_STRING, .help = "features to add, a list",                \
     .synonym = "add-features"},                                                                   \
    {.name = "remove_features", .type = OPT_STRING, .help = "features to take away, a list",       \
     .synonym = "remove-features"},                                                                \
    {.name = "fallback", .type = OPT_STRING,                                                       \
     .help = "models to use instead where the accelerator lacks features, a list"}

static const OptKey cpudef_keys[] = {
    {.name = "base_cpudef", .type = OPT_STRING, .help = "model that this one is a difference to",
     .synonym = "base-cpudef"},
    {.name = "alias", .type = OPT_STRINGS, .help = "further names of this model"},
    {.name = "features", .type = OPT_STRING, .help = "all features, a list"},
    {.name = "feature_edx", .type = OPT_STRING, .help = "features of CPUID.1:EDX"},
    {.name = "feature_ecx", .type = OPT_STRING, .help = "features of CPUID.1:ECX"},
    {.name = "extfeature_edx", .type = OPT_STRING, .help = "features of CPUID.80000001H:EDX"},
    {.name = "extfeature_ecx", .type = OPT_STRING, .help = "features of CPUID.80000001H:ECX"},
    MODEL_KEYS,
    {0},
};

static const OptSchema cpudef_schema = {
    .group = "cpudef",
    .id_key = "name",
    .flags = OPT_FILE_ONLY | OPT_NEED_ID | OPT_OPEN_KEYS | OPT_REPLACE,
    .keys = cpudef_keys,
    .help = "a CPU model",
    .section = OPT_SECTION_MACHINE,
    .example = "my-nehalem,base_cpudef=Nehalem,add_features=avx xsave,cpuid_1_ecx=x1,msr_10a=0x1",
};
OPTION_SCHEMA(cpudef_schema);

static const char *const export_forms[] = {"libvirt", NULL};

static const OptKey cpu_keys[] = {
    {.name = "base_cpudef", .type = OPT_STRING, .help = "CPU model to start from",
     .synonym = "base-cpudef"},
    {.name = "check", .type = OPT_BOOL, .help = "warn of features that cannot be offered",
     .def = "on"},
    {.name = "enforce", .type = OPT_BOOL, .help = "refuse to start without them", .def = "off"},
    {.name = "migratable", .type = OPT_BOOL, .def = "on",
     .help = "host and max leave out what cannot move to another host (invtsc)"},
    {.name = "kvm", .type = OPT_BOOL, .help = "tell the guest which accelerator runs it",
     .def = "on"},
    {.name = "hv-passthrough", .type = OPT_BOOL, .def = "off", .synonym = "hv_passthrough",
     .help = "all Hyper-V features that the accelerator has"},
    {.name = "hv-vendor-id", .type = OPT_STRING, .synonym = "hv_vendor_id",
     .help = "vendor in the Hyper-V leaves, 12 characters"},
    {.name = "hv-spinlocks", .type = OPT_UINT, .min = 0xfff, .max = UINT32_MAX,
     .help = "tries before a Hyper-V guest tells of a busy lock", .synonym = "hv_spinlocks"},
    {.name = "tsc-frequency", .type = OPT_STRING, .help = "of the time stamp counter: 2.4G is Hz",
     .synonym = "tsc_frequency"},
    {.name = "ucode-rev", .type = OPT_UINT, .help = "microcode revision, as MSR 8BH holds it",
     .min = 0, .max = INT64_MAX, .synonym = "ucode_rev"},
    {.name = "dump", .type = OPT_BOOL, .help = "print CPUID as a guest sees it and run nothing"},
    {.name = "compare", .type = OPT_STRINGS,
     .help = "print what sets this CPU apart from a model or a dumped file"},
    {.name = "baseline", .type = OPT_STRINGS,
     .help = "print the [cpudef] of what models and dumped files have in common"},
    {.name = "export", .type = OPT_ENUM, .choices = export_forms,
     .help = "print all models in another program's form"},
    {.name = "host-phys-bits", .type = OPT_BOOL, .help = "as many address bits as the host's CPU",
     .def = "off", .synonym = "host_phys_bits"},
    MODEL_KEYS,
    {0},
};

static const OptSchema cpu_schema = {
    .group = "cpu",
    .option = "cpu",
    .implied_key = "base_cpudef",
    .flags = OPT_MERGE | OPT_OPEN_KEYS | OPT_PLUS_MINUS,
    .keys = cpu_keys,
    .arg_help = "MODEL[,+FEATURE][,-FEATURE][,FEATURE=on|off][,enforce=on][,KEY=VALUE][,dump]",
    .help = "the CPU: a model and differences to it (-cpu help lists both)",
    .section = OPT_SECTION_MACHINE,
    .in_short_help = true,
    .example = "Nehalem,+avx,-popcnt,xsave=on,model_id=a CPU",
    .list_help = x86_cpu_models_help,
};
OPTION_SCHEMA(cpu_schema);
