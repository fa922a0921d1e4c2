/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls a device's read and write callbacks with sizes that they take, and never a second time
 * while the device is already being called: a device whose DMA is aimed at its own registers would
 * find its state half changed.
 */
#include "memory/internal.h"
#include "util/log.h"

/* Devices whose DMA reaches further devices, one inside the other: no real chain is that long. */
#define DISPATCH_DEPTH 8

/* The devices this thread is in the midst of calling, outermost first. */
static __thread struct {
    const void *opaque[DISPATCH_DEPTH];
    unsigned depth;
} dispatch;

static bool dispatch_enter(DeviceRegion region)
{
    bool refused = dispatch.depth == DISPATCH_DEPTH;

    for (unsigned i = 0; i < dispatch.depth && !refused; i++) {
        refused = dispatch.opaque[i] == region.opaque;
    }
    if (refused) {
        log_guest_error("%s: access while it is being accessed, by its own DMA: refused",
                        region.name);
        return false;
    }
    dispatch.opaque[dispatch.depth++] = region.opaque;
    return true;
}

static void dispatch_leave(void)
{
    dispatch.depth--;
}

static uint64_t size_mask(unsigned size)
{
    return size == 8 ? UINT64_MAX : (1ULL << (size * 8)) - 1;
}

/* The widest naturally aligned access that fits at @offset into @size bytes and into @max. */
static unsigned access_size(uint64_t offset, unsigned size, unsigned max)
{
    unsigned width = 8;

    while (width > max || width > size || (offset & (width - 1))) {
        width >>= 1;
    }
    return width;
}

static unsigned region_max(DeviceRegion region)
{
    return region.ops->max_size ? region.ops->max_size : region.max_size;
}

static unsigned region_min(DeviceRegion region)
{
    return region.ops->min_size ? region.ops->min_size : 1;
}

/*
 * One callback: a part narrower than the region's least size reads the whole and takes its lanes.
 */
static uint64_t read_part(DeviceRegion region, uint64_t offset, unsigned width)
{
    unsigned min = region_min(region);

    if (width >= min) {
        return region.ops->read(region.opaque, offset, width) & size_mask(width);
    }
    uint64_t aligned = offset & ~(uint64_t)(min - 1);
    uint64_t value = region.ops->read(region.opaque, aligned, min);
    return (value >> ((offset - aligned) * 8)) & size_mask(width);
}

/* A part narrower than the region's least size drives its byte lanes, zeros on the others. */
static void write_part(DeviceRegion region, uint64_t offset, uint64_t value, unsigned width)
{
    unsigned min = region_min(region);

    value &= size_mask(width);
    if (width >= min) {
        region.ops->write(region.opaque, offset, value, width);
        return;
    }
    uint64_t aligned = offset & ~(uint64_t)(min - 1);
    region.ops->write(region.opaque, aligned, value << ((offset - aligned) * 8), min);
}

uint64_t device_region_read(DeviceRegion region, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    if (!region.ops->read || !dispatch_enter(region)) {
        return size_mask(size);
    }
    for (unsigned done = 0; done < size;) {
        unsigned width = access_size(offset + done, size - done, region_max(region));
        value |= read_part(region, offset + done, width) << (done * 8);
        done += width;
    }
    dispatch_leave();
    return value;
}

void device_region_write(DeviceRegion region, uint64_t offset, uint64_t value, unsigned size)
{
    if (!region.ops->write || !dispatch_enter(region)) {
        return;
    }
    for (unsigned done = 0; done < size;) {
        unsigned width = access_size(offset + done, size - done, region_max(region));
        write_part(region, offset + done, value >> (done * 8), width);
        done += width;
    }
    dispatch_leave();
}
