/*
 * Handles that callers hold: a word in each says in debug builds whether it is alive. A program that goes
 * on with what it freed, or with nothing at all, is told so instead of going wrong later.
 */
#ifndef MSI_HANDLE_H
#define MSI_HANDLE_H

#include "alloc.h"

enum {
  MSI_WORD_RUNTIME = 0x6d737274,
  MSI_WORD_SHARE = 0x6d737368,
  MSI_WORD_RECEIPT = 0x6d737263,
  MSI_WORD_BATCH = 0x6d736261,
  MSI_WORD_TRANSACTION = 0x6d737478,
  MSI_WORD_SUB = 0x6d737375,
  MSI_WORD_TIMER = 0x6d737469,
  MSI_WORD_ROUND = 0x6d73726f,
  MSI_WORD_TRANSACT = 0x6d737474,
  MSI_WORD_LEASE = 0x6d736c65,
  MSI_WORD_CALL = 0x6d736361
};

/* `handle->word` is `alive` from its making on. */
#define MSI_ASSERT_HANDLE(handle, alive)                                                 \
  do {                                                                                   \
    MSI_ASSERT((handle) != NULL && "this handle is NULL");                               \
    MSI_ASSERT((handle)->word == (alive) && "this handle was freed, or is another one"); \
  } while (0)

/* Right before the memory goes; the compiler must not think that nobody looks. */
#define MSI_END_HANDLE(handle) (*(volatile uint32_t *)&(handle)->word = 0)

#endif
