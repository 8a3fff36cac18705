/*
 * text.h - texts that guests and strangers' traces bring, made fit to be shown.
 *
 * A name in a guest is any bytes.  Shown as they are they could drive the
 * user's terminal or pass for another line; so what is not printable UTF-8 is
 * shown as \xNN, byte by byte: control characters (newlines too), C1 controls,
 * characters that turn the direction of writing, and what is no UTF-8 at all.
 */
#ifndef TTD_UTIL_TEXT_H
#define TTD_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes of the UTF-8 character at s[0..n), n > 0; 0: it is none (RFC 3629). */
size_t text_utf8(const void *s, size_t n);

/* The same, and 0 for one that must not reach a terminal. */
size_t text_printable(const void *s, size_t n);

/* Prints n bytes so, tabs as they are. */
void text_print(FILE *to, const void *s, size_t n);

/* A copy for printf(): cut to what fits, always terminated.  Returns `out`. */
const char *text_shown(char *out, size_t size, const char *s);

/* Room for any name that text_shown() is to show whole: 4 characters for each byte. */
#define TEXT_ROOM(n) (4 * (n) + 1)

/* In place, one '?' for each such byte: for messages, whose length is limited. */
void text_clean(char *s);

/* Are all its characters printable? */
bool text_plain(const char *s);

/* A domain's name, which may become a file's: letters, digits and . _ + - ~, at most 64. */
bool text_is_name(const char *s);

#endif
