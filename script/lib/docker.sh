# shellcheck shell=sh
# A container engine for tests/docker: installed and started where there is none. Needs say.sh, packages.sh.

DOCKERD_PID=""

# ensure_docker: afterwards `docker info` works for root, or for us through in_docker_group.
ensure_docker() {
    if ! command -v docker >/dev/null 2>&1 || ! engine_there; then
        ensure_packages "tests/docker" docker.io
    fi
    docker_compose_there || ensure_packages "tests/docker" docker-compose
    command -v iptables >/dev/null 2>&1 || [ -x /usr/sbin/iptables ] ||
        ensure_packages "tests/docker" iptables
    ! docker info >/dev/null 2>&1 || return 0
    as_root true
    as_root docker info >/dev/null 2>&1 || start_docker
}

engine_there() { docker info >/dev/null 2>&1 || command -v dockerd >/dev/null 2>&1 || [ -x /usr/sbin/dockerd ]; }

docker_compose_there() { command -v docker-compose >/dev/null 2>&1 || docker compose version >/dev/null 2>&1; }

# With systemd the service is started; elsewhere (containers, CI) a daemon that ends with this script.
start_docker() {
    say "Starting the container engine"
    if [ -d /run/systemd/system ] && as_root systemctl start docker; then
        wait_for_docker && return 0
    fi
    docker_log=$(mktemp)
    if [ "$(id -u)" -eq 0 ]; then
        env PATH="$PATH:/usr/sbin:/sbin" dockerd >"$docker_log" 2>&1 &
    else
        # sudo may ask for a password, which a background process cannot answer.
        sudo -v
        # shellcheck disable=SC2024
        sudo env PATH="$PATH:/usr/sbin:/sbin" dockerd >"$docker_log" 2>&1 &
    fi
    DOCKERD_PID=$!
    wait_for_docker && return 0
    tail -n 20 "$docker_log" >&2
    die "The container engine did not start within 60 s." "Its log is $docker_log; 'script/test unit' needs none."
}

wait_for_docker() {
    tries=0
    while [ "$tries" -lt 60 ]; do
        ! as_root docker info >/dev/null 2>&1 || return 0
        tries=$((tries + 1))
        sleep 1
    done
    return 1
}

# stop_docker: end the daemon that start_docker started, and only that one.
stop_docker() {
    [ -n "$DOCKERD_PID" ] || return 0
    as_root kill "$DOCKERD_PID" 2>/dev/null || :
    wait "$DOCKERD_PID" 2>/dev/null || :
    DOCKERD_PID=""
}

# in_docker_group COMMAND...: run as ourselves, with the engine's group when we do not have it yet
# (a login shell gets a new group only at the next login).
in_docker_group() {
    if docker info >/dev/null 2>&1; then
        "$@"
        return
    fi
    docker_gid=$(getent group docker | cut -d: -f3)
    [ -n "$docker_gid" ] || die "The container engine answers to root only." "Run script/test as root."
    sudo setpriv --reuid="$(id -u)" --regid="$(id -g)" --groups="$(id -G | tr ' ' ','),$docker_gid" \
        env HOME="$HOME" PATH="$PATH" CI="${CI:-}" TERM="${TERM:-dumb}" "$@"
}
