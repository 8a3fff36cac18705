#!/bin/bash
# crash.sh - 100 kills of guests, of ttd-deviced and of both.  KILLS and SEED are
# the numbers; the last line says all.
KILLS=${KILLS:-100} exec test/integration/crash.sh
