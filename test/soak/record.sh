#!/bin/bash
# record.sh - 300 pairs of recording and replay, and 100 recordings that are
# killed.  PAIRS, KILLS and SEED are the numbers; the last line says all.
PAIRS=${PAIRS:-300} KILLS=${KILLS:-100} exec test/integration/record.sh
