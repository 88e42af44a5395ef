# Lets the build user into a system that was just installed: sh enter.sh /mnt/sysimage
# Runs in the installer, outside of the new system. Before this text stand the settings: user.
set -eu
root=${1:?the root of the new system, such as /mnt/sysimage}
here=$(dirname "$0")

chroot "$root" id "$user" >/dev/null 2>&1 ||
  chroot "$root" useradd -m -s /bin/bash -c "Goldsmith build user" "$user"
home=$(chroot "$root" getent passwd "$user" | cut -d: -f6)

umask 077
mkdir -p "$root$home/.ssh"
cp "$here/build-user.pub" "$root$home/.ssh/authorized_keys"
chmod 0600 "$root$home/.ssh/authorized_keys"
chroot "$root" chown -R "$user:" "$home/.ssh"

mkdir -p "$root/etc/sudoers.d" "$root/etc/ssh"
printf '%s ALL=(ALL) NOPASSWD:ALL\n' "$user" >"$root/etc/sudoers.d/90-goldsmith"
chmod 0440 "$root/etc/sudoers.d/90-goldsmith"

# Given, so that nobody has to believe the first key that shows up.
cp "$here/host_key" "$root/etc/ssh/ssh_host_ed25519_key"
cp "$here/host_key.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
chmod 0600 "$root/etc/ssh/ssh_host_ed25519_key"
chmod 0644 "$root/etc/ssh/ssh_host_ed25519_key.pub"

if [ -x "$root/usr/sbin/restorecon" ]; then
  chroot "$root" /usr/sbin/restorecon -R "$home" /etc/ssh /etc/sudoers.d
fi
