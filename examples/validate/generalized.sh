#!/bin/sh
# Looks, in a machine booted from the finished image, for what a golden image must not carry.
# Runs as root; $SUDO_USER is the validation user, the only person who may have an account.
set -eu

fail() {
    echo "NOT GENERALIZED: $*" >&2
    exit 1
}

others=$(awk -F: -v me="${SUDO_USER:-root}" '$3 >= 1000 && $3 < 60000 && $1 != me { print $1 }' /etc/passwd)
[ -z "$others" ] || fail "accounts left behind: $others"

for home in /root /home/*; do
    [ "$home" != "/home/${SUDO_USER:-}" ] || continue
    # cloud-init gives root a key line that only prints "log in as ..."; that one lets nobody in.
    ! grep -Evqs '^[[:space:]]*(#|$)|command="echo' "$home/.ssh/authorized_keys" ||
        fail "$home/.ssh/authorized_keys lets somebody in"
    [ ! -s "$home/.bash_history" ] || fail "$home/.bash_history tells what the builder typed"
done

# The machine has booted since, so it must have an identity of its own by now.
[ -s /etc/machine-id ] || fail "/etc/machine-id is still empty after a boot"
ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || fail "no SSH host key was made at first boot"
echo "Generalized: no foreign account, key or history; identity made at this boot."
