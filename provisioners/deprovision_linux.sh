# Generalizes a Linux guest, detached from every session, reports on a serial port, powers off.
# POSIX sh; no tool beyond coreutils, grep and sed is required. Stands behind deprovision_scrub.sh, and above
# both Python sets:
#   build_user user_re script default missing script_limit total_limit report_device power_off
# It is read whole before it runs (last line), so it may delete whatever it likes.
# Under emulation a program that starts costs 50 to 70 ms and a fork less than 10: few programs are.

runner=/run/goldsmith-deprovision.sh
text=
told=
newline='
'

pause() { sleep 0.2 2>/dev/null || sleep 1; }

choose_output() {
  for out in "$report_device" /dev/ttyS0 /dev/console /dev/null; do
    # A port without hardware opens, but does not write.
    if [ -e "$out" ] && (echo >"$out") 2>/dev/null; then return; fi
  done
}

say_failed() { echo "GOLDSMITH-SCRUB failed: $1"; failed=1; }

remember() {
  uid=
  home=
  while IFS=: read -r name _ id _ _ dir _; do
    [ "$name" = "$build_user" ] || continue
    uid=$id
    home=$dir
    break
  done </etc/passwd
  keys=
  for file in "$home"/.ssh/authorized_keys*; do
    [ -n "$home" ] && [ -f "$file" ] || continue
    set -f
    while read -r line || [ -n "$line" ]; do
      for word in $line; do
        case $word in AAAA*) keys="$keys $word" ;; esac
      done
    done <"$file"
    set +f
  done
  # QEMU's prefix too: the card of an earlier build VM.
  macs=52:54:00:
  for file in /sys/class/net/*/address; do
    mac=
    [ ! -f "$file" ] || read -r mac <"$file"
    case $mac in
      00:00:00:00:00:00) ;;
      *??:??:??:??:??:??*) macs="$macs $mac" ;;
    esac
  done
  resolv=
  [ ! -L /etc/resolv.conf ] || resolv=$(readlink /etc/resolv.conf)
}

# waagent deletes the user this file names; without it, it skips the user and carries on.
write_ovf_env() {
  made_waagent=
  # shellcheck disable=SC2174
  if ! [ -d /var/lib/waagent ]; then
    mkdir -p -m 700 /var/lib/waagent && made_waagent=yes
  fi
  # printf, not cat: it is built in.
  printf '%s\n' "<?xml version=\"1.0\" encoding=\"utf-8\"?>
<ns0:Environment xmlns:ns0=\"http://schemas.dmtf.org/ovf/environment/1\" xmlns:ns1=\"http://schemas.microsoft.com/windowsazure\">
  <ns1:ProvisioningSection>
    <ns1:Version>1.0</ns1:Version>
    <ns1:LinuxProvisioningConfigurationSet>
      <ns1:ConfigurationSetType>LinuxProvisioningConfiguration</ns1:ConfigurationSetType>
      <ns1:HostName>localhost</ns1:HostName>
      <ns1:UserName>$build_user</ns1:UserName>
      <ns1:DisableSshPasswordAuthentication>true</ns1:DisableSshPasswordAuthentication>
    </ns1:LinuxProvisioningConfigurationSet>
  </ns1:ProvisioningSection>
  <ns1:PlatformSettingsSection>
    <ns1:Version>1.0</ns1:Version>
    <ns1:PlatformSettings>
      <ns1:ProvisionGuestAgent>true</ns1:ProvisionGuestAgent>
    </ns1:PlatformSettings>
  </ns1:PlatformSettingsSection>
</ns0:Environment>" >/var/lib/waagent/ovf-env.xml
}

# Processes of the build user; pgrep is not in every image.
find_owned() {
  owned=
  # By grep: the shell's own loop over /proc takes an emulated guest half a second.
  for file in $(grep -l "^Uid:[[:space:]]*${uid}[[:space:]]" /proc/[0-9]*/status 2>/dev/null); do
    file=${file#/proc/}
    owned="$owned ${file%/status}"
  done
  [ -n "$owned" ]
}

# userdel refuses a user who is busy, and sessions of a restored memory snapshot never end by themselves.
end_sessions() {
  [ -n "$uid" ] && [ "$uid" != 0 ] || return 0
  tries=0
  while find_owned; do
    if [ "$tries" = 50 ]; then
      echo "processes of $build_user are still there:$owned"
      return
    fi
    # shellcheck disable=SC2086
    kill -KILL $owned 2>/dev/null
    # Most are gone by the time they are looked for again.
    [ "$tries" = 0 ] || pause
    tries=$((tries + 1))
    # What comes back is started by the user's own service manager. Only where no session's end takes
    # this very script with it: in the root's control group, or in a unit of our own.
    if [ "$tries" = 4 ] && grep -q -e '^0::/$' -e goldsmith-deprovision /proc/self/cgroup 2>/dev/null; then
      limited 20 loginctl terminate-user "$build_user" >/dev/null 2>&1
    fi
  done
}

