/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accelerator "tcg": our own CPU, translated where the host allows it, else interpreted. */
#include <gio/gio.h>

#include "accel/accel.h"
#include "accel/tcg/icount-options.h"
#include "accel/tcg/jit.h"
#include "accel/tcg/perf.h"
#include "qemu-config/config.h"
#include "target-i386/cpu-caps.h"
#include "target-i386/interp/interp.h"
#include "target-i386/interp/thunk.h"
#include "util/log.h"

/* What -accel tcg was given. */
typedef struct TcgMachine {
    JitOptions options;
    bool translate;
    Icount *icount; /* NULL: time is the host's */
} TcgMachine;

static bool tcg_available(const struct Config *config, GError **error)
{
    return true;
}

static void tcg_cpu_caps(const struct Config *config, struct X86CpuCaps *caps)
{
    x86_cpu_caps_tcg(caps);
}

static void tcg_run(Vcpu *vcpu)
{
    const Jit *jit = x86_cpu(vcpu)->jit.jit;

    if (jit && jit->turns) {
        turns_take(jit->turns);
        interp_vcpu_ops.run(vcpu);
        turns_give(jit->turns);
        return;
    }
    interp_vcpu_ops.run(vcpu);
}

static bool tcg_has_work(Vcpu *vcpu)
{
    return interp_vcpu_ops.has_work(vcpu);
}

static void tcg_reset(Vcpu *vcpu)
{
    interp_vcpu_ops.reset(vcpu);
}

static uint64_t tcg_read_tsc(Vcpu *vcpu)
{
    return interp_vcpu_ops.read_tsc(vcpu);
}

static void tcg_describe(Vcpu *vcpu, GString *out)
{
    jit_describe(x86_cpu(vcpu)->jit.jit, out);
}

/* The interpreter's, which calls the translator for each block, and a kick for code that loops. */
static const VcpuOps translated_ops = {
    .run = tcg_run,
    .has_work = tcg_has_work,
    .reset = tcg_reset,
    .kick = jit_kick,
    .describe = tcg_describe,
    .read_tsc = tcg_read_tsc,
};

/* The last [accel] group for us counts. */
static void *tcg_machine_new(const struct Config *config, MemorySpace *memory, GError **error)
{
    g_autofree TcgMachine *tcg = g_new0(TcgMachine, 1);
    GPtrArray *groups = config_groups(config, "accel");
    GError *why = NULL;

    *tcg = (TcgMachine){.options = {.code_size = 64u << 20}, .translate = true};
    for (unsigned i = 0; i < groups->len; i++) {
        const ConfigGroup *group = g_ptr_array_index(groups, i);
        uint64_t size = 64;

        if (g_strcmp0(group_get(group, "accel"), "tcg")) {
            continue;
        }
        group_get_bool(group, "translate", &tcg->translate, NULL);
        group_get_bool(group, "lockstep", &tcg->options.lockstep, NULL);
        if (group_get_uint(group, "tb-size", &size, NULL)) {
            tcg->options.code_size = size << 20;
        }
        if (group_get(group, "debug") &&
            !jit_debug_parse(group_get(group, "debug"), &tcg->options.debug, error)) {
            return NULL;
        }
    }
    if (tcg->options.lockstep && config_find(config, "icount", NULL)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "lockstep=on cannot count instructions (-icount)");
        return NULL;
    }
    tcg->options.perf = jit_perf_new(config, &why);
    if (why) {
        g_propagate_error(error, why);
        return NULL;
    }
    if (tcg->options.lockstep) {
        tcg->options.turns = turns_new();
    }
    tcg->icount = tcg_icount_new(config);
    tcg->options.counting = tcg->icount != NULL;
    return g_steal_pointer(&tcg);
}

static void tcg_machine_free(void *instance)
{
    TcgMachine *tcg = instance;

    tcg_icount_free(tcg->icount);
    jit_perf_free(tcg->options.perf);
    turns_free(tcg->options.turns);
    g_free(tcg);
}

static bool tcg_vcpu_init(void *instance, Vcpu *vcpu, GError **error)
{
    const TcgMachine *tcg = instance;
    g_autoptr(GError) why = NULL;

    vcpu->ops = &interp_vcpu_ops;
    x86_cpu(vcpu)->paravirt = true;
    tcg_icount_join(tcg->icount, x86_cpu(vcpu));
    thunk_prepare(x86_cpu(vcpu)); /* what is lost without is said now, not when a guest meets it */
    if (!tcg->translate) {
        return true;
    }
    if (jit_new(x86_cpu(vcpu), &tcg->options, &why)) {
        vcpu->ops = &translated_ops;
        if (tcg->options.turns) {
            turns_join(tcg->options.turns, vcpu);
        }
        log_write(LOG_ACCEL, "tcg: CPU %u runs hot 64-bit code translated", vcpu->index);
    } else {
        g_printerr("tessera: CPU %u is interpreted: %s\n", vcpu->index, why->message);
    }
    return true;
}

static void tcg_vcpu_free(Vcpu *vcpu)
{
    Jit *jit = x86_cpu(vcpu)->jit.jit;

    if (jit) {
        jit_free(jit);
    }
    icount_remove_vcpu(vcpu);
}

static void tcg_log_stats(Vcpu *vcpu)
{
    const Jit *jit = x86_cpu(vcpu)->jit.jit;

    if (jit) {
        jit_log_stats(jit);
    }
}

static const AccelOps tcg_accel = {
    .name = "tcg",
    .desc = "our own CPU, on every host",
    .available = tcg_available,
    .cpu_caps = tcg_cpu_caps,
    .machine_new = tcg_machine_new,
    .machine_free = tcg_machine_free,
    .vcpu_init = tcg_vcpu_init,
    .vcpu_free = tcg_vcpu_free,
    .vcpu_log_stats = tcg_log_stats,
};

ACCEL_TYPE(tcg_accel);
