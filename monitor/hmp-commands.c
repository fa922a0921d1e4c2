/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of HMP: those that change something do so through QMP's handlers. */
#include <string.h>

#include "monitor/internal.h"
#include "target-i386/cpu.h"

typedef struct HmpCommand {
    const char *name;
    const char *aliases; /* separated by blanks, or NULL */
    const char *qmp;     /* the QMP command that it is, or NULL */
    void (*run)(Monitors *monitors, const char *args, GString *out);
    const char *help;
} HmpCommand;

/* ---- info ---- */

static void info_status(Monitors *monitors, GString *out)
{
    g_autoptr(Jv) status = qmp_query_status(monitors, NULL, NULL);
    const char *name = jv_member_string(status, "status");
    bool running = jv_member_bool(status, "running", false);

    g_string_append(out, running ? "VM status: running\n" : "VM status: paused");
    if (!running) {
        g_string_append_printf(out, strcmp(name, "paused") ? " (%s)\n" : "\n", name);
    }
}

static void info_version(Monitors *monitors, GString *out)
{
    g_string_append(out, "Tessera " TESSERA_VERSION "\n");
}

static void info_name(Monitors *monitors, GString *out)
{
    const char *name = config_get(monitors->context.config, "name", "guest");

    if (name) {
        g_string_append_printf(out, "%s\n", name);
    }
}

static void info_cpus(Monitors *monitors, GString *out)
{
    const GPtrArray *vcpus = monitors->context.machine->vcpus;

    for (unsigned i = 0; i < vcpus->len; i++) {
        const Vcpu *vcpu = g_ptr_array_index(vcpus, i);
        g_string_append_printf(out, "%c CPU #%u: thread_id=%d%s\n", i ? ' ' : '*', i,
                               vcpu->thread_id, vcpu->halted ? " (halted)" : "");
    }
}

static void print_segment(const X86CPU *cpu, unsigned index, GString *out)
{
    static const char *const names[] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR" };
    const X86Segment *segment = &cpu->seg[index];

    g_string_append_printf(out, "%-3s=%04x %016" G_GINT64_MODIFIER "x %08x %08x\n", names[index],
                           segment->selector, segment->base, segment->limit, segment->attr);
}

static void print_registers(const X86CPU *cpu, GString *out)
{
    static const char *const names[] = { "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                         "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15" };
    const char *format = "%-3s=%016" G_GINT64_MODIFIER "x%c";

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_string_append_printf(out, format, names[i], cpu->regs[i], i % 4 == 3 ? '\n' : ' ');
    }
    g_string_append_printf(out, "RIP=%016" G_GINT64_MODIFIER "x RFL=%08x CPL=%u HLT=%d\n",
                           cpu->cpu_rip, cpu->eflags | cpu->cc, cpu->cpl, cpu->vcpu.halted);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        print_segment(cpu, i, out);
    }
    g_string_append_printf(out, "GDT=     %016" G_GINT64_MODIFIER "x %08x\n", cpu->gdtr.base,
                           cpu->gdtr.limit);
    g_string_append_printf(out, "IDT=     %016" G_GINT64_MODIFIER "x %08x\n", cpu->idtr.base,
                           cpu->idtr.limit);
    g_string_append_printf(out, "CR0=%08" G_GINT64_MODIFIER "x CR2=%016" G_GINT64_MODIFIER
                           "x CR3=%016" G_GINT64_MODIFIER "x CR4=%08" G_GINT64_MODIFIER "x\n",
                           cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4);
    g_string_append_printf(out, "EFER=%016" G_GINT64_MODIFIER "x\n", cpu->efer);
}

/* A CPU's state is its thread's: it stands still while @print reads it. */
static void for_each_cpu(Monitors *monitors, GString *out,
                         void (*print)(Vcpu *vcpu, GString *out))
{
    Machine *machine = monitors->context.machine;

    for (unsigned i = 0; i < machine->vcpus->len; i++) {
        Vcpu *vcpu = g_ptr_array_index(machine->vcpus, i);

        vcpu_pause(vcpu);
        print(vcpu, out);
        if (machine->power == POWER_RUNNING) {
            vcpu_resume(vcpu);
        }
    }
}

static void print_state(Vcpu *vcpu, GString *out)
{
    if (vcpu->ops->take_state) {
        vcpu->ops->take_state(vcpu);
    }
    g_string_append_printf(out, "\nCPU#%u\n", vcpu->index);
    print_registers(x86_cpu(vcpu), out);
}

static void info_registers(Monitors *monitors, GString *out)
{
    for_each_cpu(monitors, out, print_state);
}

static void print_engine(Vcpu *vcpu, GString *out)
{
    g_string_append_printf(out, "CPU #%u:\n", vcpu->index);
    if (vcpu->ops->describe) {
        vcpu->ops->describe(vcpu, out);
    } else {
        g_string_append(out, "its code is not translated\n");
    }
}

static void info_jit(Monitors *monitors, GString *out)
{
    for_each_cpu(monitors, out, print_engine);
}

Jv *qmp_x_query_jit(Monitors *monitors, const Jv *args, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);

    info_jit(monitors, out);
    return jv_set_string(jv_object(), "human-readable-text", out->str);
}

static void info_stats(Monitors *monitors, GString *out)
{
    const GPtrArray *vcpus = monitors->context.machine->vcpus;

    for (unsigned i = 0; i < vcpus->len; i++) {
        const X86CPU *cpu = g_ptr_array_index(vcpus, i);
        g_string_append_printf(out, "CPU #%u: %" G_GUINT64_FORMAT " instructions, %"
                               G_GUINT64_FORMAT " exceptions, %" G_GUINT64_FORMAT " interrupts\n",
                               i, cpu->icount, cpu->exceptions_count, cpu->interrupts_count);
    }
}

