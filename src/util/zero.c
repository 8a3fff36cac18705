/*
 * zero.c - a page of zeros; see zero.h.
 */
#include "util/zero.h"

const uint8_t zero_page[ZERO_PAGE];
