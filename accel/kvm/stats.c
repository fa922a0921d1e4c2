/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's own statistics of a VM or vCPU, to the log. They describe themselves: names, kinds
 * and places of the values (api.rst 4.133, KVM_GET_STATS_FD).
 */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"
#include "util/log.h"

#define STATS_MAX 4096       /* more values than any kernel describes */
#define STAT_NAME_MAX 256

/* @size bytes at @offset for g_free(), or NULL. */
static void *stats_read(int fd, size_t size, uint64_t offset)
{
    g_autofree void *buffer = g_malloc0(size);

    return pread(fd, buffer, size, offset) == (ssize_t)size ? g_steal_pointer(&buffer) : NULL;
}

/* One value; histograms are left out. */
static void log_stat(int fd, const char *whose, const struct kvm_stats_header *header,
                     const struct kvm_stats_desc *desc)
{
    uint32_t type = desc->flags & KVM_STATS_TYPE_MASK;
    uint64_t value = 0;

    if (desc->size != 1 || type > KVM_STATS_TYPE_PEAK ||
        pread(fd, &value, sizeof(value), (uint64_t)header->data_offset + desc->offset) !=
            sizeof(value) || !value) {
        return;
    }
    log_write(LOG_STATS, "kvm: %s: kernel's %.*s %" G_GUINT64_FORMAT, whose,
              (int)header->name_size, desc->name, value);
}

void kvm_log_kernel_stats(int fd_of_owner, const char *whose)
{
    int fd = ioctl(fd_of_owner, KVM_GET_STATS_FD, NULL);
    struct kvm_stats_header header;

    if (fd < 0) {
        return;
    }
    if (pread(fd, &header, sizeof(header), 0) == sizeof(header) && header.num_desc <= STATS_MAX &&
        header.name_size <= STAT_NAME_MAX) {
        size_t step = sizeof(struct kvm_stats_desc) + header.name_size;
        g_autofree uint8_t *list = stats_read(fd, header.num_desc * step, header.desc_offset);
        for (unsigned i = 0; list && i < header.num_desc; i++) {
            log_stat(fd, whose, &header, (const struct kvm_stats_desc *)(list + i * step));
        }
    }
    close(fd);
}
