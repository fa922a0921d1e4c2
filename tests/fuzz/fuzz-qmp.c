/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: what a QMP client sends; the first byte says where the stream is cut. */
#include <string.h>

#include "tests/unit/monitor/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_all(Wire *wire, const char *data, size_t size, size_t chunk)
{
    while (size) {
        size_t taken = wire_send(wire, data, MIN(size, chunk));
        g_assert_cmpuint(taken, >, 0); /* the client reads everything: there is always room */
        data += taken;
        size -= taken;
    }
}

/* Whatever came before, a client that sends 0xff and negotiates is understood. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Wire *wire; /* hundreds of thousands of machines would say no more than one */
    static const char probe[] = "\xff{\"execute\":\"query-name\",\"id\":\"in step\"}";

    if (!size) {
        return 0;
    }
    if (!wire) {
        wire = wire_new("control");
    }
    wire_reconnect(wire);
    send_all(wire, "{\"execute\":\"qmp_capabilities\"}", 30, 30);
    send_all(wire, (const char *)data + 1, size - 1, data[0] + 1);
    g_free(wire_take(wire));
    send_all(wire, probe, sizeof(probe) - 1, sizeof(probe));
    g_autofree char *answer = wire_take(wire);
    g_assert_true(g_str_has_suffix(answer, "{\"return\": {}, \"id\": \"in step\"}\r\n"));
    return 0;
}
