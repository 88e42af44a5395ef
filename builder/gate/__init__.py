"""The VHD gate: what Azure asks of an image, looked for in the file before it leaves this machine."""
