/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * perf's two ways to learn of generated code. The map is a line for each piece; where code was
 * overwritten since, it tells the last owner. The dump has a time and the bytes too, for
 * `perf inject --jit` (Linux, tools/perf/Documentation/jitdump-specification.txt).
 */
#include "accel/tcg/perf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <gio/gio.h>

#include "qemu-config/config.h"
#include "qemu-config/schema.h"

SYSTEM_OPTION(perfmap_option, "perfmap", OPT_BOOL, "name translated code in /tmp/perf-PID.map",
              .flags = OPT_MERGE | OPT_FLAG, .section = OPT_SECTION_DEBUG);
SYSTEM_OPTION(jitdump_option, "jitdump", OPT_BOOL, "describe translated code in jit-PID.dump",
              .flags = OPT_MERGE | OPT_FLAG, .section = OPT_SECTION_DEBUG);

#define DUMP_MAGIC 0x4a695444u /* "JiTD" */
enum { DUMP_VERSION = 1, RECORD_LOAD = 0, RECORD_CLOSE = 3 };

typedef struct DumpHeader {
    uint32_t magic, version, total_size, elf_mach, pad, pid;
    uint64_t timestamp, flags;
} DumpHeader;

typedef struct DumpRecord {
    uint32_t id, total_size;
    uint64_t timestamp;
} DumpRecord;

typedef struct DumpLoad {
    DumpRecord record;
    uint32_t pid, tid;
    uint64_t vma, code_addr, code_size, code_index;
} DumpLoad;

struct JitPerf {
    GMutex lock;
    FILE *map, *dump;  /* NULL: not wanted */
    void *marker;      /* a mapping of the dump: perf sees by it that there is one */
    uint64_t count;    /* pieces named */
};

/* As `perf record -k 1` stamps its samples. */
static uint64_t timestamp(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (uint64_t)1000000000 + now.tv_nsec;
}

static FILE *create(const char *path, GError **error)
{
    FILE *file = fopen(path, "w+e");
    int number = errno;

    if (!file) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number), "cannot write '%s': %s",
                    path, g_strerror(number));
    }
    return file;
}

static bool open_map(JitPerf *perf, GError **error)
{
    g_autofree char *path = g_strdup_printf("/tmp/perf-%d.map", (int)getpid());

    perf->map = create(path, error);
    if (perf->map) {
        setvbuf(perf->map, NULL, _IOLBF, 0); /* for those who look before the end */
    }
    return perf->map != NULL;
}

static bool open_dump(JitPerf *perf, GError **error)
{
    g_autofree char *path = g_strdup_printf("jit-%d.dump", (int)getpid());
    DumpHeader header = {.magic = DUMP_MAGIC, .version = DUMP_VERSION,
                         .total_size = sizeof(header), .elf_mach = EM_X86_64, .pid = getpid(),
                         .timestamp = timestamp()};

    perf->dump = create(path, error);
    if (!perf->dump) {
        return false;
    }
    fwrite(&header, sizeof(header), 1, perf->dump);
    fflush(perf->dump);
    perf->marker = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_EXEC, MAP_PRIVATE,
                        fileno(perf->dump), 0);
    if (perf->marker == MAP_FAILED) {
        int number = errno;

        perf->marker = NULL;
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(number),
                    "cannot map '%s' for perf to see it: %s", path, g_strerror(number));
        return false;
    }
    return true;
}

JitPerf *jit_perf_new(const struct Config *config, GError **error)
{
    bool map = config_is_on(config, "system", "perfmap");
    bool dump = config_is_on(config, "system", "jitdump");
    JitPerf *perf;

    if (!map && !dump) {
        return NULL;
    }
    perf = g_new0(JitPerf, 1);
    g_mutex_init(&perf->lock);
    if ((map && !open_map(perf, error)) || (dump && !open_dump(perf, error))) {
        jit_perf_free(perf);
        return NULL;
    }
    return perf;
}

void jit_perf_free(JitPerf *perf)
{
    if (!perf) {
        return;
    }
    if (perf->map) {
        fclose(perf->map);
    }
    if (perf->marker) {
        DumpRecord close = {.id = RECORD_CLOSE, .total_size = sizeof(close),
                            .timestamp = timestamp()};

        fwrite(&close, sizeof(close), 1, perf->dump);
        munmap(perf->marker, sysconf(_SC_PAGESIZE));
    }
    if (perf->dump) {
        fclose(perf->dump);
    }
    g_mutex_clear(&perf->lock);
    g_free(perf);
}

bool jit_perf_wants_anonymous(const JitPerf *perf)
{
    return perf && perf->map;
}

static void dump_code(JitPerf *perf, const char *name, const void *code, size_t size)
{
    size_t name_size = strlen(name) + 1;
    DumpLoad load = {
        .record = {.id = RECORD_LOAD, .total_size = sizeof(load) + name_size + size,
                   .timestamp = timestamp()},
        .pid = getpid(), .tid = syscall(SYS_gettid), .vma = (uintptr_t)code,
        .code_addr = (uintptr_t)code, .code_size = size, .code_index = perf->count,
    };

    fwrite(&load, sizeof(load), 1, perf->dump);
    fwrite(name, name_size, 1, perf->dump);
    fwrite(code, size, 1, perf->dump);
}

void jit_perf_name(JitPerf *perf, const char *name, const void *code, size_t size)
{
    g_mutex_lock(&perf->lock);
    if (perf->map) {
        fprintf(perf->map, "%" PRIxPTR " %zx %s\n", (uintptr_t)code, size, name);
    }
    if (perf->dump) {
        dump_code(perf, name, code, size);
    }
    perf->count++;
    g_mutex_unlock(&perf->lock);
}
