/*
 * Whose calls are used: those of Linux, or those that macOS and the BSDs have, too. The latter also work on
 * Linux, apart from what only the other kernels know, and are tested there with MSI_PORTABLE.
 */
#ifndef MSI_PLATFORM_H
#define MSI_PLATFORM_H

#if defined(__linux__) && !defined(MSI_PORTABLE)
#define MSI_LINUX 1
#else
#define MSI_LINUX 0
#endif

#endif
