#!/bin/sh
# seek.sh - a thousand random places of a longer recording.
exec env SEEKS="${SEEKS:-1000}" test/integration/seek.sh
