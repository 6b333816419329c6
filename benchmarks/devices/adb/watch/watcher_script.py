"""The loop that watches a phone from outside the timed process; it runs on the phone.

Everything is read by the shell itself (``read <FILE``), so that a round starts no process but
``sleep``. It binds itself to slow cores that the timed process does not use. What it costs is in
its own lines, from ``/proc/PID/stat``.

Arguments: seconds between rounds, the file with the timed process's id, then the CPUs that the
timed process is bound to, if any. Says ``cluster N MAX_KHZ CPU…`` and ``zone N TYPE`` once,
``watching``, then rounds: ``round``, and as far as they can be read ``clock N KHZ``,
``cap N KHZ``, ``heat N VALUE``, ``stat …``, ``own …`` and ``timed …`` (the lines of
``/proc/stat`` and of ``/proc/PID/stat``); then ``over``.
"""

from __future__ import annotations

WATCHER = r"""
period=$1; pid_file=$2; shift 2
taken=" $* "

clusters=; slowest=; slow_khz=; n=0
for folder in /sys/devices/system/cpu/cpufreq/policy*; do
  read -r khz <"$folder/cpuinfo_max_freq" && read -r cpus <"$folder/related_cpus" || continue
  echo "cluster $n $khz $cpus"
  clusters="$clusters $folder"; n=$((n + 1))
  if [ -z "$slowest" ] || [ "$khz" -lt "$slow_khz" ]; then slowest=$cpus; slow_khz=$khz; fi
done 2>/dev/null

mask=0
for cpu in $slowest; do
  case $taken in *" $cpu "*) ;; *) mask=$((mask | (1 << cpu))) ;; esac
done
[ $mask = 0 ] || taskset -p "$(printf %x $mask)" $$ >/dev/null 2>&1

zones=; n=0
for folder in /sys/class/thermal/thermal_zone*; do
  [ $n -lt 4 ] && read -r type <"$folder/type" && read -r value <"$folder/temp" || continue
  case $type in
    *[cC][pP][uU]*|*[sS][oO][cC]*|*tsens*|BIG|MID|LITTLE|AP) ;;
    *) continue ;;
  esac
  echo "zone $n $type"
  zones="$zones $folder/temp"; n=$((n + 1))
done 2>/dev/null

echo watching
while :; do
  said=round; n=0
  for folder in $clusters; do
    read -r khz <"$folder/scaling_cur_freq" && said="$said
clock $n $khz"
    read -r khz <"$folder/scaling_max_freq" && said="$said
cap $n $khz"
    n=$((n + 1))
  done
  n=0
  for file in $zones; do
    read -r value <"$file" && said="$said
heat $n $value"
    n=$((n + 1))
  done
  read -r line </proc/stat && said="$said
stat $line"
  read -r line <"/proc/$$/stat" && said="$said
own $line"
  pid=; read -r pid <"$pid_file" && read -r line <"/proc/$pid/stat" && said="$said
timed $line"
  echo "$said
over" || exit
  sleep "$period"
done 2>/dev/null
"""
