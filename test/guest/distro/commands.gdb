set pagination off
set confirm off
break fact if n == 7
run
printf "check breakpoint n=%d watched=%d\n", n, watched
watch watched
continue
printf "check watchpoint %d\n", watched
continue
printf "check watchpoint %d\n", watched
delete
set $before = $pc
stepi
printf "check stepi moved %d\n", $pc != $before
finish
printf "check finish %d\n", $
hbreak fact
run
printf "check hardware breakpoint n=%d\n", n
continue
printf "check hardware breakpoint n=%d\n", n
rwatch watched
continue
printf "check read watchpoint %d\n", watched
delete
set environment CRASH=1
run
printf "check SIGSEGV %d at %#lx\n", $_siginfo.si_signo, $_siginfo._sifields._sigfault.si_addr
info registers rip
kill