limited() {
  seconds=$1
  shift
  # KILL at once: this script ignores TERM, and what it starts inherits that.
  if command -v timeout >/dev/null 2>&1; then timeout -s KILL "$seconds" "$@"; else "$@"; fi
}

read_script() { text=$(cat "$script" && echo .) && text=${text%.}; }

# Whether the script is AIB's default, and would start /usr/sbin/waagent whatever `waagent -version` says.
is_default() {
  [ "$text" = "$default" ] || return 1
  case $(command -v waagent) in '' | /usr/sbin/waagent) ;; *) return 1 ;; esac
}

run_script() {
  if ! [ -f "$script" ]; then
    echo "Deprovisioning script [$script] could not be found; a customizer deleted it."
    return 127
  fi
  [ -n "$text" ] || read_script
  echo "--- $script"
  printf '%s' "$text"
  if is_default; then
    echo "--- AIB's default: waagent is looked up instead of being asked for its version, which takes seconds"
    limited "$script_limit" /usr/sbin/waagent -force -deprovision+user && export HISTSIZE=0 && sync
    return
  fi
  echo "---"
  case $text in
    '#!'*) interpreter=${text%%"$newline"*} && interpreter=${interpreter#??} ;;
    *) interpreter="sh" ;;
  esac
  # By its interpreter, so that it runs from a /tmp mounted noexec too.
  # shellcheck disable=SC2086
  limited "$script_limit" $interpreter "$script"
}

# If all else hangs: say so, and end. KILL, since TERM is ignored here.
watch() {
  [ -z "$watcher" ] || kill -KILL "$watcher" 2>/dev/null
  (
    sleep "$1"
    echo "GOLDSMITH-SCRUB exit=124"
    end
  ) &
  watcher=$!
}

writable() {
  while read -r device _ _ options _; do
    case "$device $options" in /dev/*' rw'*) return 0 ;; esac
  done </proc/mounts
  return 1
}

# Not `systemctl poweroff`: its units would write a random seed, leases and logs anew.
end() {
  exec >/dev/null 2>&1 # closing the port waits until all is sent
  [ "$power_off" = yes ] || exit 0
  sync
  echo u >/proc/sysrq-trigger
  tries=0
  while writable && [ "$tries" -lt 50 ]; do
    [ "$tries" -lt 5 ] || pause
    tries=$((tries + 1))
  done
  echo o >/proc/sysrq-trigger
  sleep 15
  kill -CONT -1
  poweroff -f
  sleep 15
  systemctl poweroff --force
  exit 1
}

# The root's control group: no session's end and no unit's stop reaches what is in there.
leave_session() {
  [ -f /sys/fs/cgroup/cgroup.procs ] && echo 0 2>/dev/null >/sys/fs/cgroup/cgroup.procs
}

# Starts `main` detached and returns. Called by the build user's session, through sudo.
launch() {
  if ! [ -f "$script" ]; then
    printf '%s' "$default" >"$script" || exit 1
    echo "$missing"
    told=yes
  fi
  read_script || exit 1
  # Any other script gets a unit of its own: it may stop or restart what we cannot know of.
  if is_default && leave_session; then
    main </dev/null >/dev/null 2>&1 &
    exit 0
  fi
  if command -v systemd-run >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
    systemd-run --no-block --unit=goldsmith-deprovision -p KillMode=process -p TimeoutStopSec=300 \
      -p StandardOutput=null sh "$runner" && exit 0
  fi
  if command -v setsid >/dev/null 2>&1; then
    setsid sh "$runner" </dev/null >/dev/null 2>&1 &
  else
    nohup sh "$runner" </dev/null >/dev/null 2>&1 &
  fi
  exit 0
}

main() {
  umask 022
  trap '' HUP INT TERM
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export PATH
  cd /
  failed=0
  watcher=
  doomed=
  choose_output
  exec >"$out" 2>&1 </dev/null
  watch "$total_limit"
  remember
  write_ovf_env
  # Time for the client to hear of it; should it only lose the link, it takes that for a start.
  [ -z "$told" ] || pause
  end_sessions
  run_script
  echo "
GOLDSMITH-DEPROVISION exit=$?"
  end_sessions
  if [ "$power_off" = yes ]; then
    # Nobody writes any more between here and the end, however long the trim takes.
    kill -KILL "$watcher" 2>/dev/null
    kill -STOP -1
    watcher=
    watch 300
  fi
  find_suspects
  scrub_suspects
  scrub_identity
  scrub_logs
  scrub_files
  scrub_resolver
  sync
  fstrim -a 2>/dev/null
  echo "GOLDSMITH-SCRUB exit=$failed"
  end
}

"${1:-main}"
