/*
 * Memory and error lines: what every module needs before it can fail properly.
 *
 * All memory goes through an ms_alloc. A NULL alloc means the default one, so internal
 * structs hold the resolved pointer from msi_alloc_resolve().
 */
#ifndef MSI_ALLOC_H
#define MSI_ALLOC_H

#include "memshare.h"

#if defined(MSI_DEBUG)
#undef NDEBUG /* sanitizer builds are optimised builds, and assert all the same */
#include <assert.h>
#define MSI_ASSERT(condition) assert(condition)
#else
#define MSI_ASSERT(condition) ((void)0)
#endif

/* Static; never NULL. */
const ms_alloc *msi_alloc_resolve(const ms_alloc *alloc);
/* Uninitialised memory, NULL when there is none; bytes > 0. */
void *msi_alloc_get(const ms_alloc *alloc, size_t bytes);
/* Zeroed memory. */
void *msi_alloc_zero(const ms_alloc *alloc, size_t bytes);
void *msi_alloc_resize(const ms_alloc *alloc, void *ptr, size_t old_bytes,
                       size_t new_bytes);
/* Accepts NULL; bytes is the size that was asked for. */
void msi_alloc_free(const ms_alloc *alloc, void *ptr, size_t bytes);
#define MSI_NEW(alloc, type) ((type *)msi_alloc_zero((alloc), sizeof(type)))
#define MSI_FREE(alloc, ptr) msi_alloc_free((alloc), (ptr), sizeof(*(ptr)))

/* Fills *error (may be NULL), cutting the line at a UTF-8 boundary, and returns `status`.
 * */
ms_status msi_fail(ms_error *error, ms_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* which does not look into other files: a failure is one */
#define msi_fail(error, status, ...)                                                     \
  ((void)msi_fail((error), (status), __VA_ARGS__), (status))
#endif

#endif
