#!/bin/bash
# record.sh - 300 pairs of recording and replay, and 100 recordings that are
# killed.  Set SEED to repeat a run.
PAIRS=${PAIRS:-300} KILLS=${KILLS:-100} exec test/integration/record.sh
