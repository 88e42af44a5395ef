# shellcheck shell=sh
# A container engine for tests/docker: installed and started where there is none. Needs say.sh, packages.sh.

DOCKER_PIDFILE=""

# ensure_docker: afterwards `docker info` works for root, or for us through in_docker_group.
ensure_docker() {
    if ! command -v docker >/dev/null 2>&1 || ! engine_there; then
        ensure_packages "tests/docker" docker.io
    fi
    docker_compose_there || ensure_packages "tests/docker" docker-compose
    command -v iptables >/dev/null 2>&1 || [ -x /usr/sbin/iptables ] ||
        ensure_packages "tests/docker" iptables
    ! docker info >/dev/null 2>&1 || return 0
    # As root tests/docker/engine.py starts a daemon of its own and ends it with the tests.
    [ "$(id -u)" -ne 0 ] || return 0
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
    docker_room=$(mktemp -d)
    # The pid file is ours, so that exactly this daemon is ended again: a signal to sudo may not reach it.
    # Its log is ours too, hence the redirection outside sudo.
    # shellcheck disable=SC2024
    as_root env PATH="$PATH:/usr/sbin:/sbin" setsid dockerd --pidfile "$docker_room/pid" \
        >"$docker_room/log" 2>&1 </dev/null &
    DOCKER_PIDFILE=$docker_room/pid
    wait_for_docker && return 0
    tail -n 20 "$docker_room/log" >&2
    die "The container engine did not start within 60 s." \
        "Its log is $docker_room/log; 'script/test unit' needs none."
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

# stop_docker: end the daemon that start_docker started, and only that one, within 20 s.
stop_docker() {
    [ -n "$DOCKER_PIDFILE" ] && [ -s "$DOCKER_PIDFILE" ] || return 0
    docker_pid=$(cat "$DOCKER_PIDFILE")
    as_root kill "$docker_pid" 2>/dev/null || :
    tries=0
    while [ "$tries" -lt 20 ] && [ -d "/proc/$docker_pid" ]; do
        tries=$((tries + 1))
        sleep 1
    done
    [ ! -d "/proc/$docker_pid" ] || as_root kill -KILL "$docker_pid" 2>/dev/null || :
    DOCKER_PIDFILE=""
}

# in_docker_group COMMAND...: become that command, with the engine's group when we do not have it yet (a login
# shell gets a new group only at the next login). For a subshell, or something in the background.
in_docker_group() {
    if [ "$(id -u)" -eq 0 ] || docker info >/dev/null 2>&1; then
        exec "$@"
    fi
    docker_gid=$(getent group docker | cut -d: -f3)
    [ -n "$docker_gid" ] || die "The container engine answers to root only." "Run script/test as root."
    exec sudo setpriv --reuid="$(id -u)" --regid="$(id -g)" --groups="$(id -G | tr ' ' ','),$docker_gid" \
        env HOME="$HOME" PATH="$PATH" CI="${CI:-}" TERM="${TERM:-dumb}" "$@"
}
