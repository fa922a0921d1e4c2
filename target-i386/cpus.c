/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPUs of a machine: accelerator choice and creation. */
#include "target-i386/cpus.h"

#include <string.h>

#include "target-i386/interp/cache.h"
#include "util/log.h"

REGISTRY_DECLARE(accel_types, AccelOps);

struct X86CpuSet {
    MemorySpace *memory;
    CodeDomain *domain;
    GPtrArray *cpus; /* of X86CPU * */
};

static const AccelOps *accel_find(const char *name)
{
    for (REGISTRY_FOREACH(accel_types, AccelOps, p)) {
        if (strcmp((*p)->name, name) == 0) {
            return *p;
        }
    }
    return NULL;
}

static char *accel_names(void)
{
    GString *names = g_string_new(NULL);

    for (REGISTRY_FOREACH(accel_types, AccelOps, p)) {
        g_string_append_printf(names, "%s%s", names->len ? ", " : "", (*p)->name);
    }
    return g_string_free(names, false);
}

/* An accelerator that somebody asked for, and where. */
typedef struct AccelWish {
    char *name;
    const Origin *origin;
} AccelWish;

static void wish_clear(gpointer data)
{
    g_free(((AccelWish *)data)->name);
}

static void wish_add(GArray *wishes, const char *names, const Origin *origin)
{
    g_auto(GStrv) parts = g_strsplit(names, ":", -1);

    for (char **part = parts; *part; part++) {
        AccelWish wish = {g_strdup(*part), origin};

        g_array_append_val(wishes, wish);
    }
}

static GArray *collect_wishes(const Config *config)
{
    GArray *wishes = g_array_new(false, false, sizeof(AccelWish));
    GPtrArray *groups = config_groups(config, "accel");
    const ConfigGroup *machine = config_find(config, "machine", NULL);
    const ConfigValue *value;

    g_array_set_clear_func(wishes, wish_clear);
    for (unsigned i = 0; i < groups->len; i++) {
        value = group_value(g_ptr_array_index(groups, i), "accel");
        if (value) {
            wish_add(wishes, value->value, value->origin);
        }
    }
    value = machine ? group_value(machine, "accel") : NULL;
    if (!wishes->len && value) {
        wish_add(wishes, value->value, value->origin);
    }
    if (!wishes->len) {
        wish_add(wishes, "tcg", NULL);
    }
    return wishes;
}

const AccelOps *x86_accel_select(const Config *config, Diag *diag)
{
    g_autoptr(GArray) wishes = collect_wishes(config);
    g_autofree char *names = accel_names();

    for (unsigned i = 0; i < wishes->len; i++) {
        const AccelWish *wish = &g_array_index(wishes, AccelWish, i);
        const AccelOps *accel = accel_find(wish->name);
        bool last = i + 1 == wishes->len;
        g_autoptr(GError) error = NULL;

        if (accel && accel->available(&error)) {
            return accel;
        }
        if (last) {
            diag_error(diag, wish->origin, "accelerator '%s' %s%s", wish->name,
                       accel ? "does not work here: " : "is not known",
                       error ? error->message : "");
            diag_note(diag, NULL, "accelerators here: %s", names);
        } else {
            diag_warning(diag, wish->origin, "accelerator '%s' %s%s; trying the next", wish->name,
                         accel ? "does not work here: " : "is not known",
                         error ? error->message : "");
        }
    }
    return NULL;
}

X86CpuSet *x86_cpus_new(const X86CpuModel *model, const X86Topology *topology,
                        const AccelOps *accel, MemorySpace *memory, PortSpace *ports,
                        unsigned count, GPtrArray *vcpus, GError **error)
{
    X86CpuSet *set = g_new0(X86CpuSet, 1);

    set->memory = memory;
    set->domain = code_domain_new(memory);
    set->cpus = g_ptr_array_new();
    for (unsigned i = 0; i < count; i++) {
        X86CPU *cpu = cpu_new(memory, ports, set->domain, i);

        g_ptr_array_add(set->cpus, cpu);
        if (!accel->vcpu_init(&cpu->vcpu, error) ||
            !x86_cpu_model_apply(model, cpu, topology, error)) {
            x86_cpus_free(set);
            return NULL;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        g_ptr_array_add(vcpus, g_ptr_array_index(set->cpus, i));
    }
    return set;
}

void x86_cpus_log_stats(X86CpuSet *set)
{
    for (unsigned i = 0; i < set->cpus->len; i++) {
        const X86CPU *cpu = g_ptr_array_index(set->cpus, i);

        log_write(LOG_STATS, "cpu %u: %" G_GUINT64_FORMAT " instructions, %" G_GUINT64_FORMAT
                  " exceptions, %" G_GUINT64_FORMAT " interrupts, %" G_GUINT64_FORMAT
                  " KiB of decoded code, %" G_GUINT64_FORMAT " KiB of CPU state", i, cpu->icount,
                  cpu->exceptions_count, cpu->interrupts_count,
                  code_cache_memory(cpu->code) / 1024, (uint64_t)sizeof(*cpu) / 1024);
    }
}

void x86_cpus_free(X86CpuSet *set)
{
    for (unsigned i = 0; i < set->cpus->len; i++) {
        cpu_free(g_ptr_array_index(set->cpus, i));
    }
    g_ptr_array_free(set->cpus, true);
    code_domain_free(set->domain);
    g_free(set);
}
