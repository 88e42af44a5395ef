# What the new system of Red Hat's family still needs to live in Azure. Runs inside of it (%post).
# Before this text stand the settings: console, marker, wanted, agents, registered (how: post, rhsm, no).
# Source of the settings: learn.microsoft.com, "Prepare a Red Hat-based virtual machine for Azure".
say() { echo "$marker $*" >"$console"; }
fail() { say "failed $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

say installed
if have dnf; then tool=dnf; else tool=yum; fi
log=/root/.goldsmith/log
mkdir -p /root/.goldsmith

# Register first, unregister last, also when something fails on the way.
unregister() {
  if [ "$registered" != no ] && have subscription-manager; then
    subscription-manager unregister >/dev/null 2>&1 || say "warning the subscription could not be given back"
    subscription-manager clean >/dev/null 2>&1
  fi
  registered=no
  rm -rf /root/.goldsmith
}
trap unregister EXIT
if [ "$registered" = post ]; then
  have subscription-manager || fail "there is a subscription, but no subscription-manager"
  { read -r organization; read -r key; } </root/.goldsmith/subscription || fail "the subscription is not on the answers' disk"
  timeout 600 subscription-manager register --org="$organization" --activationkey="$key" >$log 2>&1 ||
    fail "the subscription was refused: $(tail -n 1 $log)"
fi
rm -f /root/.goldsmith/subscription

there() { rpm -q "$1" >/dev/null 2>&1; }
get() { there "$1" || timeout 900 $tool -y install "$1" >$log 2>&1 && there "$1"; }
for package in $wanted; do
  get "$package" || fail "the package $package is neither on the medium nor in a repository that can be reached"
done
missing=
for package in $agents; do
  get "$package" || missing="$missing $package"
done
[ -z "$missing" ] || say "warning not to be had from the medium or a repository:$missing"

if there cloud-init; then
  # Azure first; NoCloud is how a build, a smoke boot and a validation enter.
  mkdir -p /etc/cloud/cloud.cfg.d
  echo 'datasource_list: [ Azure, NoCloud ]' >/etc/cloud/cloud.cfg.d/91-azure_datasource.cfg
  for service in cloud-init-local cloud-init cloud-config cloud-final; do
    systemctl enable "$service" >/dev/null 2>&1
  done
  say has cloud-init
fi
if there WALinuxAgent && [ -f /etc/waagent.conf ]; then
  there cloud-init && agent=cloud-init || agent=waagent
  put() {
    sed -i "/^#* *$1=/d" /etc/waagent.conf
    echo "$1=$2" >>/etc/waagent.conf
  }
  put Provisioning.Agent "$agent"
  [ "$agent" = waagent ] || put Provisioning.UseCloudInit y
  put ResourceDisk.Format n
  put ResourceDisk.EnableSwap n
  systemctl enable waagent >/dev/null 2>&1
  say has WALinuxAgent
fi
there cloud-init || there WALinuxAgent ||
  say "warning neither cloud-init nor WALinuxAgent: Azure can give a VM of this image no user and no key"
systemctl enable sshd NetworkManager >/dev/null 2>&1

# Made on KVM, run on Hyper-V: dracut would leave out what this machine does not show.
mkdir -p /etc/dracut.conf.d
cat >/etc/dracut.conf.d/90-azure.conf <<'CONF'
add_drivers+=" hv_vmbus hv_netvsc hv_storvsc virtio_pci virtio_blk virtio_scsi virtio_net ahci sd_mod "
CONF
if have dracut; then
  dracut --force --regenerate-all >$log 2>&1 || fail "dracut could not make the initramfs: $(tail -n 1 $log)"
fi

if [ -f /etc/default/grub ]; then
  sed -i -e '/^GRUB_CMDLINE_LINUX=/s/\(rhgb\|quiet\|crashkernel=[^ "]*\) *//g' \
    -e '/^GRUB_TERMINAL/d' -e '/^GRUB_SERIAL_COMMAND/d' /etc/default/grub
  cat >>/etc/default/grub <<'CONF'
GRUB_TERMINAL="serial console"
GRUB_SERIAL_COMMAND="serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1"
CONF
fi
if have grubby; then
  grubby --update-kernel=ALL --remove-args="rhgb quiet crashkernel" >$log 2>&1 || fail "grubby: $(tail -n 1 $log)"
fi
if have grub2-mkconfig; then
  config=/boot/grub2/grub.cfg
  for file in /boot/efi/EFI/*/grub.cfg; do
    # From 9 on this is a stub that leads to the other, and must stay one.
    if [ -f "$file" ] && ! grep -q configfile "$file"; then config=$file; fi
  done
  grub2-mkconfig -o "$config" >$log 2>&1 || fail "grub2-mkconfig: $(tail -n 1 $log)"
fi
systemctl disable kdump >/dev/null 2>&1

# The card in Azure is another one: nothing may name this machine's.
rm -f /etc/udev/rules.d/70-persistent-net.rules /etc/udev/rules.d/75-persistent-net-generator.rules
rm -f /etc/NetworkManager/system-connections/*
if [ -d /etc/sysconfig/network-scripts ]; then
  find /etc/sysconfig/network-scripts -name 'ifcfg-*' ! -name ifcfg-lo -delete
fi
if [ "$network_scripts" = yes ]; then
  cat >/etc/sysconfig/network-scripts/ifcfg-eth0 <<'CONF'
DEVICE=eth0
ONBOOT=yes
BOOTPROTO=dhcp
TYPE=Ethernet
USERCTL=no
PEERDNS=yes
IPV6INIT=no
CONF
fi

unregister
$tool clean all >/dev/null 2>&1
rm -f /root/anaconda-ks.cfg /root/original-ks.cfg
rm -rf /var/log/anaconda
if have restorecon; then restorecon -R /etc /root; fi
sync
say configured
