# The layers of ttd: a folder under src/ may include itself and what is named
# here, nothing else.  The Makefile turns each line into the include path that
# the folder is compiled with, so a wrong include does not compile.
LAYERS := util event mem cpu inspect gdb dev xen timeline lib cmd

USES_util     :=
USES_event    := util
USES_mem      := util
USES_cpu      := util mem
USES_inspect  := util mem cpu
USES_gdb      := util
USES_dev      := util
USES_xen      := util event mem cpu dev
USES_timeline := util event mem cpu xen
USES_lib      := util event mem cpu inspect gdb dev xen timeline
USES_cmd      := util lib
