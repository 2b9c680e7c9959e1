/*
 * memshare for C++17: owners, views and lambdas over memshare.h, which says what each call does. This
 * header adds no behaviour and no state of its own; native() leads to the C function that is missing
 * here.
 *
 * What holds for everything below
 *
 * The parts are in memshare/: value, path, receipt, callback, transaction, share, runtime.
 *
 * Owners. runtime, share, batch, transaction, transact_steps, subscription, timer and round can be moved,
 * not copied, and end what they own when they are destroyed. value, path, update, query, receipt are
 * counted: a copy is one more reference. Destroy all that belongs to a share before the share, and shares,
 * receipts, timers and rounds before their runtime: members and locals that are declared in the order
 * runtime, share, the rest do so by themselves. A moved-from or default-made value is nothing; other objects
 * in that state may be destroyed and assigned to, nothing else.
 *
 * Failure. What can fail returns an ms_status or an empty std::optional, and takes an ms_error, which
 * may be null, for the reason.
 *
 * Exceptions. The constructors of value, value::array and value::object throw std::bad_alloc when there
 * is no memory, and std::length_error or std::out_of_range for what no value can hold. Nothing else
 * throws. Where exceptions are switched off these call std::abort().
 *
 * Callbacks. Anything callable; it is moved into the subscription or timer. An exception that leaves
 * a callback ends the program (std::terminate): there are C functions below it. A callback may destroy
 * its own subscription or timer.
 *
 * Text. std::string_view everywhere; paths and names with a NUL inside are MS_EPATH and MS_EARGUMENT.
 *
 * Memory. The runtime's ms_alloc serves what belongs to it. Values, paths, updates and queries that are
 * made here come from realloc(), callbacks and texts above 255 bytes from operator new.
 */
#ifndef MEMSHARE_HPP
#define MEMSHARE_HPP

#include "memshare/runtime.hpp"

#endif
