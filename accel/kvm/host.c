/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /dev/kvm: whether it is there, may be used, and has what we need. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "accel/kvm/kvm.h"

/* Device of the kernel's KVM; the environment may name another, for tests of what is missing. */
#define KVM_DEVICE "/dev/kvm"
#define KVM_DEVICE_VARIABLE "TESSERA_KVM_DEVICE"

/* Without these there is no use in trying. */
static const struct {
    int capability;
    const char *name;
} needed[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
    {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
    {KVM_CAP_XCRS, "KVM_CAP_XCRS"},
    {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
    {KVM_CAP_USER_NMI, "KVM_CAP_USER_NMI"},
    {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
};

bool kvm_call(int fd, unsigned long request, void *argument, const char *name, GError **error)
{
    if (ioctl(fd, request, argument) >= 0) {
        return true;
    }
    int saved = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved), "%s: %s", name,
                g_strerror(saved));
    return false;
}

bool kvm_host_is_able(int fd, KvmIoctl *call, GError **error)
{
    int version = call(fd, KVM_GET_API_VERSION, 0);

    if (version != KVM_API_VERSION) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                    "its KVM API has version %d, not %d", version, KVM_API_VERSION);
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (call(fd, KVM_CHECK_EXTENSION, needed[i].capability) <= 0) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOSYS, "its KVM lacks %s",
                        needed[i].name);
            return false;
        }
    }
    return true;
}

static int real_ioctl(int fd, unsigned long request, unsigned long argument)
{
    return ioctl(fd, request, argument);
}

int kvm_open(GError **error)
{
    const char *path = g_getenv(KVM_DEVICE_VARIABLE) ? g_getenv(KVM_DEVICE_VARIABLE) : KVM_DEVICE;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        int saved = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(saved), "%s: %s", path,
                    saved == ENOENT ? "there is no such device; is the kvm module loaded, and "
                                      "virtualization on in the host's firmware?"
                    : saved == EACCES ? "permission denied; members of its group (kvm) may use it"
                                      : g_strerror(saved));
        return -1;
    }
    if (!kvm_host_is_able(fd, real_ioctl, error)) {
        g_prefix_error(error, "%s: ", path);
        close(fd);
        return -1;
    }
    return fd;
}
