/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main(): the phases of a run, one line each. */
#include <stdio.h>

int main(void)
{
    puts("Tessera " TESSERA_VERSION);
    return 0;
}
