"""Disks: qemu-img, the VHD footer, assembling a bootable disk."""
