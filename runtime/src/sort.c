/* Merges runs of 1, 2, 4, ... items. */
#include "sort.h"

#include <string.h>

/* Merges from[low..middle) and from[middle..high) into the same places of `to`. */
static void merge(const void **from, const void **to, size_t low, size_t middle,
                  size_t high, msi_order_fn order, void *ud) {
  size_t left = low, right = middle;
  for (size_t at = low; at < high; at++) {
    bool takes_left =
        left < middle && (right == high || order(ud, from[left], from[right]) <= 0);
    to[at] = takes_left ? from[left++] : from[right++];
  }
}

void msi_sort(const void **items, const void **spare, size_t count, msi_order_fn order,
              void *ud) {
  const void **from = items, **to = spare;
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t low = 0; low < count; low += 2 * width) {
      size_t middle = count - low < width ? count : low + width;
      size_t high = count - low < 2 * width ? count : low + 2 * width;
      merge(from, to, low, middle, high, order, ud);
    }
    const void **sorted = to;
    to = from;
    from = sorted;
  }
  if (from != items && count > 0) memcpy(items, from, count * sizeof *items);
}
