/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPUs of a machine: accelerator choice and creation. */
#include "target-i386/cpus.h"

#include <string.h>

#include "target-i386/interp/cache.h"
#include "util/log.h"

REGISTRY_DECLARE(accel_types, AccelOps);

struct X86CpuSet {
    const AccelOps *accel;
    void *instance; /* of @accel */
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
    if (config_is_on(config, "system", "enable-kvm")) {
        const ConfigGroup *system = config_find(config, "system", NULL);
        wish_add(wishes, "kvm", group_origin(system, "enable-kvm"));
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

/* Why @wish cannot be had; g_free(). NULL and *@accel if it can. */
static char *wish_refusal(const AccelWish *wish, const Config *config, const AccelOps **accel)
{
    g_autoptr(GError) error = NULL;

    *accel = accel_find(wish->name);
    if (!*accel) {
        return g_strdup("is not known");
    }
    if (config_find(config, "icount", NULL) && strcmp(wish->name, "tcg")) {
        return g_strdup("cannot count instructions (-icount)");
    }
    if ((*accel)->available(config, &error)) {
        return NULL;
    }
    return g_strconcat("does not work here: ", error->message, NULL);
}

const AccelOps *x86_accel_select(const Config *config, char **verdict, Diag *diag)
{
    g_autoptr(GArray) wishes = collect_wishes(config);
    g_autofree char *names = accel_names();
    g_autoptr(GString) story = g_string_new(NULL);
    const AccelOps *accel = NULL;

    for (unsigned i = 0; i < wishes->len; i++) {
        const AccelWish *wish = &g_array_index(wishes, AccelWish, i);
        g_autofree char *refusal = wish_refusal(wish, config, &accel);
        if (!refusal) {
            *verdict = g_strdup_printf("accelerator '%s' runs the machine%s", accel->name,
                                       story->str);
            return accel;
        }
        g_string_append_printf(story, "; '%s' %s", wish->name, refusal);
        if (i + 1 == wishes->len) {
            diag_error(diag, wish->origin, "accelerator '%s' %s", wish->name, refusal);
            diag_note(diag, NULL, "accelerators here: %s", names);
        } else {
            diag_warning(diag, wish->origin, "accelerator '%s' %s; trying the next", wish->name,
                         refusal);
        }
    }
    *verdict = NULL;
    return NULL;
}

/* One more CPU of the set, which owns it at once: a failure leaves it to x86_cpus_free(). */
static bool set_add_cpu(X86CpuSet *set, const X86CpuModel *model, const X86Topology *topology,
                        PortSpace *ports, GError **error)
{
    X86CPU *cpu = cpu_new(set->memory, ports, set->domain, set->cpus->len);

    g_ptr_array_add(set->cpus, cpu);
    return x86_cpu_model_apply(model, cpu, topology, error) &&
           set->accel->vcpu_init(set->instance, &cpu->vcpu, error);
}

X86CpuSet *x86_cpus_new(const X86CpuModel *model, const X86Topology *topology,
                        const AccelOps *accel, const Config *config, MemorySpace *memory,
                        PortSpace *ports, unsigned count, GPtrArray *vcpus, GError **error)
{
    X86CpuSet *set = g_new0(X86CpuSet, 1);
    bool good = true;

    set->accel = accel;
    set->memory = memory;
    set->domain = code_domain_new(memory);
    set->cpus = g_ptr_array_new();
    if (accel->machine_new) {
        set->instance = accel->machine_new(config, memory, error);
        good = set->instance;
    }
    for (unsigned i = 0; i < count && good; i++) {
        good = set_add_cpu(set, model, topology, ports, error);
    }
    if (!good) {
        x86_cpus_free(set);
        return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        g_ptr_array_add(vcpus, g_ptr_array_index(set->cpus, i));
    }
    return set;
}

const AccelMachine *x86_cpus_machine_part(const X86CpuSet *set)
{
    return set->accel->machine_part ? set->accel->machine_part(set->instance) : NULL;
}

void x86_cpus_log_stats(X86CpuSet *set)
{
    for (unsigned i = 0; i < set->cpus->len; i++) {
        X86CPU *cpu = g_ptr_array_index(set->cpus, i);

        log_write(LOG_STATS, "cpu %u: %" G_GUINT64_FORMAT " instructions, %" G_GUINT64_FORMAT
                  " exceptions, %" G_GUINT64_FORMAT " interrupts, %" G_GUINT64_FORMAT
                  " KiB of decoded code, %" G_GUINT64_FORMAT " KiB of CPU state", i, cpu->icount,
                  cpu->exceptions_count, cpu->interrupts_count,
                  code_cache_memory(cpu->code) / 1024, (uint64_t)sizeof(*cpu) / 1024);
        if (cpu->trace_hash) {
            log_write(LOG_STATS, "cpu %u: trace %016" G_GINT64_MODIFIER "x", i, cpu->trace_hash);
        }
        if (set->accel->vcpu_log_stats) {
            set->accel->vcpu_log_stats(&cpu->vcpu);
        }
    }
}

void x86_cpus_free(X86CpuSet *set)
{
    for (unsigned i = 0; i < set->cpus->len; i++) {
        X86CPU *cpu = g_ptr_array_index(set->cpus, i);

        if (set->accel->vcpu_free) {
            set->accel->vcpu_free(&cpu->vcpu);
        }
        cpu_free(cpu);
    }
    if (set->instance) {
        set->accel->machine_free(set->instance);
    }
    g_ptr_array_free(set->cpus, true);
    code_domain_free(set->domain);
    g_free(set);
}
