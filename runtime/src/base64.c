/* Bytes as base64 text: three bytes are four letters of six bits each. */
#include "base64.h"

#include <string.h>

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

ms_status msi_base64_write(msi_buffer *out, const char *bytes, size_t length) {
  if (length > SIZE_MAX / 2) return MS_ENOMEM;
  ms_status st = msi_buffer_reserve(out, (length + 2) / 3 * 4);
  for (size_t i = 0; st == MS_OK && i < length; i += 3) {
    size_t part = length - i < 3 ? length - i : 3;
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; k++) {
      bits = bits << 8 | (k < part ? (unsigned char)bytes[i + k] : 0);
    }
    char text[4];
    for (size_t k = 0; k < 4; k++) {
      text[k] = k <= part ? letters[bits >> (18 - 6 * k) & 63] : '=';
    }
    st = msi_buffer_append(out, text, sizeof text);
  }
  return st;
}

/* The six bits of a letter, or 64. */
static uint32_t letter_bits(char letter) {
  const char *at = letter == '\0' ? NULL : strchr(letters, letter);
  return at == NULL ? 64 : (uint32_t)(at - letters);
}

/* Four letters, of which the last `padding` are '='; false when that is not base64. */
static bool group_read(const char *text, size_t padding, char *bytes) {
  uint32_t bits = 0;
  for (size_t k = 0; k < 4; k++) {
    uint32_t six = k < 4 - padding ? letter_bits(text[k]) : text[k] == '=' ? 0 : 64;
    if (six == 64) return false;
    bits = bits << 6 | six;
  }
  /* Bits that belong to no byte must be 0: one text per bytes. */
  if ((bits & ((1u << (8 * padding)) - 1)) != 0) return false;
  for (size_t k = 0; k < 3; k++) bytes[k] = (char)(bits >> (16 - 8 * k) & 0xFF);
  return true;
}

ms_status msi_base64_read(msi_buffer *out, const char *text, size_t length) {
  if (length % 4 != 0) return MS_EARGUMENT;
  ms_status st = msi_buffer_reserve(out, length / 4 * 3);
  for (size_t i = 0; st == MS_OK && i < length; i += 4) {
    bool is_last = i + 4 == length;
    size_t padding = !is_last || text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
    char bytes[3];
    if (!group_read(text + i, padding, bytes)) return MS_EARGUMENT;
    st = msi_buffer_append(out, bytes, 3 - padding);
  }
  return st;
}
