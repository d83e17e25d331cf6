#!/bin/sh
# Makes the lake of the quickstart: three services, a fortnight of JSON-lines logs, one file an hour from 09 to 17.
# eagle has nothing on two days, condor lacks an hour on the 4th, and condor's 9th is far heavier than the rest.
# The same bytes every time.   usage: sh make-lake.sh [FOLDER]
set -eu
lake=${1:-$(dirname "$0")/lake}/example-logs/applications
for service in condor eagle web; do
    for day in 01 02 03 04 05 06 07 08 09 10 11 12 13 14; do
        case $service/$day in eagle/06 | eagle/07) continue ;; esac
        for hour in 09 10 11 12 13 14 15 16 17; do
            case $service/$day/$hour in condor/04/12) continue ;; esac
            case $service/$day in condor/09) lines=26000 ;; web/*) lines=60 ;; *) lines=25 ;; esac
            folder=$lake/$service/app/2018/10/$day/$hour
            mkdir -p "$folder"
            awk -v lines=$lines -v day=$day -v hour=$hour 'BEGIN {
                split("/orders /orders/new /items /login", path, " ")
                for (i = 0; i < lines; i++)
                    printf "{\"time\":\"2018-10-%sT%s:%02d:%02dZ\",\"user\":\"u%s%06d\",\"path\":\"%s\",\"ms\":%d}\n",
                        day, hour, i * 60 / lines, i % 60, hour, i, path[i % 4 + 1], 5 + i * 7 % 40
            }' | gzip -9n > "$folder/00_5fbef6f0fdec_0.gz"
        done
    done
done
