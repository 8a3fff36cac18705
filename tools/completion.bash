# bash completion for ttd and ttd-deviced.  Options come from `ttd help COMMAND`,
# domains from `ttd list`, so that this file need not know them.

_ttd_words()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_ttd()
{
	local cur prev cmd
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	cmd=${COMP_WORDS[1]}
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$cmd" = help ]; }; then
		mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" --help 2>/dev/null |
			sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p') --help --version" -- "$cur")
		return
	fi
	case $prev in
	--kernel | --restore | --ramdisk | --symbols | --sysroot | --binary)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--clock)
		mapfile -t COMPREPLY < <(compgen -W "host virtual" -- "$cur")
		return
		;;
	--cpu)
		mapfile -t COMPREPLY < <(compgen -W "v2 v3 max" -- "$cur")
		return
		;;
	--on-reboot)
		mapfile -t COMPREPLY < <(compgen -W "restart exit" -- "$cur")
		return
		;;
	--vif)
		compopt -o nospace
		_ttd_words "user tap none mac= backend= hostfwd=tcp: hostloopback=1 restrict=1 bridge= ifname= mtu= ipv6=1" "$cur"
		return
		;;
	--disk | --disk-base)
		compopt -o filenames -o nospace
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--memory | --maxmem | --extra | --cmdline | --name | --stop-at | --at | --to | --checkpoint-every | \
		--checkpoint-space | --max-size)
		return
		;;
	esac
	case $cmd:$cur in
	*:-*) ;;
	console:* | pause:* | unpause:* | mem-set:* | shutdown:* | reboot:* | destroy:*)
		_ttd_words "$("${COMP_WORDS[0]}" list 2>/dev/null | sed '1d; s/ .*//')" "$cur"
		return
		;;
	replay:* | info:* | rm:* | diff:* | report:* | pcap:* | pack:* | commit:* | export:* | ps:* | dmesg:* | regs:* | bt:* | symbols:* | dump-core:*)
		_ttd_words "$("${COMP_WORDS[0]}" ls 2>/dev/null | sed '1d; s/ .*//') latest" "$cur"
		return
		;;
	unpack:* | restore:*)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	create:*=*) return ;;
	create:*)
		if [ "$COMP_CWORD" -gt 2 ]; then
			compopt -o nospace
			_ttd_words "name= memory= maxmem= strict_mmu= extra= disk= vif= on_poweroff= on_reboot= on_crash= time_travel=" \
				"$cur"
		else
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" help "$cmd" 2>/dev/null |
		sed -n 's/^  \(-[a-z], \)\{0,1\}\(--[a-z-]*\).*/\2/p') --help" -- "$cur")
}
complete -F _ttd ttd

_ttd_deviced()
{
	local cur=${COMP_WORDS[COMP_CWORD]}
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-f | --file | -d | --directory)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	*) _ttd_words "--file --directory --force --sync --daemon --no-sandbox --quiet --help --version" "$cur" ;;
	esac
}
complete -F _ttd_deviced ttd-deviced
