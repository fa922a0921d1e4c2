/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main(): the phases of a run, one function each. What an option means is said where it belongs. */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "hw/core/plan.h"
#include "monitor/monitor.h"
#include "qemu-config/config.h"
#include "target-i386/cpu-tools.h"
#include "target-i386/cpus.h"
#include "util/daemon.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/mainloop.h"

/* The emulator of one machine, from the first phase to the last. */
typedef struct Run {
    Diag *diag;
    Config *config;
    MachinePlan *plan;
    const AccelOps *accel;
    char *accel_verdict;
    X86CpuModel *model;
    X86CpuCaps caps;
    Machine *machine;
    X86CpuSet *cpus;
    Monitors *monitors;
    int daemon_fd;
    char *pidfile;
} Run;

/* --- Configuration ---------------------------------------------------------- */

/* Prints what was reported so far; true if the run can go on. */
static bool run_is_good(Run *run)
{
    diag_print(run->diag, stderr);
    return !diag_errors(run->diag);
}

static void set_timestamps(Run *run)
{
    if (config_is_on(run->config, "msg", "timestamp")) {
        diag_set_timestamp(run->diag, true);
    }
}

static bool read_configuration(Run *run, int argc, char **argv)
{
    config_parse_command_line(run->config, argc, argv, run->diag);
    config_load_layers(run->config, run->diag);
    set_timestamps(run);
    return run_is_good(run);
}

/* True if the user asked for help, which is on standard output then. */
static bool give_help(Run *run)
{
    g_autofree char *text = config_help(run->config, run->diag);
    const char *items = config_get(run->config, "system", "d");

    if (!text && items && (!strcmp(items, "help") || !strcmp(items, "?"))) {
        text = log_help();
    }
    if (text) {
        fputs(text, stdout);
    }
    return text != NULL;
}

static bool make_plan(Run *run)
{
    run->plan = machine_plan_new(run->config, run->diag);
    monitors_check(run->config, run->diag);
    run->accel = x86_accel_select(run->config, &run->accel_verdict, run->diag);
    if (run->accel) {
        run->accel->cpu_caps(run->config, &run->caps);
    } else {
        x86_cpu_caps_tcg(&run->caps);
    }
    const ConfigGroup *header = config_machine(run->config); /* known even where planning failed */
    const char *model = header ? group_get(header, "default_cpu") : NULL;
    run->model = x86_cpu_model_resolve(run->config, model ? model : "qemu64", &run->caps,
                                       run->diag);
    return run_is_good(run);
}

static bool write_configuration(Run *run, const char *path)
{
    g_autofree char *text = config_write(run->config);
    GError *error = NULL;

    if (!strcmp(path, "-")) {
        fputs(text, stdout);
    } else if (!g_file_set_contents(path, text, -1, &error)) {
        diag_gerror(run->diag, NULL, error);
    }
    return run_is_good(run);
}

static bool write_device_tree(Run *run, const char *path)
{
    const ConfigGroup *group = config_find(run->config, "machine", NULL);
    g_autoptr(GBytes) tree = machine_plan_dtb(run->plan);
    GError *error = NULL;
    size_t size;
    const char *data = g_bytes_get_data(tree, &size);

    if (!g_file_set_contents(path, data, size, &error)) {
        diag_gerror(run->diag, group_origin(group, "dumpdtb"), error);
    }
    return run_is_good(run);
}

static X86Topology planned_topology(const MachinePlan *plan)
{
    return (X86Topology){.sockets = plan->sockets, .dies = plan->dies, .cores = plan->cores,
                         .threads = plan->threads, .cpus = plan->cpus,
                         .max_cpus = plan->max_cpus};
}

