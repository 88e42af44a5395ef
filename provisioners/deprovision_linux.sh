# Generalizes a Linux guest, detached from every session, reports on a serial port, powers off.
# POSIX sh; no tool beyond coreutils, grep and sed is required. Python sets above this text:
#   build_user user_re script script_limit total_limit report_device power_off
# It is read whole before it runs (main at the end), so it may delete whatever it likes.

pause() { sleep 0.2 2>/dev/null || sleep 1; }

choose_output() {
  for out in "$report_device" /dev/ttyS0 /dev/console /dev/null; do
    # A port without hardware opens, but does not write.
    if [ -e "$out" ] && (echo >"$out") 2>/dev/null; then return; fi
  done
}

say_failed() { echo "GOLDSMITH-SCRUB failed: $1"; failed=1; }

# rewrite FILE SED-ARGS: in place, so that owner, mode and SELinux label stay.
rewrite() {
  target=$1
  shift
  [ -f "$target" ] || return 0
  text=$(sed "$@" "$target" && echo .) || { say_failed "reading $target"; return; }
  [ "$text" = "$(cat "$target" && echo .)" ] && return 0
  printf '%s' "${text%.}" >"$target" || say_failed "writing $target"
}

remove() { rm -rf -- "$@" || say_failed "removing $*"; }

truncate_all() {
  for file; do
    if [ -f "$file" ] && [ -s "$file" ]; then : >"$file" || say_failed "emptying $file"; fi
  done
}

remember() {
  set -f
  IFS=:
  # shellcheck disable=SC2046
  set -- $(grep "^$user_re:" /etc/passwd)
  unset IFS
  set +f
  uid=${3:-}
  home=${6:-}
  keys=
  for file in "$home"/.ssh/authorized_keys*; do
    [ -n "$home" ] && [ -f "$file" ] && keys="$keys$(tr ' \t' '\n\n' <"$file" | grep '^AAAA')
"
  done
  keys=$(printf '%s\n' "$keys" | grep .)
  macs=$(cat /sys/class/net/*/address 2>/dev/null | grep -v '^00:00:00:00:00:00$' | grep ..:..:..:..:..:..)
  resolv=$(readlink /etc/resolv.conf 2>/dev/null)
}

# waagent deletes the user this file names; without it, it skips the user and carries on.
write_ovf_env() {
  made_waagent=
  if ! [ -d /var/lib/waagent ]; then
    mkdir -p -m 700 /var/lib/waagent && made_waagent=yes
  fi
  cat >/var/lib/waagent/ovf-env.xml <<OVF
<?xml version="1.0" encoding="utf-8"?>
<ns0:Environment xmlns:ns0="http://schemas.dmtf.org/ovf/environment/1" xmlns:ns1="http://schemas.microsoft.com/windowsazure">
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
</ns0:Environment>
OVF
}

# Processes of the build user; pgrep is not in every image.
owned() {
  # By grep: the shell's own loop over /proc takes an emulated guest half a second.
  grep -l "^Uid:[[:space:]]*$uid[[:space:]]" /proc/[0-9]*/status 2>/dev/null | sed 's#^/proc/\([0-9]*\)/.*#\1#'
}

# userdel refuses a user who is busy, and sessions of a restored memory snapshot never end by themselves.
end_sessions() {
  [ -n "$uid" ] && [ "$uid" != 0 ] || return 0
  tries=0
  while pids=$(owned) && [ -n "$pids" ] && [ "$tries" -lt 50 ]; do
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null
    pause
    tries=$((tries + 1))
    # What comes back is started by the user's own service manager. Only from a unit of our own: a
    # session's scope would take this very script with it.
    if [ "$tries" = 3 ] && grep -q goldsmith-deprovision /proc/self/cgroup 2>/dev/null; then
      limited 20 loginctl terminate-user "$build_user" >/dev/null 2>&1
    fi
  done
  [ "$tries" -lt 50 ] || [ -z "$(owned)" ] || echo "processes of $build_user are still there: $(owned)"
}

limited() {
  seconds=$1
  shift
  # KILL at once: this script ignores TERM, and what it starts inherits that.
  if command -v timeout >/dev/null 2>&1; then timeout -s KILL "$seconds" "$@"; else "$@"; fi
}

run_script() {
  if ! [ -f "$script" ]; then
    echo "Deprovisioning script [$script] could not be found; a customizer deleted it."
    return 127
  fi
  echo "--- $script"
  cat "$script"
  echo "---"
  first=
  IFS= read -r first <"$script"
  case $first in
    '#!'*) interpreter=${first#??} ;;
    *) interpreter=sh ;;
  esac
  # By its interpreter, so that it runs from a /tmp mounted noexec too.
  # shellcheck disable=SC2086
  limited "$script_limit" $interpreter "$script"
}

