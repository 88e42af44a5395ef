variable "cpus" {
  type    = number
  default = 2
}

variable "url" {
  type    = string
  default = "disks/base.qcow2"
}
