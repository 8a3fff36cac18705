# bash completion for ttd.  Options come from `ttd help COMMAND`, so that this
# file need not know them.

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
	--kernel | --ramdisk)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--clock)
		mapfile -t COMPREPLY < <(compgen -W "host virtual" -- "$cur")
		return
		;;
	--on-reboot)
		mapfile -t COMPREPLY < <(compgen -W "restart exit" -- "$cur")
		return
		;;
	--memory | --extra | --name | --stop-at)
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" help "$cmd" 2>/dev/null |
		sed -n 's/^  \(--[a-z-]*\).*/\1/p') --help" -- "$cur")
}
complete -F _ttd ttd
