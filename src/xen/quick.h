/*
 * quick.h - exits that are completed without leaving translated code.
 */
#ifndef TTD_XEN_QUICK_H
#define TTD_XEN_QUICK_H

#include "xen/internal.h"

cpu_quick_fn xen_quick; /* its context is a struct vcpu */

#endif
