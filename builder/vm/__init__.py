"""The local virtual machine: QEMU, its seed, its firmware, SSH into it."""