scrub_user() {
  u=$user_re
  cd /etc || say_failed "no /etc"
  # One look for all: under emulation every program that starts costs some hundredths of a second.
  for file in $(grep -l -F -e "$build_user" passwd passwd- shadow shadow- subuid subuid- subgid subgid- \
    group group- gshadow gshadow- 2>/dev/null); do
    case $file in
      group* | gshadow*)
        rewrite "$file" -e "/^$u:/d" -e "s/:$u:/::/" -e "s/:$u\$/:/" -e "s/:$u,/:/" -e "s/,$u\$//" \
          -e "s/,$u,/,/" -e "s/,$u:/:/"
        ;;
      *) rewrite "$file" -e "/^$u:/d" ;;
    esac
  done
  cd /
  case $home in
    '' | / | /root | /home | /var | /etc | /usr | /opt | /srv | /tmp) ;;
    /*) remove "$home" ;;
  esac
  remove "/home/$build_user" "/var/mail/$build_user" "/var/spool/mail/$build_user" \
    "/var/spool/cron/$build_user" "/var/spool/cron/crontabs/$build_user" \
    "/var/lib/systemd/linger/$build_user" "/var/lib/AccountsService/users/$build_user" \
    "/var/lib/sudo/lectured/$build_user" "/var/db/sudo/lectured/$build_user" "/var/lib/sudo/ts/$build_user"
  [ -z "$uid" ] || remove "/var/lib/sudo/lectured/$uid" "/var/db/sudo/lectured/$uid"
  for file in /etc/sudoers /etc/sudoers.d/*; do
    [ -f "$file" ] || continue
    grep -q "^[[:space:]]*${u}[[:space:]]" "$file" || grep -q "^# User rules for $u\$" "$file" || continue
    rewrite "$file" -e "/^[[:space:]]*${u}[[:space:]]/d" -e "/^# User rules for $u\$/d"
    [ "$file" = /etc/sudoers ] || grep -q '^[[:space:]]*[^#[:space:]]' "$file" || remove "$file"
  done
}

# Other accounts may keep keys that a customizer gave them; the build's key stays nowhere.
scrub_keys() {
  [ -n "$keys" ] || return 0
  for file in /root/.ssh/authorized_keys* /home/*/.ssh/authorized_keys* /etc/ssh/authorized_keys*/*; do
    [ -f "$file" ] || continue
    left=$(printf '%s\n' "$keys" | grep -v -F -f - "$file" && echo .)
    if printf '%s\n' "${left%.}" | grep -q '^[[:space:]]*[^#[:space:]]'; then
      printf '%s' "${left%.}" >"$file" || say_failed "writing $file"
    else
      remove "$file"
    fi
  done
}

scrub_logs() {
  # journald has its files open; it is told to go on in /run, else it is stopped.
  if [ "$power_off" = yes ] && [ -d /run/systemd/system ] && ! limited 20 journalctl --relinquish-var 2>/dev/null
  then
    limited 30 systemctl stop systemd-journald.socket systemd-journald-dev-log.socket \
      systemd-journald-audit.socket systemd-journald.service 2>/dev/null
  fi
  remove /var/log/journal/*
  truncate_all /var/log/wtmp /var/log/btmp /var/log/lastlog /var/log/faillog /var/log/tallylog \
    /var/log/auth.log /var/log/secure /var/log/audit/audit.log
  remove /var/log/cloud-init.log* /var/log/cloud-init-output.log* /var/log/waagent.log* \
    /var/lib/systemd/journal-upload
}

scrub_identity() {
  remove /etc/ssh/ssh_host_*
  if [ -e /etc/machine-id ]; then : >/etc/machine-id || say_failed "emptying /etc/machine-id"; fi
  if [ -f /var/lib/dbus/machine-id ] && ! [ -L /var/lib/dbus/machine-id ]; then
    remove /var/lib/dbus/machine-id
    ln -s /etc/machine-id /var/lib/dbus/machine-id || say_failed "linking /var/lib/dbus/machine-id"
  fi
  remove /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem
  remove /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/urandom/random-seed \
    /var/lib/random-seed /boot/efi/loader/random-seed /boot/loader/random-seed /efi/loader/random-seed
  for dir in /root /home/*; do
    remove "$dir"/.*_history "$dir"/.lesshst "$dir"/.viminfo
  done
}

scrub_network() {
  remove /var/lib/dhcp/* /var/lib/dhclient/* /var/lib/dhcpcd/* /var/lib/NetworkManager/*.lease \
    /var/lib/NetworkManager/secret_key /var/lib/NetworkManager/seen-bssids \
    /var/lib/NetworkManager/timestamps /etc/udev/rules.d/*-persistent-net.rules
  for file in /etc/network/interfaces.d/* /etc/netplan/* /etc/systemd/network/* /etc/udev/rules.d/* \
    /etc/sysconfig/network-scripts/ifcfg-* /etc/NetworkManager/system-connections/* \
    /run/systemd/network/*; do
    [ -f "$file" ] || continue
    case $file in
      *cloud-init*) remove "$file" && continue ;;
      */ifcfg-*) rewrite "$file" -e '/^HWADDR=/d' -e '/^MACADDR=/d' ;;
    esac
    # QEMU's prefix too: the card of an earlier build VM.
    if printf '%s\n' 52:54:00: "$macs" | grep . | grep -q -i -F -f - "$file"; then remove "$file"; fi
  done
  if ! [ -e /etc/resolv.conf ] && ! [ -L /etc/resolv.conf ]; then
    if [ -n "$resolv" ]; then ln -s "$resolv" /etc/resolv.conf; else : >/etc/resolv.conf; fi
  elif [ -f /etc/resolv.conf ] && ! [ -L /etc/resolv.conf ] && grep -q '^nameserver 10\.0\.2\.3' /etc/resolv.conf
  then
    # The build machine's own resolver; it exists nowhere else. (A bind mount cannot be truncated.)
    : >/etc/resolv.conf
  fi
}

