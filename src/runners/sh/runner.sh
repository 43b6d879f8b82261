#!/bin/sh
# A whole runner in a few lines, to show how little the protocol asks for (docs/runner-protocol.md).
# Tasks: sh.echo(...) -> [...], sh.fail() -> an error. It relies on the order of keys, which workers keep.
trap '' USR1 # no soft time limit here
send() { printf '%s\n' "$1" >&3; }

send '{"hello":{"protocol":1,"language":"sh","pid":'$$',"tasks":["sh.echo","sh.fail"]}}'
while IFS= read -r line <&3; do
	case $line in
	'{"stop":'*) break ;;
	'{"run":'*) ;;
	*) continue ;; # a cancel of a task that has ended
	esac
	id=${line#*\"id\":\"} id=${id%%\",\"name\":*}
	name=${line#*\",\"name\":\"} name=${name%%\",\"args\":*}
	args=${line#*\"args\":[} args=${args%%],\"kwargs\":*}
	echo "running $name" # output goes to the worker's log
	case $name in
	sh.echo) send "{\"done\":{\"id\":\"$id\",\"result\":[$args]}}" ;;
	*) send "{\"done\":{\"id\":\"$id\",\"error\":{\"type\":\"RuntimeError\",\"module\":null,\"message\":[\"$name failed\"],\"traceback\":null}}}" ;;
	esac
done
