/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is said of a KVM that is too old or lacks something: by one that is made up. */
#include <string.h>

#include "accel/kvm/kvm.h"

static int version, lacking;

static int fake_ioctl(int fd, unsigned long request, unsigned long argument)
{
    switch (request) {
    case KVM_GET_API_VERSION: return version;
    case KVM_CHECK_EXTENSION: return (int)argument != lacking;
    default: g_assert_not_reached();
    }
}

static void assert_says(int with_version, int without, const char *text)
{
    g_autoptr(GError) error = NULL;

    version = with_version;
    lacking = without;
    g_assert_cmpint(kvm_host_is_able(0, fake_ioctl, &error), ==, !text);
    g_assert_cmpint(!error, ==, !text);
    if (text) {
        g_assert_nonnull(strstr(error->message, text));
    }
}

static void test_able(void)
{
    assert_says(KVM_API_VERSION, -1, NULL);
    assert_says(KVM_API_VERSION, KVM_CAP_IRQCHIP, NULL); /* not needed by every machine */
}

static void test_version(void)
{
    assert_says(11, -1, "has version 11, not 12");
    assert_says(13, -1, "has version 13, not 12");
}

static void test_capability(void)
{
    assert_says(KVM_API_VERSION, KVM_CAP_USER_MEMORY, "lacks KVM_CAP_USER_MEMORY");
    assert_says(KVM_API_VERSION, KVM_CAP_IMMEDIATE_EXIT, "lacks KVM_CAP_IMMEDIATE_EXIT");
    assert_says(KVM_API_VERSION, KVM_CAP_XSAVE, "lacks KVM_CAP_XSAVE");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvm-host/able", test_able);
    g_test_add_func("/kvm-host/version", test_version);
    g_test_add_func("/kvm-host/capability", test_capability);
    return g_test_run();
}
