#!/bin/sh
# man.sh - the manual pages are correct mdoc.
command -v mandoc >/dev/null || { echo "no mandoc"; exit 77; }
mandoc -T lint -W warning man/*.[15]
