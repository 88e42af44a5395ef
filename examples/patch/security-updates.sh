#!/bin/sh
# Brings the image up to date. Scripts named by scriptUri run as root (through sudo -E).
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get -y -o Dpkg::Options::=--force-confold --with-new-pkgs upgrade
apt-get clean
date -u +%Y-%m-%dT%H:%M:%SZ >/etc/goldsmith-patched
