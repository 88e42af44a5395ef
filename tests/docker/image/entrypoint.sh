#!/bin/sh -e
# Keys come from the test session (/keys); the home may be an empty tmpfs.
home=/home/packer
mkdir -p $home/.ssh /run/sshd
cp /keys/authorized_keys $home/.ssh/authorized_keys
chmod 700 $home/.ssh
chown -R packer:packer $home
rm -f /etc/ssh/ssh_host_*
cp /keys/host_key /etc/ssh/ssh_host_ed25519_key
chmod 600 /etc/ssh/ssh_host_ed25519_key
if [ "$SUDO" = yes ]; then
  printf '# User rules for packer\npacker ALL=(ALL) NOPASSWD:ALL\n' >/etc/sudoers.d/90-cloud-init-users
fi
exec /usr/sbin/sshd -D -e -o MaxStartups=50 -o UsePAM=no
