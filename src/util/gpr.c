/*
 * gpr.c - names of registers; see gpr.h.
 */
#include "util/gpr.h"

#define NAME(name, number) [number] = #name,

const char *const gpr_names[16] = { GPRS(NAME) };