static void print_bus(const Bus *bus, unsigned depth, GString *out)
{
    g_string_append_printf(out, "%*sbus: %s\n%*s  type %s\n", (int)depth, "", bus->name,
                           (int)depth, "", bus->type->name);
    for (unsigned i = 0; i < bus->children->len; i++) {
        const Device *device = g_ptr_array_index(bus->children, i);
        g_string_append_printf(out, "%*s  dev: %s, id \"%s\"\n", (int)depth, "",
                               device->type->name, device->id ? device->id : "");
        for (const Property *p = device->type->properties; p && p->name; p++) {
            g_autofree char *value = device_property_get(device, p->name);
            g_string_append_printf(out, "%*s    %s = %s\n", (int)depth, "", p->name,
                                   value ? value : "\"\"");
        }
        for (unsigned n = 0; device->child_buses && n < device->child_buses->len; n++) {
            print_bus(g_ptr_array_index(device->child_buses, n), depth + 4, out);
        }
    }
}

static void info_qtree(Monitors *monitors, GString *out)
{
    print_bus(monitors->context.machine->system_bus, 0, out);
}

static void info_mtree(Monitors *monitors, GString *out)
{
    memory_describe(monitors->context.machine->memory, out);
    port_space_describe(monitors->context.machine->ports, out);
}

static void info_chardev(Monitors *monitors, GString *out)
{
    Chardev *chardev;

    for (unsigned i = 0; (chardev = chardev_at(monitors->context.machine->chardevs, i)); i++) {
        g_autofree char *text = chardev_describe(chardev);
        g_string_append_printf(out, "%s: filename=%s\n", chardev_id(chardev), text);
    }
}

static void info_kvm(Monitors *monitors, GString *out)
{
    bool on = !strcmp(monitors->context.accel, "kvm");

    g_string_append_printf(out, "kvm support: %s\n", on ? "enabled" : "disabled");
}

static const struct {
    const char *name;
    void (*run)(Monitors *monitors, GString *out);
    const char *help;
} info_topics[] = {
    { "chardev", info_chardev, "character devices" },
    { "cpus", info_cpus, "CPUs and the threads that run them" },
    { "jit", info_jit, "what the translator has done" },
    { "kvm", info_kvm, "whether KVM is used" },
    { "mtree", info_mtree, "memory and I/O ports" },
    { "name", info_name, "name of the guest" },
    { "qtree", info_qtree, "buses, devices and their properties" },
    { "registers", info_registers, "registers of the CPUs" },
    { "stats", info_stats, "what the CPUs have done" },
    { "status", info_status, "whether the machine runs" },
    { "version", info_version, "the version of this program" },
};

static void run_info(Monitors *monitors, const char *args, GString *out)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(info_topics); i++) {
        if (!strcmp(info_topics[i].name, args)) {
            info_topics[i].run(monitors, out);
            return;
        }
    }
    if (*args) {
        g_string_append_printf(out, "there is no 'info %s'\n", args);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(info_topics); i++) {
        g_string_append_printf(out, "info %-10s -- %s\n", info_topics[i].name,
                               info_topics[i].help);
    }
}

/* ---- Commands ---- */

static void run_help(Monitors *monitors, const char *args, GString *out);

static const HmpCommand commands[] = {
    { "cont", "c", "cont", NULL, "let the CPUs run" },
    { "help", "?", NULL, run_help, "this list" },
    { "info", NULL, NULL, run_info, "show something; alone, what there is to show" },
    { "quit", "q", "quit", NULL, "end the emulator" },
    { "stop", "s", "stop", NULL, "stop the CPUs" },
    { "system_powerdown", NULL, "system_powerdown", NULL, "press the power button" },
    { "system_reset", NULL, "system_reset", NULL, "reset the machine" },
};

static void run_help(Monitors *monitors, const char *args, GString *out)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        const HmpCommand *command = &commands[i];
        if (!*args || !strcmp(args, command->name)) {
            g_string_append_printf(out, "%s%s%s -- %s\n", command->name,
                                   command->aliases ? "|" : "",
                                   command->aliases ? command->aliases : "", command->help);
        }
    }
}

static const HmpCommand *find_command(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (!strcmp(commands[i].name, name) || !g_strcmp0(commands[i].aliases, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

static void run_qmp(Monitors *monitors, const char *name, GString *out)
{
    GError *error = NULL;

    jv_free(qmp_execute(monitors, qmp_command_find(name), NULL, &error));
    if (error) {
        g_string_append_printf(out, "Error: %s\n", error->message);
        g_error_free(error);
    }
}

void hmp_execute(Monitors *monitors, const char *line, GString *out)
{
    g_autofree char *copy = g_strstrip(g_strdup(line));
    char *args = copy + strcspn(copy, " \t");
    const HmpCommand *command;

    if (*args) {
        *args++ = '\0';
    }
    args = g_strstrip(args);
    command = find_command(copy);
    if (!*copy) {
        return;
    }
    if (!command) {
        g_string_append_printf(out, "unknown command: '%s'\n", copy);
    } else if (command->qmp && *args) {
        g_string_append_printf(out, "%s: extraneous characters at the end of line\n", copy);
    } else if (command->qmp) {
        run_qmp(monitors, command->qmp, out);
    } else {
        command->run(monitors, args, out);
    }
}

Jv *qmp_human_monitor_command(Monitors *monitors, const Jv *args, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);

    hmp_execute(monitors, jv_member_string(args, "command-line"), out);
    g_string_replace(out, "\n", "\r\n", 0); /* as it would be on a terminal */
    return jv_string(out->str);
}
