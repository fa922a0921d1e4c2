/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sessions of QMP and HMP on a machine without devices: the protocol, and slow clients. */
#include <string.h>

#include "tests/unit/monitor/wire.h"

#define NEGOTIATE "{\"execute\":\"qmp_capabilities\"}"
#define STATUS "{\"execute\":\"query-status\"}"

/* Sends @text and compares the answer; '~' in @answer stands for the time of an event. */
static void dialogue(Wire *wire, const char *text, const char *answer)
{
    g_autoptr(GRegex) time = g_regex_new("\"seconds\": \\d+, \"microseconds\": \\d+", 0, 0, NULL);
    g_autofree char *got = NULL, *plain = NULL;

    wire_send_text(wire, text);
    wire_settle();
    got = wire_take(wire);
    plain = g_regex_replace_literal(time, got, -1, 0, "~", 0, NULL);
    g_assert_cmpstr(plain, ==, answer);
}

static Wire *negotiated(void)
{
    Wire *wire = wire_new("control");
    g_autofree char *greeting = wire_take(wire);

    g_assert_true(g_str_has_prefix(greeting, "{\"QMP\": {\"version\": {\"qemu\": {"));
    g_assert_true(g_str_has_suffix(greeting, "\"capabilities\": []}}\r\n"));
    dialogue(wire, NEGOTIATE, "{\"return\": {}}\r\n");
    return wire;
}

static void test_negotiation(void)
{
    Wire *wire = wire_new("control");

    g_free(wire_take(wire));
    dialogue(wire, "{\"execute\":\"query-status\",\"id\":7}",
             "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Expecting capabilities "
             "negotiation with 'qmp_capabilities'\"}, \"id\": 7}\r\n");
    dialogue(wire, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}",
             "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Capability 'oob' not "
             "available\"}}\r\n");
    dialogue(wire, NEGOTIATE NEGOTIATE,
             "{\"return\": {}}\r\n{\"error\": {\"class\": \"CommandNotFound\", \"desc\": "
             "\"Capabilities negotiation is already complete, command ignored\"}}\r\n");
    wire_reconnect(wire);
    g_free(wire_take(wire));
    dialogue(wire, "{\"execute\":\"query-name\"}",
             "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Expecting capabilities "
             "negotiation with 'qmp_capabilities'\"}}\r\n");
    wire_free(wire);
}

/* A client that leaves in the middle of a message leaves nothing to the next one. */
static void test_reconnect(void)
{
    Wire *wire = negotiated();

    dialogue(wire, "{\"execute\":\"quer", "");
    wire_reconnect(wire);
    g_free(wire_take(wire));
    dialogue(wire, NEGOTIATE, "{\"return\": {}}\r\n");
    wire_free(wire);
}

static void test_events(void)
{
    Wire *wire = negotiated();

    dialogue(wire, "{\"execute\":\"cont\"}",
             "{\"timestamp\": {~}, \"event\": \"RESUME\"}\r\n{\"return\": {}}\r\n");
    dialogue(wire, "{\"execute\":\"cont\"}{\"execute\":\"stop\"}{\"execute\":\"stop\"}",
             "{\"return\": {}}\r\n{\"timestamp\": {~}, \"event\": \"STOP\"}\r\n"
             "{\"return\": {}}\r\n{\"return\": {}}\r\n");
    dialogue(wire, STATUS, "{\"return\": {\"status\": \"paused\", \"singlestep\": false, "
                           "\"running\": false}}\r\n");
    dialogue(wire, "{\"execute\":\"system_reset\"}",
             "{\"return\": {}}\r\n{\"timestamp\": {~}, \"event\": \"RESET\", \"data\": "
             "{\"guest\": false, \"reason\": \"host-qmp-system-reset\"}}\r\n");
    dialogue(wire, "{\"execute\":\"system_powerdown\"}",
             "{\"return\": {}}\r\n{\"timestamp\": {~}, \"event\": \"POWERDOWN\"}\r\n");
    dialogue(wire, STATUS, "{\"return\": {\"status\": \"prelaunch\", \"singlestep\": false, "
                           "\"running\": false}}\r\n");
    wire_free(wire);
}

