/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any text as the description of a CPU: what is read can be shown, compared and written again. */
#include <glib.h>

#include "target-i386/cpu-compare.h"
#include "target-i386/cpu-dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const X86Topology topology = {6, 6, 1, 1, 3, 2};
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(X86CpuModel) model = x86_cpu_dump_read("x", text, NULL);

    if (model) {
        const X86CpuModel *twice[] = {model, model};
        g_autoptr(X86CpuModel) common = x86_cpu_baseline(twice, 2);
        g_autofree char *cpudef = x86_cpu_cpudef_text(common, "x");
        g_autofree char *dump = x86_cpu_dump(model, &topology, "x");
        g_autoptr(X86CpuModel) again = x86_cpu_dump_read("x", dump, NULL);
        g_assert_nonnull(cpudef);
        g_assert_nonnull(again);
        /* A baseline leaves out features without what they need, which the text may well have. */
        X86CpuRelation relation = x86_cpu_compare(common, model, NULL);
        g_assert_true(relation == X86_CPU_IDENTICAL || relation == X86_CPU_SUBSET);
    }
    return 0;
}
