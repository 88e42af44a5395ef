"""Unattended installations from a medium: what is on it, the answers, the machine, the progress."""
