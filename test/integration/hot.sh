#!/bin/bash
# hot.sh - what runs while the guest's vector registers are live uses none of them:
# the functions that glue.c calls and all that these call, in the program as it was
# linked, where the compiler may have put several of them into one.
set -u -o pipefail
objdump -d --no-show-raw-insn --section=.text --section=.plt --section=.plt.sec \
	"$TTD_BUILD/ttd" | awk '
	/^[0-9a-f]+ <.*>:$/ {
		at = $1
		sub(/^0+/, "", at)
		name[at] = $2
		if ($2 ~ /^<hot_/ && $2 !~ /@/)
			queue[n++] = at
		next
	}
	/%([xyz]?mm[0-9]|st)/ { vector[at] = $0 }
	$2 ~ /^(call|j[a-z]+)$/ && $3 ~ /^[0-9a-f]+$/ && $4 !~ /\+0x/ { calls[at] = calls[at] " " $3 }
	END {
		roots = n
		for (i = 0; i < n; i++)
			queued[queue[i]] = 1
		for (i = 0; i < n; i++) {
			at = queue[i]
			if (at in vector) {
				print "wrong: " path[at] name[at] vector[at]
				bad = 1
			}
			if (name[at] ~ /@plt/) {
				print "wrong: " path[at] name[at] " may use any register"
				bad = 1
			}
			k = split(calls[at], to, " ")
			for (j = 1; j <= k; j++)
				if (!(to[j] in queued)) {
					queued[to[j]] = 1
					path[to[j]] = path[at] name[at] " "
					queue[n++] = to[j]
				}
		}
		print roots " functions called by translated code, " n " in all"
		exit bad || roots < 15 || n < 40
	}'
