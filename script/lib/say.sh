# shellcheck shell=sh
# Words to the person, and the one way to become root. Sourced, never run.

say() { printf '==> %s\n' "$*" >&2; }

# die MESSAGE [HINT]: exit code 3 is Goldsmith's "environment" (docs/reference.md).
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint:  %s\n' "$2" >&2
    exit 3
}

# as_root COMMAND...: run as root, through sudo when we are not.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "Root is needed for: $*" "Run that command as root, then start this script again."
    fi
}
