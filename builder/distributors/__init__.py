"""Where an image goes: VHD, managed image, gallery version."""
