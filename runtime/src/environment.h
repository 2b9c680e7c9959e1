/* The environment, as far as it may be trusted. */
#ifndef MSI_ENVIRONMENT_H
#define MSI_ENVIRONMENT_H

/* The variable, borrowed from the environment; NULL when it is not set, and in a program that was given other
 * rights than its caller has: that caller must not choose for it. */
const char *msi_environment_get(const char *name);

#endif
