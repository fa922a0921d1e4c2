/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accelerator "tcg": our own CPU, translated where the host allows it, else interpreted. */
#include "accel/accel.h"
#include "accel/tcg/jit.h"
#include "target-i386/cpu-caps.h"
#include "target-i386/interp/interp.h"
#include "util/log.h"

#define CODE_SIZE (64u << 20)

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

/* The interpreter's, which calls the translator for each block, and a kick for code that loops. */
static const VcpuOps translated_ops = {
    .run = tcg_run,
    .has_work = tcg_has_work,
    .reset = tcg_reset,
    .kick = jit_kick,
    .read_tsc = tcg_read_tsc,
};

static bool tcg_vcpu_init(void *instance, Vcpu *vcpu, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (jit_new(x86_cpu(vcpu), CODE_SIZE, &why)) {
        vcpu->ops = &translated_ops;
    } else {
        g_printerr("tessera: CPU %u is interpreted: %s\n", vcpu->index, why->message);
        vcpu->ops = &interp_vcpu_ops;
    }
    return true;
}

static void tcg_vcpu_free(Vcpu *vcpu)
{
    Jit *jit = x86_cpu(vcpu)->jit.jit;

    if (jit) {
        jit_free(jit);
    }
}

static const AccelOps tcg_accel = {
    .name = "tcg",
    .desc = "our own CPU, on every host",
    .available = tcg_available,
    .cpu_caps = tcg_cpu_caps,
    .vcpu_init = tcg_vcpu_init,
    .vcpu_free = tcg_vcpu_free,
};

ACCEL_TYPE(tcg_accel);