/* -cpu dump, compare, baseline, export. */
static int show_cpu(Run *run)
{
    X86Topology topology = planned_topology(run->plan);
    g_autofree char *text = x86_cpu_tools_run(run->config, run->model, &topology, &run->caps,
                                              run->diag);

    if (text) {
        fputs(text, stdout);
    }
    return run_is_good(run) && text ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* True if the user wants to look at the machine, not to run it. */
static bool only_looks(Run *run, int *status)
{
    const char *write_to = config_get(run->config, "system", "writeconfig");
    const char *tree_to = config_get(run->config, "machine", "dumpdtb");

    if ((write_to && !write_configuration(run, write_to)) ||
        (tree_to && !write_device_tree(run, tree_to))) {
        *status = EXIT_FAILURE;
    }
    if (x86_cpu_tools_wanted(run->config)) {
        *status = show_cpu(run);
        return true;
    }
    if (config_is_on(run->config, "system", "explain")) {
        g_autofree char *groups = config_explain(run->config);
        g_autofree char *devices = machine_plan_describe(run->plan);
        printf("%s\n%s", groups, devices);
        return true;
    }
    return write_to || tree_to || config_is_on(run->config, "system", "check");
}

/* --- The host ------------------------------------------------------------------ */

static bool open_log(Run *run)
{
    const char *file = config_get(run->config, "system", "D");
    const char *items = config_get(run->config, "system", "d");
    const ConfigGroup *group = config_find(run->config, "system", NULL);
    GError *error = NULL;

    if (file && !log_set_file(file, &error)) {
        diag_gerror(run->diag, group_origin(group, "D"), error);
    } else if (items && !log_set_mask(items, &error)) {
        diag_gerror(run->diag, group_origin(group, "d"), error);
    }
    return run_is_good(run);
}

static bool leave_terminal(Run *run)
{
    const char *path = config_get(run->config, "system", "pidfile");
    const ConfigGroup *group = config_find(run->config, "system", NULL);
    GError *error = NULL;

    if (config_is_on(run->config, "system", "daemonize")) {
        run->daemon_fd = daemon_begin(&error);
        if (run->daemon_fd < 0) {
            diag_gerror(run->diag, group_origin(group, "daemonize"), error);
            return run_is_good(run);
        }
    }
    if (path) {
        run->pidfile = pidfile_create(path, &error);
        if (!run->pidfile) {
            diag_gerror(run->diag, group_origin(group, "pidfile"), error);
        }
    }
    return run_is_good(run);
}

static gboolean end_on_signal(gpointer machine)
{
    machine_request_shutdown(machine, SHUTDOWN_HOST, EXIT_SUCCESS);
    return G_SOURCE_CONTINUE;
}

static void catch_signals(Machine *machine)
{
    static const int ending[] = { SIGINT, SIGTERM, SIGHUP };

    for (unsigned i = 0; i < G_N_ELEMENTS(ending); i++) {
        g_unix_signal_add(ending[i], end_on_signal, machine);
    }
    signal(SIGPIPE, SIG_IGN);
}

/* --- The machine ------------------------------------------------------------------ */

static bool create_cpus(Run *run)
{
    const MachinePlan *plan = run->plan;
    Machine *machine = run->machine;
    X86Topology topology = planned_topology(plan);
    GError *error = NULL;

    run->cpus = x86_cpus_new(run->model, &topology, run->accel, run->config, machine->memory,
                             machine->ports, plan->cpus, machine->vcpus, &error);
    if (!run->cpus) {
        diag_gerror(run->diag, NULL, error);
    } else {
        machine->accel = x86_cpus_machine_part(run->cpus);
    }
    return run->cpus;
}

static void start_monitors(Run *run)
{
    MonitorContext context = { .machine = run->machine, .config = run->config,
                               .accel = run->accel->name, .caps = &run->caps };

    run->monitors = monitors_new(&context, run->diag);
}

static bool build_machine(Run *run)
{
    Machine *machine = run->machine = machine_new(run->config);

    machine->no_reboot = config_is_on(run->config, "system", "no-reboot");
    machine->no_shutdown = config_is_on(run->config, "system", "no-shutdown");
    machine->chardevs = chardev_set_new(run->config, run->diag);
    machine_plan_apply(run->plan, machine);
    if (!diag_errors(run->diag) && create_cpus(run)) {
        machine_build(machine, run->plan, run->diag);
    }
    if (!diag_errors(run->diag)) {
        start_monitors(run);
    }
    return run_is_good(run);
}

static int run_machine(Run *run)
{
    catch_signals(run->machine);
    machine_start(run->machine, config_is_on(run->config, "system", "S"));
    if (!run_is_good(run)) {
        return EXIT_FAILURE;
    }
    if (run->daemon_fd >= 0) {
        daemon_ready(run->daemon_fd);
    }
    return main_loop_run();
}

/* Devices hold on to back ends and vCPUs, and all of them to the machine's memory. */
static void dismantle(Run *run)
{
    ChardevSet *chardevs = run->machine->chardevs;

    g_clear_pointer(&run->monitors, monitors_free);
    machine_dismantle(run->machine);
    if (run->cpus) {
        x86_cpus_log_stats(run->cpus);
        x86_cpus_free(run->cpus);
    }
    chardev_set_free(chardevs);
    machine_free(run->machine);
}

static int start(Run *run)
{
    int status = EXIT_FAILURE;

    if (!open_log(run) || !leave_terminal(run)) {
        return status;
    }
    log_write(LOG_ACCEL, "%s", run->accel_verdict);
    main_loop_init();
    machine_lock();
    if (build_machine(run)) {
        status = run_machine(run);
    }
    dismantle(run);
    machine_unlock();
    return status;
}

/* --- The phases ---------------------------------------------------------------------- */

static int run_phases(Run *run, int argc, char **argv)
{
    int status = EXIT_SUCCESS;

    if (read_configuration(run, argc, argv) && give_help(run)) {
        return EXIT_SUCCESS;
    }
    /* Planned after mistakes as well: all of a run's mistakes are reported, not the first alone. */
    if (!make_plan(run)) {
        return EXIT_FAILURE;
    }
    if (only_looks(run, &status)) {
        return status;
    }
    return start(run);
}

int main(int argc, char **argv)
{
    Run run = { .diag = diag_new(), .config = config_new(), .daemon_fd = -1 };
    int status = run_phases(&run, argc, argv);

    pidfile_remove(run.pidfile);
    g_free(run.accel_verdict);
    g_clear_pointer(&run.plan, machine_plan_free);
    g_clear_pointer(&run.model, x86_cpu_model_free);
    config_free(run.config);
    diag_free(run.diag);
    return status;
}
