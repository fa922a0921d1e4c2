/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for a great many small objects that one thread makes and drops. It lies in huge pages
 * where the host has them: what is used at random is found without a walk of its page tables.
 */
#ifndef UTIL_POOL_H
#define UTIL_POOL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Pool Pool;

#define POOL_OBJECT_MAX 4352u /* bytes */

Pool *pool_new(void);
/* With all objects. */
void pool_destroy(Pool *pool);
/* @size bytes, 1 to POOL_OBJECT_MAX, aligned to 16. Never fails; they hold anything. */
void *pool_alloc(Pool *pool, size_t size);
/* @size is what it was allocated with. Only objects of about that size use its place again. */
void pool_free(Pool *pool, void *object, size_t size);
/*
 * Makes @object, of @size bytes, one of @smaller; false, and it stays as it is, if another one was
 * allocated since or its place had been used before.
 */
bool pool_trim(Pool *pool, void *object, size_t size, size_t smaller);
/* Drops all objects and gives the memory back to the host, but for a first piece. */
void pool_reset(Pool *pool);
/* Bytes taken from the host. */
size_t pool_size(const Pool *pool);

#endif
