#!/bin/bash
# crash.sh - 100 kills of guests and of ttd-deviced.  Set SEED to repeat a run.
KILLS=${KILLS:-100} exec test/integration/crash.sh