/* -no-shutdown: the machine stays, and wants a reset before it can go on. */
static void test_shutdown(void)
{
    Wire *wire = negotiated();
    Machine *machine = wire_machine(wire);

    machine->no_shutdown = true;
    machine_resume(machine);
    g_free(wire_take(wire));
    machine_request_shutdown(machine, SHUTDOWN_GUEST, 0);
    dialogue(wire, "", "{\"timestamp\": {~}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, "
                       "\"reason\": \"guest-shutdown\"}}\r\n"
                       "{\"timestamp\": {~}, \"event\": \"STOP\"}\r\n");
    dialogue(wire, STATUS, "{\"return\": {\"status\": \"shutdown\", \"singlestep\": false, "
                           "\"running\": false}}\r\n");
    dialogue(wire, "{\"execute\":\"cont\"}",
             "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Resetting the Virtual Machine "
             "is required\"}}\r\n");
    machine_request_reset(machine);
    g_free(wire_take(wire));
    wire_settle();
    g_free(wire_take(wire));
    dialogue(wire, "{\"execute\":\"cont\"}",
             "{\"timestamp\": {~}, \"event\": \"RESUME\"}\r\n{\"return\": {}}\r\n");
    machine_request_shutdown(machine, SHUTDOWN_PANIC, 0);
    dialogue(wire, "", "{\"timestamp\": {~}, \"event\": \"GUEST_PANICKED\", \"data\": {\"action\": "
                       "\"pause\"}}\r\n"
                       "{\"timestamp\": {~}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, "
                       "\"reason\": \"guest-panic\"}}\r\n"
                       "{\"timestamp\": {~}, \"event\": \"STOP\"}\r\n");
    dialogue(wire, STATUS, "{\"return\": {\"status\": \"guest-panicked\", \"singlestep\": false, "
                           "\"running\": false}}\r\n");
    wire_free(wire);
}

/* A client that does not read is not read from, keeps its answers, and costs bounded memory. */
static void test_slow_client(void)
{
    Wire *wire = negotiated();
    unsigned sent = 0, refused = 0, answers = 0;

    wire_set_room(wire, 100);
    while (refused < 10 && sent < 100000) {
        size_t taken = wire_send(wire, "{\"execute\":\"query-commands\"}\n", 29);
        sent += taken == 29;
        refused += taken < 29;
        if (taken && taken < 29) {
            g_assert_cmpuint(wire_send(wire, "x", 1), ==, 0);
            break;
        }
    }
    g_assert_cmpuint(sent, <, 1000);
    for (unsigned i = 0; i < 100000; i++) { /* events are dropped at last */
        machine_resume(wire_machine(wire));
        machine_pause(wire_machine(wire));
    }
    wire_set_room(wire, SIZE_MAX);
    g_autofree char *text = wire_take(wire);
    g_assert_cmpuint(strlen(text), <, 8 << 20);
    for (const char *p = text; (p = strstr(p, "{\"return\": [")); p++) {
        answers++;
    }
    g_assert_cmpuint(answers, ==, sent);
    wire_free(wire);
}

static void test_hmp(void)
{
    Wire *wire = wire_new("readline");
    g_autofree char *greeting = wire_take(wire);

    g_assert_true(g_str_has_suffix(greeting, " for more information\r\n(qemu) "));
    dialogue(wire, "info status\n",
             "info status\r\nVM status: paused (prelaunch)\r\n(qemu) ");
    dialogue(wire, "\r\n", "\r\n(qemu) ");
    dialogue(wire, "cx\b\x1b[A\r", "cx\b \b\r\n(qemu) ");
    dialogue(wire, "info  status \r", "info  status \r\nVM status: running\r\n(qemu) ");
    dialogue(wire, "stop now\r",
             "stop now\r\nstop: extraneous characters at the end of line\r\n(qemu) ");
    dialogue(wire, "frob\r", "frob\r\nunknown command: 'frob'\r\n(qemu) ");
    dialogue(wire, "abc\x15stop\r", "abc\b \b\b \b\b \bstop\r\n(qemu) ");
    g_assert_cmpint(wire_machine(wire)->power, ==, POWER_PAUSED);
    wire_free(wire);
}

static void test_hmp_long_line(void)
{
    Wire *wire = wire_new("readline");
    g_autofree char *line = g_strnfill(200, 'x'), *text = NULL;

    for (unsigned i = 0; i < 1000; i++) {
        wire_send_text(wire, line);
    }
    wire_send_text(wire, "\r");
    text = wire_take(wire);
    g_assert_cmpuint(strlen(text), <, 4096);
    wire_free(wire);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/monitor/qmp/negotiation", test_negotiation);
    g_test_add_func("/monitor/qmp/reconnect", test_reconnect);
    g_test_add_func("/monitor/qmp/events", test_events);
    g_test_add_func("/monitor/qmp/shutdown", test_shutdown);
    g_test_add_func("/monitor/qmp/slow-client", test_slow_client);
    g_test_add_func("/monitor/hmp/dialogue", test_hmp);
    g_test_add_func("/monitor/hmp/long-line", test_hmp_long_line);
    return g_test_run();
}
