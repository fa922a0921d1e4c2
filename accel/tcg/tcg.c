/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accelerator "tcg": our own CPU. For now it runs every instruction in the interpreter. */
#include "accel/accel.h"
#include "target-i386/cpu-caps.h"
#include "target-i386/interp/interp.h"

static bool tcg_available(const struct Config *config, GError **error)
{
    return true;
}

static void tcg_cpu_caps(const struct Config *config, struct X86CpuCaps *caps)
{
    x86_cpu_caps_tcg(caps);
}

static bool tcg_vcpu_init(void *instance, Vcpu *vcpu, GError **error)
{
    vcpu->ops = &interp_vcpu_ops;
    return true;
}

static const AccelOps tcg_accel = {
    .name = "tcg",
    .desc = "our own CPU, on every host",
    .available = tcg_available,
    .cpu_caps = tcg_cpu_caps,
    .vcpu_init = tcg_vcpu_init,
};

ACCEL_TYPE(tcg_accel);
