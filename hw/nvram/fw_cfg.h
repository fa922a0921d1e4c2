/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firmware configuration device ("QEMU Firmware Configuration (fw_cfg) Device", the interface
 * document for firmware authors): numbered items and named files that firmware reads through ports.
 */
#ifndef HW_NVRAM_FW_CFG_H
#define HW_NVRAM_FW_CFG_H

#include "hw/core/device.h"

typedef struct FwCfg FwCfg;

/* Item numbers of the interface document and of firmware that uses it. */
enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_CPU_COUNT = 0x05,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FIRST_FILE = 0x20,
    FW_CFG_ARCH_LOCAL = 0x8000,
    FW_CFG_IRQ0_OVERRIDE = 0x8002, /* GSI 2 is ISA interrupt 0 */
};

#define FW_CFG_NAME_MAX 55

/* The machine's fw_cfg device, or NULL. */
FwCfg *fw_cfg_find(Machine *machine);
/* Sets item @key; takes ownership of @data. */
void fw_cfg_set(FwCfg *fw, uint16_t key, GBytes *data);
void fw_cfg_set_u16(FwCfg *fw, uint16_t key, uint16_t value);
void fw_cfg_set_u64(FwCfg *fw, uint16_t key, uint64_t value);
/*
 * Adds file @name, at most FW_CFG_NAME_MAX bytes, or replaces it; takes ownership of @data.
 * Returns its item number, or 0 when the directory is full or the name is too long.
 */
uint16_t fw_cfg_add_file(FwCfg *fw, const char *name, GBytes *data);
/* The contents of file @name, or NULL; for tests and tables made from one another. */
GBytes *fw_cfg_get_file(const FwCfg *fw, const char *name);

#endif
