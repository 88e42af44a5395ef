# shellcheck shell=sh
# Finds the Debian packages that are missing and installs them. Needs say.sh.

# What a build uses (builder/doctor.py checks the same). debian-archive-keyring lets mmdebstrap verify Debian from an Ubuntu host.
# shellcheck disable=SC2034
BUILD_PACKAGES="qemu-system-x86 qemu-utils ovmf mmdebstrap debian-archive-keyring e2fsprogs xfsprogs mtools fdisk
    uidmap util-linux openssh-client ca-certificates"

# ensure_packages WHY PACKAGE...: install those that are missing; silent when none is.
ensure_packages() {
    packages_why=$1
    shift
    packages_missing=""
    for package in "$@"; do
        package_installed "$package" || packages_missing="$packages_missing $package"
    done
    [ -n "$packages_missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || die \
        "These packages are missing and this system has no apt-get:$packages_missing" \
        "Install what they hold with your package manager, or use a Debian or Ubuntu machine."
    say "Installing for $packages_why:$packages_missing"
    # Word splitting is wanted: the list is ours and holds package names only.
    # shellcheck disable=SC2086
    apt_install $packages_missing
}

package_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# An apt-get update takes long, so it only runs when the lists are absent or turn out to be stale.
apt_install() {
    if ! apt_knows "$@"; then
        apt_update
    fi
    apt_get install -y --no-install-recommends "$@" && return 0
    say "That failed; perhaps the package lists are old. Updating them and trying once more."
    apt_update
    apt_get install -y --no-install-recommends "$@" || die \
        "apt-get could not install: $*" \
        "See the lines above. On Ubuntu the 'universe' component must be enabled."
}

apt_knows() { apt-get install --simulate -qq --no-install-recommends "$@" >/dev/null 2>&1; }

apt_update() { apt_get update || die "apt-get update failed." "Check the network and the apt sources."; }

# apt's many lines go to a file that is shown when it fails. No stdin, so nothing can ask.
apt_get() {
    apt_log=$(mktemp)
    apt_status=0
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$apt_log" 2>&1 ||
        apt_status=$?
    [ "$apt_status" -eq 0 ] || tail -n 30 "$apt_log" >&2
    rm -f "$apt_log"
    return "$apt_status"
}
