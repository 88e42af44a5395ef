# The scrub of deprovision_linux.sh, which uses it: functions only; the settings are described there.

# In place, so that owner, mode and SELinux label stay.
overwrite() { printf '%s' "$2" >"$1" || say_failed "writing $1"; }

remove() { rm -rf -- "$@" || say_failed "removing (rm said what)"; }

# All that is doomed goes by one rm, in scrub_files.
doom() {
  case $1 in
    *"$newline"*) remove "$1" ;;
    *) doomed=$doomed$1$newline ;;
  esac
}

truncate_all() {
  for file; do
    if [ -f "$file" ] && [ -s "$file" ]; then : >"$file" || say_failed "emptying $file"; fi
  done
}

# What holds anything that must not stay: one grep over all files; each hit is then looked at closely.
find_suspects() {
  set --
  for file in /etc/passwd /etc/passwd- /etc/shadow /etc/shadow- /etc/subuid /etc/subuid- /etc/subgid \
    /etc/subgid- /etc/group /etc/group- /etc/gshadow /etc/gshadow- /etc/sudoers /etc/sudoers.d/* \
    /root/.ssh/authorized_keys* /home/*/.ssh/authorized_keys* /etc/ssh/authorized_keys*/* \
    /etc/network/interfaces.d/* /etc/netplan/* /etc/systemd/network/* /etc/udev/rules.d/* \
    /etc/sysconfig/network-scripts/ifcfg-* /etc/NetworkManager/system-connections/* \
    /run/systemd/network/*; do
    [ -f "$file" ] || continue
    # cloud-init leaves root an empty one.
    case $file in */authorized_keys*) [ -s "$file" ] || { doom "$file"; continue; } ;; esac
    set -- "$@" "$file"
  done
  # shellcheck disable=SC2086
  suspects=$(printf '%s\n' "$build_user" HWADDR= MACADDR= $macs $keys |
    LC_ALL=C grep -l -i -F -f - -- "$@" 2>/dev/null)
}

scrub_suspects() {
  accounts=
  set -f
  IFS=$newline
  for file in $suspects; do
    unset IFS
    case $file in
      /etc/sudoers*) scrub_sudoers "$file" ;;
      */authorized_keys*) scrub_keys "$file" ;;
      /etc/passwd* | /etc/shadow* | /etc/sub* | /etc/group* | /etc/gshadow*) accounts="$accounts $file" ;;
      *) scrub_network "$file" ;;
    esac
  done
  unset IFS
  [ -z "$accounts" ] || scrub_accounts
  set +f
}

# Two programs for all of them: grep names the file in front of each line, and /dev/null makes it do so.
scrub_accounts() {
  u=$user_re
  # shellcheck disable=SC2086
  lines=$({ grep -v "^$u:" $accounts /dev/null || [ $? = 1 ] || echo failed; } | sed -e '/^\/etc\/g/!b' \
    -e "s/:$u:/::/" -e "s/:$u\$/:/" -e "s/:$u,/:/" -e "s/,$u\$//" -e "s/,$u,/,/" -e "s/,$u:/:/") || lines=failed
  case $newline$lines$newline in
    *"${newline}failed$newline"*) say_failed "reading $accounts"; return ;;
  esac
  for file in $accounts; do
    left=
    IFS=$newline
    for line in $lines; do
      case $line in "$file:"*) left=$left${line#"$file:"}$newline ;; esac
    done
    unset IFS
    overwrite "$file" "$left"
  done
}

scrub_sudoers() {
  left=
  rules=
  found=
  while IFS= read -r line || [ -n "$line" ]; do
    # shellcheck disable=SC2086
    set -- $line
    if [ "${1-}" = "$build_user" ] || [ "$line" = "# User rules for $build_user" ]; then
      found=yes
      continue
    fi
    case ${1-} in '' | '#'*) ;; *) rules=yes ;; esac
    left=$left$line$newline
  done <"$file"
  [ -n "$found" ] || return 0
  if [ "$file" = /etc/sudoers ] || [ -n "$rules" ]; then overwrite "$file" "$left"; else doom "$file"; fi
}

# Other accounts may keep keys that a customizer gave them; the build's key stays nowhere.
scrub_keys() {
  left=
  others=
  found=
  while IFS= read -r line || [ -n "$line" ]; do
    for key in $keys; do
      case $line in *"$key"*) found=yes; continue 2 ;; esac
    done
    # shellcheck disable=SC2086
    set -- $line
    case ${1-} in '' | '#'*) ;; *) others=yes ;; esac
    left=$left$line$newline
  done <"$file"
  [ -n "$found" ] || return 0
  if [ -n "$others" ]; then overwrite "$file" "$left"; else doom "$file"; fi
}

