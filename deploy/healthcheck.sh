#!/bin/bash
# Exits 0 if the process of this container answers /healthz with 200. Needs nothing but bash: a check
# every few seconds must not start a Python. METRICS_PORT is the port of every kind of process.
exec 3<>"/dev/tcp/127.0.0.1/${METRICS_PORT:-9464}" || exit 1
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
IFS=' ' read -r -t "${1:-2}" _ status _ <&3 && [ "$status" = 200 ]
