#!/bin/bash
# man.sh - the manual pages are correct mdoc and name the options that there are: a command's
# lines of the synopsis and its part of the description have no others, and none is left out.
set -u
. "${0%/*}/../lib.sh"
wrong() {
	echo "$*"
	bad=1
}
mandoc -T lint -W warning man/*.[15] || bad=1

# "COMMAND OPTION" for each option in the synopsis of page $1.
synopsis() {
	awk '/^\.Sh/ { on = $2 == "SYNOPSIS"; next }
	!on { next }
	{ sub(/^\./, ""); gsub(/"/, "") }
	$1 == "Nm" { n = 1; of[1] = NF > 1 ? $NF : "-"; fresh = NF == 1; next }
	$1 == "Cm" && fresh {
		n = 0
		for (i = 2; i <= NF; i++)
			if ($i != "|")
				of[++n] = $i
	}
	{
		fresh = 0
		for (i = 1; i < NF; i++) {
			if ($i != "Fl")
				continue
			if ($(i + 1) == "Fl") {
				for (k = 1; k <= n; k++)
					print of[k], "--" $(i + 2)
				i += 2
			} else
				for (c = 1; c <= length($(i + 1)); c++)
					for (k = 1; k <= n; k++)
						print of[k], "-" substr($(i + 1), c, 1)
		}
	}' "$1"
}
# The same of the items of its description; "- OPTION" before there is a command.
described() {
	awk -v commands=" $2 " '/^\.Sh/ { on = $2 == "DESCRIPTION"; of = "-" }
	!on || !/^\.It/ { next }
	$2 == "Cm" && index(commands, " " $3 " ") { of = $3 }
	{
		for (i = 2; i < NF; i++)
			if ($i == "Fl" && $(i + 1) == "Fl")
				print of, "--" $(i += 2)
			else if ($i == "Fl")
				print of, "-" $(i + 1)
	}' "$1"
}
# Of the help text on stdin: "-o --output" or "--output" a line.
options() {
	sed -nE 's/^ +((-[a-zA-Z])(,.*)?)?( *)(--[a-z-]+).*/\2 \5/p; s/^  (-[a-zA-Z])  .*/\1/p'
}
# compare PAGE COMMAND HELP ALSO: command's options by its help and by the page, where what
# ALSO names, --help and --version go without saying in its synopsis.
compare() {
	local page=$1 cmd=$2 help=$3 also=$4 o words named
	named=$(synopsis "$page" | awk -v c="$cmd" '$1 == c { print $2 }')
	while read -r o; do
		case $o in '' | *--help | *--version) continue ;; esac
		for words in $o; do
			grep -qxe "$words" <<<"$named"$'\n'"$also" && continue 2
		done
		wrong "$page: the synopsis of $cmd lacks $o"
	done <<<"$help"
	for o in $named $(described "$page" "$commands" | awk -v c="$cmd" '$1 == c { print $2 }'); do
		grep -qwFe "$o" <<<"$(tr ' ' '\n' <<<"$help")" || wrong "$page: $cmd has no option $o"
	done
	[ "$cmd" = - ] || for o in $(sort <<<"$named" | uniq -d); do
		wrong "$page: $cmd has $o twice"
	done
}

commands=$("$TTD_BUILD/ttd" help | sed -n 's/^  \([a-z-]*\) .*/\1/p' | tr '\n' ' ')
inspect=" $(synopsis man/ttd-inspect.1 | cut -d' ' -f1 | sort -u | tr '\n' ' ')"
run=$(synopsis man/ttd.1 | sed -n 's/^run //p')
common=$(described man/ttd-inspect.1 "$commands" | sed -n 's/^- //p')
for c in $commands; do
	help=$("$TTD_BUILD/ttd" help "$c" | options)
	case $inspect in
	*" $c "*) compare man/ttd-inspect.1 "$c" "$help" "$common" ;;
	*) compare man/ttd.1 "$c" "$help" "$([ "$c" != record ] || echo "$run")" ;;
	esac
done
for c in ttd-read-log ttd-deviced; do
	compare man/$c.1 - "$("$TTD_BUILD/$c" --help | options)" ''
done
[ "$(wc -w <<<"$commands")" -gt 25 ] && [ "$(wc -w <<<"$inspect")" -eq 9 ] || wrong "found few commands"
exit $bad
