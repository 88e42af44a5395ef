# What the new system still needs to live in Azure. Runs in Debian's installer, outside of the new system.
# Before this text stand the settings: console, marker, agents.
here=/goldsmith
root=/target
say() { echo "$marker $*" >"$console"; }
fail() { say "failed $*"; sleep 86400; }

say installed
cp -R "$here/files/." "$root/" || fail "the configuration could not be written"
sh "$here/enter.sh" "$root" >"$console" 2>&1 || fail "the build user could not be made in the new system"

there() { chroot "$root" dpkg -s "$1" 2>/dev/null | grep -q '^Status: install ok installed'; }
missing=
for package in $agents; do
  there "$package" || missing="$missing $package"
done
[ -z "$missing" ] || say "warning not to be had from the mirror:$missing"
if there cloud-init; then say has cloud-init; fi
if there waagent; then
  for setting in Provisioning.Agent=cloud-init Provisioning.Enabled=n ResourceDisk.Format=n ResourceDisk.EnableSwap=n; do
    sed -i "/^#* *${setting%%=*}=/d" "$root/etc/waagent.conf"
    echo "$setting" >>"$root/etc/waagent.conf"
  done
  say has WALinuxAgent
fi

# Made on KVM, run on Hyper-V: both their drivers, whichever machine made it.
chroot "$root" update-initramfs -u -k all >"$console" 2>&1 || fail "the initramfs could not be made"
chroot "$root" update-grub >"$console" 2>&1 || fail "the boot loader could not be configured"
rm -f "$root/etc/udev/rules.d/70-persistent-net.rules"