scrub_leftovers() {
  remove "$script" /tmp/script_*.sh /tmp/script-*.ps1 /var/tmp/script_*.sh /tmp/goldsmith-* \
    /var/tmp/goldsmith-* /tmp/systemd-private-* /var/tmp/systemd-private-* /var/lib/waagent/ovf-env.xml
  [ -z "$made_waagent" ] || rmdir /var/lib/waagent 2>/dev/null
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

# Not `systemctl poweroff`: its units would write a random seed, leases and logs anew.
end() {
  exec >/dev/null 2>&1 # closing the port waits until all is sent
  [ "$power_off" = yes ] || exit 0
  sync
  echo u >/proc/sysrq-trigger
  tries=0
  while grep -q '^/dev/[^ ]* [^ ]* [^ ]* rw' /proc/mounts && [ "$tries" -lt 50 ]; do
    pause
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

main() {
  umask 022
  trap '' HUP INT TERM
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export PATH
  cd /
  failed=0
  watcher=
  choose_output
  exec >"$out" 2>&1 </dev/null
  watch "$total_limit"
  remember
  write_ovf_env
  # Time for the client to learn that we started.
  pause
  pause
  end_sessions
  run_script
  echo "
GOLDSMITH-DEPROVISION exit=$?"
  end_sessions
  scrub_logs
  if [ "$power_off" = yes ]; then
    # Nobody writes any more between here and the end, however long the trim takes.
    kill -KILL "$watcher" 2>/dev/null
    kill -STOP -1
    watcher=
    watch 300
  fi
  scrub_user
  scrub_keys
  scrub_identity
  scrub_network
  scrub_leftovers
  remove /var/log/journal/* /run/goldsmith
  sync
  fstrim -a 2>/dev/null
  sync
  echo "GOLDSMITH-SCRUB exit=$failed"
  end
}

main
