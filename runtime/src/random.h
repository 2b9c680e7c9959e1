/* Random numbers of the system, for ids and names of files. */
#ifndef MSI_RANDOM_H
#define MSI_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* May wait for the system's pool to be filled, right after it was started; 0 when there is none. */
uint64_t msi_random_number(void);
/* Does not wait: false when it would have to. */
bool msi_random_number_now(uint64_t *out);

#endif
