# Functions of provisioners/care.py; POSIX sh. Python sets ours, our_text, now, fresh and sessions above.
# Under emulation every program that starts costs some hundredths of a second: few are.

calm() {
  command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ] || return 0
  # Ends by itself; "degraded" is the image's affair.
  if command -v timeout >/dev/null 2>&1; then
    timeout 120 systemctl is-system-running --wait >/dev/null 2>&1
  fi
  systemctl stop '*.timer' >/dev/null 2>&1
  return 0
}

settle() {
  # The connection this runs in: its own process and the one that watches over it.
  pid=$PPID
  while [ "${pid:-0}" -gt 1 ]; do
    name= above=
    while read -r key value _; do
      case $key in
        Name:) name=$value ;;
        PPid:) above=$value; break ;;
      esac
    done <"/proc/$pid/status"
    case $name in
      sshd*) [ "$above" -gt 1 ] && read_name "$above" && case $found in sshd*) echo "session $pid" ;; esac ;;
    esac
    pid=$above
  done
  for file in /tmp/* /tmp/.[!.]* /dev/shm/*; do
    [ -e "$file" ] || [ -L "$file" ] || continue
    case $file in
      /tmp/systemd-private-* | /tmp/.X11-unix | /tmp/.ICE-unix | /tmp/.XIM-unix | /tmp/.font-unix | /tmp/.Test-unix | /tmp/snap-private-tmp) ;;
      "$ours")
        text=$(cat "$file" 2>/dev/null && echo .)
        [ "$text" = "$our_text." ] || echo "volatile $file"
        ;;
      *) echo "volatile $file" ;;
    esac
  done
  sync
}

read_name() {
  found=
  read -r _ found _ <"/proc/$1/status"
}

wake() {
  date -u -s "@$now" >/dev/null || return 1
  printf '%s' "$fresh" >/dev/urandom
  # RNDRESEEDCRNG: until then the kernel goes on with numbers that another restore gives out as well.
  if command -v perl >/dev/null 2>&1; then
    perl -e 'open(F, "+<", "/dev/urandom") && ioctl(F, 0x5207, 0) or exit 1'
  else
    for python in python3 /usr/libexec/platform-python; do
      if command -v "$python" >/dev/null 2>&1; then
        "$python" -c 'import fcntl; fcntl.ioctl(open("/dev/urandom", "wb"), 0x5207)' && break
      fi
    done
  fi
  for pid in $sessions; do
    read_name "$pid" 2>/dev/null && case $found in sshd*) kill -KILL "$pid" 2>/dev/null ;; esac
  done
  read -r boot </proc/sys/kernel/random/boot_id
  echo "$boot"
}

grow() {
  device=$(findmnt -nro SOURCE /) && kind=$(findmnt -nro FSTYPE /) || { echo "what is mounted at / is not known"; return 0; }
  name=${device#/dev/}
  if ! [ -e "/sys/class/block/$name/partition" ]; then
    echo "$device is no partition of a disk"
    return 0
  fi
  read -r number <"/sys/class/block/$name/partition"
  disk=$(readlink -f "/sys/class/block/$name/..")
  command -v growpart >/dev/null 2>&1 || { echo "growpart is not installed"; return 0; }
  said=$(growpart "/dev/${disk##*/}" "$number" 2>&1) || case $said in
    NOCHANGE*) ;;
    *) echo "growpart: $said"; return 0 ;;
  esac
  case $kind in
    ext*) said=$(resize2fs "$device" 2>&1) || { echo "resize2fs: $said"; return 0; } ;;
    xfs) said=$(xfs_growfs / 2>&1) || { echo "xfs_growfs: $said"; return 0; } ;;
    btrfs) said=$(btrfs filesystem resize max / 2>&1) || { echo "btrfs: $said"; return 0; } ;;
    *) echo "a $kind file system is not grown"; return 0 ;;
  esac
  echo grown
}
