# shellcheck shell=sh
# Finds a Python that is new enough and keeps .venv in step with pyproject.toml.
# Needs say.sh and packages.sh; the caller stands in the repository's root.

# ensure_venv EXTRA: .venv holds Goldsmith, editable, with the optional dependencies EXTRA ("dev" or "").
ensure_venv() {
    venv_wanted=$(venv_stamp "$1")
    # A development environment serves a plain use too.
    for stamp in "$venv_wanted" "$(venv_stamp dev)"; do
        [ "$(cat .venv/goldsmith.stamp 2>/dev/null)" != "$stamp" ] || return 0
    done
    find_python
    say "Preparing .venv with $("$PYTHON" --version 2>&1) (a minute or two, once)"
    if ! venv_works; then
        rm -rf .venv
        "$PYTHON" -m venv .venv || die "$PYTHON -m venv failed." "Is the disk full, or .venv not writable?"
    fi
    venv_target=.
    [ -z "$1" ] || venv_target=".[$1]"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --editable "$venv_target" \
        </dev/null >&2 || die "pip could not install Goldsmith's dependencies." \
        "See the lines above; a Python package index must be reachable."
    printf '%s\n' "$venv_wanted" >.venv/goldsmith.stamp
}

# What .venv was made from: a changed pyproject.toml or a moved checkout makes it stale.
venv_stamp() { printf '%s %s %s' "$(cksum <pyproject.toml)" "$(pwd -P)" "${1:-run}"; }

# A venv whose Python was upgraded away, or that was copied from elsewhere, does not work.
venv_works() { .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# find_python: sets PYTHON to a Python >= 3.11 that can make a venv; installs what is missing.
find_python() {
    for PYTHON in python3 python3.14 python3.13 python3.12 python3.11; do
        ! python_can_venv "$PYTHON" || return 0
    done
    for PYTHON in python3 python3.14 python3.13 python3.12 python3.11; do
        python_new_enough "$PYTHON" || continue
        version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        ensure_packages "the virtual environment" "python$version-venv"
        ! python_can_venv "$PYTHON" || return 0
    done
    install_python
}

# The distribution's default when it is new enough (or absent), else the newest one it offers beside it.
install_python() {
    command -v python3 >/dev/null 2>&1 || ensure_packages "Goldsmith" python3 python3-venv
    PYTHON=python3
    ! python_can_venv "$PYTHON" || return 0
    for version in 3.13 3.12 3.11; do
        apt_knows "python$version" "python$version-venv" || continue
        ensure_packages "Goldsmith (python3 here is older than 3.11)" "python$version" "python$version-venv"
        PYTHON=python$version
        ! python_can_venv "$PYTHON" || return 0
    done
    die "No Python 3.11 or newer was found, and apt offers none." \
        "Debian 12 and Ubuntu 22.04 (universe) or newer have one."
}

python_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
python_can_venv() { python_new_enough "$1" && "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }
