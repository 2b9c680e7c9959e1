/* Strings: counted bytes that know whether they are UTF-8 and, once asked, their hash. */
#include "node.h"

#include <stddef.h>
#include <string.h>

#define ASCII_WORD 0x8080808080808080u

/* Bytes of the sequence that begins at `at` (at least one byte is left); 0 when it is
 * invalid. */
static size_t utf8_sequence(const unsigned char *at, size_t left) {
  unsigned char lead = at[0];
  if (lead < 0x80) return 1;
  size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || left < length) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0;
  }
  /* Overlong forms, surrogates, and what is beyond U+10FFFF. */
  if (lead == 0xE0 && at[1] < 0xA0) return 0;
  if (lead == 0xED && at[1] > 0x9F) return 0;
  if (lead == 0xF0 && at[1] < 0x90) return 0;
  if (lead == 0xF4 && at[1] > 0x8F) return 0;
  return length;
}

bool msi_utf8_valid(const char *bytes, size_t length) {
  const unsigned char *at = (const unsigned char *)bytes;
  size_t left = length;
  while (left > 0) {
    uint64_t word;
    if (left >= sizeof word) {
      memcpy(&word, at, sizeof word);
      if ((word & ASCII_WORD) == 0) {
        at += sizeof word;
        left -= sizeof word;
        continue;
      }
    }
    size_t step = utf8_sequence(at, left);
    if (step == 0) return false;
    at += step;
    left -= step;
  }
  return true;
}

static uint64_t load_little_endian(const char *bytes, size_t count) {
  uint64_t word = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(&word, bytes, count);
#else
  for (size_t i = 0; i < count; i++) word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
#endif
  return word;
}

/* MurmurHash64A over little-endian words, cut to 32 bits; 0 stands for "not computed". */
uint32_t msi_string_hash(const char *bytes, size_t length) {
  const uint64_t m = 0xC6A4A7935BD1E995u;
  uint64_t hash = 0x6D656D7368617265u ^ ((uint64_t)length * m);
  for (; length >= 8; bytes += 8, length -= 8) {
    uint64_t word = load_little_endian(bytes, 8) * m;
    hash = (hash ^ ((word ^ (word >> 47)) * m)) * m;
  }
  if (length > 0) hash = (hash ^ load_little_endian(bytes, length)) * m;
  hash = (hash ^ (hash >> 47)) * m;
  hash ^= hash >> 47;
  uint32_t cut = (uint32_t)(hash >> 32);
  return cut == 0 ? 1 : cut;
}

ms_status ms_value_new_string(const ms_alloc *alloc, const char *bytes, size_t length,
                              const ms_value **out) {
  if (length > UINT32_MAX || length > SIZE_MAX - sizeof(msi_string) - 1) return MS_ELIMIT;
  alloc = msi_alloc_resolve(alloc);
  msi_string *string = msi_alloc_get(alloc, sizeof(msi_string) + length + 1);
  if (string == NULL) return MS_ENOMEM;
  msi_value_init(&string->head, alloc, MS_STRING);
  string->length = (uint32_t)length;
  atomic_init(&string->hash, 0);
  if (length > 0) memcpy(string->bytes, bytes, length);
  string->bytes[length] = '\0';
  if (msi_utf8_valid(string->bytes, length)) string->head.flags = MSI_UTF8;
  *out = &string->head;
  return MS_OK;
}

uint32_t msi_string_value_hash(const ms_value *value) {
  msi_string *string = (msi_string *)(uintptr_t)value;
  uint32_t hash = atomic_load_explicit(&string->hash, memory_order_relaxed);
  if (hash != 0) return hash;
  hash = msi_string_hash(string->bytes, string->length);
  /* Threads that race here store the same number. */
  atomic_store_explicit(&string->hash, hash, memory_order_relaxed);
  return hash;
}

int msi_lookup_compare(const msi_lookup *lookup, const ms_value *key) {
  const msi_string *string = msi_as_string(key);
  uint32_t hash = msi_string_value_hash(key);
  if (lookup->hash != hash) return lookup->hash < hash ? -1 : 1;
  size_t common = lookup->length < string->length ? lookup->length : string->length;
  int order = common == 0 ? 0 : memcmp(lookup->bytes, string->bytes, common);
  if (order != 0) return order;
  return lookup->length == string->length ? 0 : lookup->length < string->length ? -1 : 1;
}

bool msi_lookup_matches(const msi_lookup *lookup, const ms_value *key) {
  if (lookup->string == key) return true;
  const msi_string *string = msi_as_string(key);
  return lookup->length == string->length && lookup->hash == msi_string_value_hash(key) &&
         (lookup->length == 0 ||
          memcmp(lookup->bytes, string->bytes, lookup->length) == 0);
}

msi_lookup msi_lookup_string(const ms_value *value) {
  MSI_ASSERT(msi_is_string(value));
  const msi_string *string = msi_as_string(value);
  return (msi_lookup){string->bytes, string->length, msi_string_value_hash(value), value};
}

ms_status msi_lookup_key(const ms_alloc *alloc, const msi_lookup *lookup,
                         const ms_value **out) {
  if (lookup->string != NULL) {
    *out = msi_retain(lookup->string);
    return MS_OK;
  }
  ms_status st = ms_value_new_string(alloc, lookup->bytes, lookup->length, out);
  if (st != MS_OK) return st;
  msi_string *string = (msi_string *)(uintptr_t)*out;
  atomic_store_explicit(&string->hash, lookup->hash, memory_order_relaxed);
  return MS_OK;
}
