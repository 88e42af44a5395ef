packer {
  required_plugins {
    azure = {
      version = ">= 2.0.0"
      source  = "github.com/hashicorp/azure"
    }
  }
}

variable "subscription_id" {
  type    = string
  default = env("ARM_SUBSCRIPTION_ID")
}

variable "release" {
  type        = string
  default     = "1.4.0"
  description = "Version of the shop"
  validation {
    condition     = length(var.release) > 0
    error_message = "Give a release."
  }
}

variable "token" {
  type      = string
  sensitive = true
}

variable "regions" {
  type    = list(string)
  default = ["westeurope", "northeurope"]
}

locals {
  stamp = formatdate("YYYYMMDD", timestamp())
  name  = "web-${var.release}"
}

source "azure-arm" "web" {
  subscription_id                   = var.subscription_id
  use_azure_cli_auth                = true
  os_type                           = "Linux"
  image_publisher                   = "Canonical"
  image_offer                       = "0001-com-ubuntu-server-jammy"
  image_sku                         = "22_04-lts-gen2"
  location                          = "West Europe"
  vm_size                           = "Standard_D2s_v3"
  managed_image_name                = "${local.name}-${local.stamp}"
  managed_image_resource_group_name = "images"

  shared_image_gallery_destination {
    resource_group = "images"
    gallery_name   = "shop"
    image_name     = "web"
    image_version  = var.release
    target_region {
      name     = "westeurope"
      replicas = 2
    }
    replication_regions = var.regions
  }

  azure_tag {
    name  = "team"
    value = "shop"
  }
}

build {
  name    = "shop"
  sources = ["source.azure-arm.web"]

  provisioner "file" {
    source      = "${path.root}/files/site.conf"
    destination = "/tmp/site.conf"
  }

  provisioner "shell" {
    environment_vars = ["TOKEN=${var.token}", "NAME=${local.name}"]
    inline = [
      "echo \"building $${NAME}\"",
      <<-SCRIPT
        cat > /tmp/motd <<'EOT'
        Welcome to ${upper(local.name)}
        EOT
      SCRIPT
    ]
    max_retries = 3
  }

  provisioner "shell" {
    only   = ["azure-arm.other"]
    script = "other.sh"
  }

  post-processor "manifest" {
    output = "manifest.json"
  }
}
