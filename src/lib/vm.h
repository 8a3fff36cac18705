/*
 * vm.h - what a machine of the public interface is made of.
 */
#ifndef TTD_LIB_VM_H
#define TTD_LIB_VM_H

#include <ttd/ttd.h>

#include "xen/domain.h"

struct ttd_vm {
	struct domain *domain;
	char *name, *kernel, *ramdisk, *cmdline; /* the domain borrows them */
};

#endif
