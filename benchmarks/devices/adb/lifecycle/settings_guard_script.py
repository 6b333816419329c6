"""The script that changes a phone's settings and puts them back; it runs on the phone.

POSIX sh with what Android 8 has (mksh, toybox). It writes down what it is going to change before
it changes it (``journal``), then waits on its standard input. That ends when the host says so, and
also when the host is killed, the cable is pulled or the adb server stops, for adbd then closes the
stream and sends SIGHUP, which is ignored here. After a reboot the journal is still there, and the
next guard begins with it. A setting that somebody has changed meanwhile is left as it is.

Arguments: a folder of its own, a token that tells runs apart, how often to look (every 0.2 s)
whether another run's guard has ended, then ``NAME=VALUE`` per change.
Says, a line each: ``changed NAME BEFORE VALUE``, ``refused NAME REASON``, ``left NAME BEFORE`` (it
cannot be put back), ``busy PID`` and ``failed WHAT`` (it gives up), ``ready``, ``restored``.
"""

from __future__ import annotations

MARK = "cnn-bench-guardian"
"""``$0`` of the script: what a living guard's command line holds."""

GUARD = r"""
folder=$1; token=$2; patience=$3; shift 3
holder=$folder/holder; journal=$folder/journal
trap '' HUP INT TERM PIPE

say() { echo "$*"; } 2>/dev/null

# What a name has now. Fails where the phone cannot tell.
now() {
  case $1 in
    stay_on_while_plugged_in) value=$(settings get global "$1") ;;
    screen_off_timeout) value=$(settings get system "$1") ;;
    screen) value=$(dumpsys power) || return 1
      case $value in
        *mWakefulness=Awake*) value=on ;;
        *mWakefulness=*) value=off ;;
        *) return 1 ;;
      esac ;;
    fixed_performance) value=unknown ;;
    *) return 1 ;;
  esac && case $value in
    null|on|off|unknown) ;;
    ''|*[!0-9]*) return 1 ;;
  esac && echo "$value"
}

set_to() {
  case $1 in
    stay_on_while_plugged_in) space=global ;;
    screen_off_timeout) space=system ;;
    screen) case $2 in on) input keyevent 224 ;; *) input keyevent 223 ;; esac; return ;;
    fixed_performance)
      case $2 in on) mode=true ;; *) mode=false ;; esac
      cmd power set-fixed-performance-mode-enabled $mode; return ;;
    *) return 1 ;;
  esac
  case $2 in
    null) settings delete $space "$1" ;;
    ''|*[!0-9]*) return 1 ;;
    *) settings put $space "$1" "$2" ;;
  esac
}

# NAME BEFORE DURING: back to BEFORE, unless it is no longer DURING.
put_back() {
  present=$(now "$1") || return 1
  [ "$present" = unknown ] || [ "$present" = "$3" ] || return 0
  set_to "$1" "$2" || return 1
  present=$(now "$1") || return 1
  [ "$present" = unknown ] || [ "$1" = screen ] || [ "$present" = "$2" ]
}

undo() {
  [ -e "$journal" ] || return 0
  all=0
  while read -r name before during; do
    put_back "$name" "$before" "$during" </dev/null >/dev/null 2>&1 && continue
    say "left $name $before"; all=1
  done <"$journal"
  [ $all = 0 ] && rm -f "$journal"
}

alive() {
  {
    read -r pid theirs <"$holder" && kill -0 "$pid" &&
      grep -q cnn-bench-guardian "/proc/$pid/cmdline"
  } 2>/dev/null
}

hold() {
  tries=0
  until { [ ! -e "$holder" ] && (set -C; echo "$$ $token" >"$holder") 2>/dev/null; }; do
    tries=$((tries + 1))
    # The one before removes the folder as it leaves: perhaps just now.
    mkdir -p "$folder" 2>/dev/null
    # An empty one is perhaps just being written.
    [ -s "$holder" ] || sleep 0.2 2>/dev/null || sleep 1
    if alive; then
      [ "$theirs" = "$token" ] && kill -9 "$pid" 2>/dev/null
      [ $tries -gt "$patience" ] && { say "busy $pid"; exit 1; }
      sleep 0.2 2>/dev/null || sleep 1
    else
      rm -f "$holder"
      [ $tries -gt $((patience + 5)) ] && { say "failed to write $holder"; exit 1; }
    fi
  done
}

# Whole or not at all, and on the disk before anything is changed.
write_journal() {
  printf %s "$1" >"$journal.new" && sync && [ "$(cat "$journal.new")" = "${1%?}" ] &&
    mv -f "$journal.new" "$journal" && sync
} 2>/dev/null

leave() { rm -f "$holder" "$folder/pid"; rmdir "$folder"; } 2>/dev/null

mkdir -p "$folder" 2>/dev/null || { say "failed to make $folder"; exit 1; }
hold
undo || { leave; say "failed to put an earlier run's changes back"; exit 1; }

planned=
for wanted; do
  name=${wanted%%=*}; during=${wanted#*=}
  before=$(now "$name" 2>/dev/null </dev/null) || {
    say "refused $name its value cannot be read"; continue; }
  [ "$before" = "$during" ] || planned="$planned$name $before $during
"
done
write_journal "$planned" || {
  rm -f "$journal.new"; leave; say "failed to write $journal"; exit 1; }

made=
while read -r name before during; do
  if answer=$(set_to "$name" "$during" 2>&1 </dev/null); then
    say "changed $name $before $during"
    made="$made$name $before $during
"
  else
    say "refused $name $(echo $answer)"
  fi
done <"$journal"
write_journal "$made" || rm -f "$journal.new"
say ready

cat >/dev/null 2>&1
undo && { leave; say restored; }
"""
