/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool: objects apart from each other, places used again, and memory given back. */
#include <stdint.h>
#include <string.h>

#include <glib.h>

#include "util/pool.h"

#define OBJECTS 20000u

typedef struct Object {
    uint8_t *at;
    size_t size;
} Object;

static void fill(const Object *object)
{
    memset(object->at, (uint8_t)((uintptr_t)object->at >> 4), object->size);
}

static void check(const Object *object)
{
    for (size_t i = 0; i < object->size; i++) {
        g_assert_cmpuint(object->at[i], ==, (uint8_t)((uintptr_t)object->at >> 4));
    }
}

/* None overlaps another, however they come and go. */
static void test_apart(void)
{
    Pool *pool = pool_new();
    GRand *random = g_rand_new_with_seed(3);
    Object *objects = g_new0(Object, OBJECTS);

    for (unsigned round = 0; round < OBJECTS * 3; round++) {
        Object *object = &objects[g_rand_int_range(random, 0, OBJECTS)];

        if (object->at) {
            check(object);
            pool_free(pool, object->at, object->size);
        }
        object->size = g_rand_int_range(random, 1, round % 8 ? 400 : POOL_OBJECT_MAX + 1);
        object->at = pool_alloc(pool, object->size);
        g_assert_cmpuint((uintptr_t)object->at % 16, ==, 0);
        if (round % 2) {
            size_t smaller = g_rand_int_range(random, 1, object->size + 1);

            object->size = pool_trim(pool, object->at, object->size, smaller) ? smaller
                                                                              : object->size;
        }
        fill(object);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        check(&objects[i]);
    }
    g_free(objects);
    g_rand_free(random);
    pool_destroy(pool);
}

static void test_again(void)
{
    Pool *pool = pool_new();
    void *first = pool_alloc(pool, 100);
    size_t size;

    pool_free(pool, first, 100);
    g_assert_true(pool_alloc(pool, 100) == first);
    size = pool_size(pool);
    for (unsigned i = 0; i < OBJECTS; i++) {
        pool_free(pool, pool_alloc(pool, 3000), 3000);
    }
    g_assert_cmpuint(pool_size(pool), ==, size);
    pool_destroy(pool);
}

/* Only the newest can become smaller; what it gives up is the next one's. */
static void test_trim(void)
{
    Pool *pool = pool_new();
    uint8_t *first = pool_alloc(pool, 300), *second = pool_alloc(pool, 300);

    g_assert_false(pool_trim(pool, first, 300, 100));
    g_assert_true(pool_trim(pool, second, 300, 100));
    g_assert_true((uint8_t *)pool_alloc(pool, 16) < second + 300);
    pool_free(pool, first, 300);
    g_assert_true(pool_alloc(pool, 300) == first);
    g_assert_false(pool_trim(pool, first, 300, 100)); /* not the end of the memory */
    pool_destroy(pool);
}

static void test_reset(void)
{
    Pool *pool = pool_new();
    size_t size;

    pool_reset(pool); /* nothing was allocated yet */
    g_assert_cmpuint(pool_size(pool), ==, 0);
    pool_free(pool, pool_alloc(pool, 64), 64);
    size = pool_size(pool);
    for (unsigned i = 0; i < OBJECTS; i++) {
        memset(pool_alloc(pool, 1000), 1, 1000);
    }
    g_assert_cmpuint(pool_size(pool), >=, OBJECTS * 1000u);
    pool_reset(pool);
    g_assert_cmpuint(pool_size(pool), ==, size);
    memset(pool_alloc(pool, 64), 1, 64);
    pool_destroy(pool);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pool/apart", test_apart);
    g_test_add_func("/pool/again", test_again);
    g_test_add_func("/pool/trim", test_trim);
    g_test_add_func("/pool/reset", test_reset);
    return g_test_run();
}
