#!/bin/sh
# floor.sh FOLDER PORT SCENARIO: floor.c, compiled into FOLDER, with answers as large as those of a scenario.
set -e
cc -O2 -o "$1/floor" "$(dirname "$0")/floor.c"
case $3 in
    hello*) size=13 ;;
    file10k) size=10240 ;;
    file100k) size=102400 ;;
    *) size=1024 ;;
esac
case $3 in
    fresh) exec "$1/floor" "$2" "$size" close ;;
    *) exec "$1/floor" "$2" "$size" ;;
esac
