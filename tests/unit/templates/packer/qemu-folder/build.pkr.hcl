source "qemu" "base" {
  iso_url          = var.url
  iso_checksum     = "none"
  disk_image       = true
  cpus             = var.cpus
  memory           = 4096
  disk_size        = "8G"
  output_directory = "output"
  shutdown_command = "sudo poweroff"
}

build {
  source "source.qemu.base" {
    name    = "small"
    vm_name = "small.raw"
    format  = "raw"
  }
  provisioner "shell" {
    only   = ["qemu.small"]
    inline = ["echo ${source.name} > /tmp/name"]
  }
}
