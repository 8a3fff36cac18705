# The layers of ttd: a folder under src/ may include itself and what is named
# here, nothing else.  The Makefile turns each line into the include path that
# the folder is compiled with, so a wrong include does not compile.
LAYERS := util sandbox event mem cpu inspect gdb dev xenstore loader xlsave xen timeline trace daemon lib cmd

USES_util     :=
USES_sandbox  := util
USES_event    := util
USES_mem      := util
USES_cpu      := util mem
USES_inspect  := util mem cpu
USES_gdb      := util
USES_dev      := util
USES_xenstore := util
USES_loader   := util mem
USES_xlsave   := util
USES_xen      := util event mem cpu dev xenstore loader xlsave
USES_timeline := util event mem cpu xen
USES_trace    := util sandbox event
USES_daemon   := util event trace
USES_lib      := util sandbox event mem cpu inspect gdb dev loader xlsave xen timeline trace daemon
USES_cmd      := util lib