scrub_network() {
  case $file in
    */ifcfg-*)
      left=$(sed -e '/^HWADDR=/d' -e '/^MACADDR=/d' "$file" && echo .) || { say_failed "reading $file"; return; }
      overwrite "$file" "${left%.}"
      ;;
  esac
  # shellcheck disable=SC2086
  if printf '%s\n' $macs | grep -q -i -F -f - -- "$file"; then doom "$file"; fi
}

scrub_resolver() {
  if ! [ -e /etc/resolv.conf ] && ! [ -L /etc/resolv.conf ]; then
    if [ -n "$resolv" ]; then ln -s "$resolv" /etc/resolv.conf; else : >/etc/resolv.conf; fi
  elif [ -f /etc/resolv.conf ] && ! [ -L /etc/resolv.conf ]; then
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in
        # The build machine's own resolver; it exists nowhere else. (A bind mount cannot be truncated.)
        'nameserver 10.0.2.3'*)
          : >/etc/resolv.conf
          return
          ;;
      esac
    done </etc/resolv.conf
  fi
}

scrub_identity() {
  if [ -e /etc/machine-id ]; then : >/etc/machine-id || say_failed "emptying /etc/machine-id"; fi
  if [ -f /var/lib/dbus/machine-id ] && ! [ -L /var/lib/dbus/machine-id ]; then
    ln -sf /etc/machine-id /var/lib/dbus/machine-id || say_failed "linking /var/lib/dbus/machine-id"
  fi
}

# journald is stopped by now, with its files open: emptied, they give their blocks to the trim all the same.
# Should it be started anew, it stays in /run without its `flushed`, which scrub_files removes.
scrub_logs() {
  truncate_all /var/log/journal/* /var/log/journal/*/* /var/log/wtmp /var/log/btmp /var/log/lastlog \
    /var/log/faillog /var/log/tallylog /var/log/auth.log /var/log/secure /var/log/audit/audit.log
}

scrub_files() {
  set -f
  IFS=$newline
  # shellcheck disable=SC2086
  set -- $doomed
  unset IFS
  set +f
  for dir in /root /home/*; do
    set -- "$@" "$dir"/.*_history "$dir"/.lesshst "$dir"/.viminfo
  done
  case $home in
    '' | / | /root | /home | /var | /etc | /usr | /opt | /srv | /tmp) ;;
    /*) set -- "$@" "$home" ;;
  esac
  [ -z "$uid" ] || set -- "$@" "/var/lib/sudo/lectured/$uid" "/var/db/sudo/lectured/$uid"
  for dir in /etc/network/interfaces.d /etc/netplan /etc/systemd/network /etc/udev/rules.d \
    /etc/sysconfig/network-scripts /etc/NetworkManager/system-connections /run/systemd/network; do
    for file in "$dir"/*cloud-init*; do
      [ ! -f "$file" ] || set -- "$@" "$file"
    done
  done
  remove "$@" "/home/$build_user" "/var/mail/$build_user" "/var/spool/mail/$build_user" \
    "/var/spool/cron/$build_user" "/var/spool/cron/crontabs/$build_user" \
    "/var/lib/systemd/linger/$build_user" "/var/lib/AccountsService/users/$build_user" \
    "/var/lib/sudo/lectured/$build_user" "/var/db/sudo/lectured/$build_user" "/var/lib/sudo/ts/$build_user" \
    /run/systemd/journal/flushed /var/log/journal/* /var/lib/systemd/journal-upload \
    /var/log/cloud-init.log* /var/log/cloud-init-output.log* /var/log/waagent.log* \
    /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem \
    /etc/ssh/ssh_host_* /var/lib/systemd/random-seed /var/lib/systemd/credential.secret \
    /var/lib/urandom/random-seed /var/lib/random-seed /boot/efi/loader/random-seed \
    /boot/loader/random-seed /efi/loader/random-seed \
    /var/lib/dhcp/* /var/lib/dhclient/* /var/lib/dhcpcd/* /var/lib/NetworkManager/*.lease \
    /var/lib/NetworkManager/secret_key /var/lib/NetworkManager/seen-bssids \
    /var/lib/NetworkManager/timestamps /etc/udev/rules.d/*-persistent-net.rules \
    "$script" /tmp/script_*.sh /tmp/script-*.ps1 /var/tmp/script_*.sh /tmp/goldsmith-* /var/tmp/goldsmith-* \
    /tmp/systemd-private-* /var/tmp/systemd-private-* /var/lib/waagent/ovf-env.xml "$runner"
  [ -z "$made_waagent" ] || rmdir /var/lib/waagent 2>/dev/null
}
