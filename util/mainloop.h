/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main loop: GLib's default context, polled without and dispatched with the machine lock. */
#ifndef UTIL_MAINLOOP_H
#define UTIL_MAINLOOP_H

/* Prepares the default context; call once, before any thread starts. */
void main_loop_init(void);
/* Runs until main_loop_quit(); returns the exit status given there. Machine lock held on entry. */
int main_loop_run(void);
/* Asks the loop to end with @status; any thread. The first call wins. */
void main_loop_quit(int status);
/* Runs @fn(@opaque) once in the main loop, soon; any thread. */
void main_loop_defer(void (*fn)(void *opaque), void *opaque);

#endif
