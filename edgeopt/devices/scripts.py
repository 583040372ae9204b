"""The scripts for ``sh`` that work on a device: with what POSIX, BusyBox and Toybox have in common.

Each ends with ``end WORD NUMBER`` (`edgeopt.devices.shell`). Paths are absolute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.devices.shell import export, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

__all__ = ["listing_script", "pull_script", "push_script", "run_script"]


def listing_script(path: PurePosixPath) -> str:
    """Returns the script that lists what lies at ``path``, with digests, and the free space.

    It ends with ``file``, ``folder``, ``mixed`` (a folder that holds links or the like) or
    ``nothing``, and the KiB that are free.
    """
    return f"""
p={quote(path)}; q=$p
while [ ! -d "$q" ]; do q=$(dirname "$q"); done
set -- $(df -Pk "$q" 2>/dev/null | tail -n 1)
free=$4
case $free in ''|*[!0-9]*) free=0 ;; esac
if [ -f "$p" ] && [ ! -h "$p" ]; then
  sha256sum <"$p" | sed 's/ .*/  ./'
  [ -x "$p" ] && echo 'x .'
  end file $free
elif [ -d "$p" ] && [ ! -h "$p" ]; then
  cd "$p" || end mixed $free
  find . -type d | sed 's/^/d /'
  find . -type f -perm -100 | sed 's/^/x /'
  find . -type f -exec sha256sum {{}} +
  [ -z "$(find . ! -type f ! -type d | head -n 1)" ] && end folder $free
  end mixed $free
fi
end nothing $free
"""


def push_script(path: PurePosixPath, token: str) -> str:
    """Returns the script that unpacks its input beside ``path`` and renames it to that.

    What a push that was cut off has left beside it is removed. It ends with ``done``, ``cut``,
    ``full`` (no room is left) or ``failed``.
    """
    return f"""
p={quote(path)}; d={quote(path.parent)}; n={quote(path.name)}
mkdir -p "$d" || end failed 1
for old in "$d/.$n."*.draft; do
  owner=${{old%.draft}}; owner=${{owner##*.}}
  case $owner in ''|*[!0-9]*) continue ;; esac
  kill -0 "$owner" 2>/dev/null || rm -rf "$old"
done
draft="$d/.$n.{token}.$$.draft"
mkdir "$draft" || end failed 1
trap 'rm -rf "$draft"' EXIT
trap '' HUP PIPE
fail() {{ rm -rf "$draft"; end "$1" 1; }}
( cd "$draft" && exec tar -xof - ) || {{
  set -- $(df -Pk "$draft" 2>/dev/null | tail -n 1)
  [ "${{4:-100}}" -lt 100 ] && fail full
  fail failed
}}
[ -e "$draft/whole" ] || fail cut
if [ -s "$draft/kept" ]; then
  while IFS= read -r f; do
    ln "$p/$f" "$draft/new/$f" 2>/dev/null || cp -p "$p/$f" "$draft/new/$f" || fail failed
  done <"$draft/kept"
fi
i=0
while [ $i -lt 5 ]; do
  i=$((i + 1))
  if [ -d "$p" ] || [ -h "$p" ] || {{ [ -d "$draft/new" ] && [ -e "$p" ]; }}; then
    mv "$p" "$draft/old$i" || fail failed
  fi
  if [ -d "$p" ]; then continue; fi
  if mv -f "$draft/new" "$p"; then
    rm -rf "$draft"; end done 0
  fi
  [ -e "$p" ] || mv "$draft/old$i" "$p" 2>/dev/null
done
fail failed
"""


def pull_script(path: PurePosixPath) -> str:
    """Returns the script that writes what lies at ``path`` as a tar stream.

    It ends with ``folder``, ``missing``, ``link`` (a link to a folder is in it) or ``failed``. A
    file is written as it is; then it ends with ``file``, or ``program`` where it may be started.
    """
    return f"""
p={quote(path)}
[ -e "$p" ] || end missing 1
if [ -d "$p" ]; then
  cd "$p" || end failed 1
  l=$(find . -type l -exec test -d {{}} \\; -print | head -n 1)
  [ -z "$l" ] || {{ echo "$l" >&2; end link 1; }}
  tar -chf - . || end failed 1
  end folder 0
fi
[ -f "$p" ] || end failed 1
cat "$p" || end failed 1
[ -x "$p" ] && end program 0
end file 0
"""


def run_script(
    command: Sequence[str],
    *,
    job: PurePosixPath,
    cwd: PurePosixPath,
    env: Mapping[str, str],
    limit_s: int | None,
    most_bytes: int,
) -> str:
    """Returns the script that runs ``command`` in a session of its own, and then shows its output.

    The command ends, with all that it started, when it has ended itself, when ``limit_s`` is over,
    and when the script's own input ends: then this machine, or the way to it, is gone.

    It ends with ``exit``, ``late`` (the limit) or ``lost`` (the input), and the status as a shell
    knows it, or with ``folder`` or ``program`` where that is missing.
    """
    program = quote(command[0])
    there = f"[ -f {program} ] && [ -x {program} ]"
    exists = there if "/" in command[0] else f"command -v {program} >/dev/null"
    words = " ".join(quote(word) for word in command)
    timer = "" if limit_s is None else f"watch late 'exec sleep {limit_s}'; timer=$!"
    return f"""
job={quote(job)}
cd {quote(cwd)} || end folder 1
{exists} || end program 1
mkdir -p "$job" || end failed 1
exec 3<&0
s=setsid; command -v setsid >/dev/null || s=
trap '' HUP PIPE
( trap - HUP PIPE; {export(env)}exec $s {words} ) </dev/null >"$job/out" 2>"$job/err" 3<&- &
main=$!; born $main; begun=$b
stop() {{ kill -9 "-$main" || kill -9 $main; }} 2>/dev/null
watch() {{
  (
    trap 'kill $w; exit 0' TERM
    sh -c "$2" <&3 >/dev/null & w=$!
    wait $w
    : >"$job/$1"; other $main "$begun" || stop
  ) >/dev/null 2>&1 &
}}
watch lost 'exec cat'; line=$!
timer=; {timer}
{{ wait $main; r=$?; }} 2>/dev/null
stop
kill $line $timer 2>/dev/null
{{ wait $line $timer; }} 2>/dev/null
w=exit
[ -e "$job/late" ] && w=late
[ -e "$job/lost" ] && w=lost
for f in out err; do
  n=$(wc -c <"$job/$f")
  head -c {most_bytes} "$job/$f"
  [ "$n" -gt {most_bytes} ] && printf '\\n[%d bytes left out]\\n' $((n - {most_bytes}))
  exec >&2
done
rm -rf "$job"
end $w $r
"""
