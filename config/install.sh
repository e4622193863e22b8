#!/bin/sh
# Installs what is missing and nothing else: `sh config/install.sh run|test`.
#
#   run    .venv with requirements.txt, ffmpeg, and what fingerprints need where it compiles
#   test   the same with requirements-dev.txt, Chromium and what drives it, curl, PostgreSQL, Redis, nginx,
#          and the npm packages of tests/javascript
#
# A virtual environment whose stamp matches the requirements is left alone, so that a second
# start costs nothing.  System packages are installed through apt (as root or with sudo that
# asks for no password) or Homebrew; where that is not possible, one sentence says what to do.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@"; }

# install_package NAME_IN_APT [NAME_IN_HOMEBREW]: false when this machine gives no way to do it.
install_package() {
    if have apt-get; then
        as_root true || return 1
        say "Installing $1 …"
        # The second try is with fresh package lists: old ones name files that are gone.
        apt install -y --no-install-recommends "$1" >/dev/null 2>&1 ||
            { apt update && apt install -y --no-install-recommends "$1" >/dev/null; }
    elif have brew && [ $# -gt 1 ]; then
        say "Installing $2 …"
        # shellcheck disable=SC2086 # `--cask name` is two words
        HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet $2
    else
        return 1
    fi
}

# --- Python ---------------------------------------------------------------------------------------

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if have "$candidate" && new_enough "$candidate"; then
            say "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found: install it (Debian, Ubuntu:" \
        "apt install python3 python3-venv; macOS: brew install python@3.13) or name it," \
        "for example \`make run PYTHON=/opt/python/bin/python3\`."
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        install_package "$version-venv" && "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$python cannot make virtual environments: install $version-venv" \
                "(Debian, Ubuntu: apt install $version-venv)."
    fi
    say "Creating .venv with $("$python" --version) …"
    "$python" -m venv --clear .venv || fail "The virtual environment .venv could not be made."
}

# The stamp is written last: whatever interrupts an installation, the next one starts it again.
install_requirements() { # FILE STAMP
    wanted=$({
        .venv/bin/python --version
        cat requirements.txt config/requirements_video.txt "$1"
    } | cksum)
    [ "$(cat "$2" 2>/dev/null)" = "$wanted" ] && return
    say "Installing $1 …"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r "$1" ||
        fail "The packages in $1 could not be installed: pip says above why."
    printf '%s\n' "$wanted" >"$2"
}

# --- Fingerprints ---------------------------------------------------------------------------------

can_compile() {
    { have c++ || have g++; } && .venv/bin/python -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
}

fingerprint_stamp() {
    {
        .venv/bin/python --version
        cat "$fingerprints"
        can_compile && echo compiler
    } | cksum
}

# pdqhash is compiled here.  Nothing else depends on it, so a machine that cannot do that is told
# so at each start and otherwise not held up: what failed is tried again when the requirements
# change or a compiler has come.
need_fingerprints() {
    fingerprints=config/requirements_fingerprint.txt
    case $(cat .venv/installed-fingerprints 2>/dev/null) in
    "$(fingerprint_stamp) ready") return ;;
    "$(fingerprint_stamp) missing") outcome=missing ;;
    *) install_fingerprints && outcome=ready || outcome=missing ;;
    esac
    printf '%s\n' "$(fingerprint_stamp) $outcome" >.venv/installed-fingerprints
    [ "$outcome" = ready ] && return
    how="Debian, Ubuntu: apt install g++ python3-dev; macOS: xcode-select --install"
    [ "${CI:-}" = true ] && fail "pdqhash is missing and could not be installed here. Install a C++ compiler first: $how."
    say "*** pdqhash is missing and could not be compiled ($how): it runs WITHOUT fingerprints."
}

install_fingerprints() {
    if ! can_compile; then
        version=$(.venv/bin/python -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        install_package g++ && install_package "$version-dev" && can_compile || return 1
    fi
    say "Installing $fingerprints …"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
        -r "$fingerprints" && .venv/bin/python -c 'import pdqhash'
}

# --- Programs -------------------------------------------------------------------------------------

need_ffmpeg() {
    have "${FFMPEG_BINARY:-ffmpeg}" && have "${FFPROBE_BINARY:-ffprobe}" && return
    install_package ffmpeg ffmpeg && have ffmpeg && have ffprobe && return
    missing "ffmpeg" "Debian, Ubuntu: apt install ffmpeg; macOS: brew install ffmpeg"
}

find_chromium() {
    for candidate in ${CHROMIUM:-} chromium google-chrome google-chrome-stable chromium-browser \
        "/Applications/Chromium.app/Contents/MacOS/Chromium" \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        # Ubuntu's chromium-browser may be a script that only asks for snap.
        have "$candidate" && "$candidate" --version >/dev/null 2>&1 && return
    done
    return 1
}

need_chromium() {
    find_chromium && return
    install_package chromium "--cask chromium" && find_chromium && return
    missing "Chromium" "Debian: apt install chromium; Ubuntu: snap install chromium;" \
        "macOS: brew install --cask chromium"
}

# Playwright brings a Node of its own, which needs a library that minimal images lack.
driver_works() {
    for driver in .venv/lib/python3*/site-packages/playwright/driver/node; do
        "$driver" --version >/dev/null 2>&1 && return
    done
    return 1
}

need_driver() {
    driver_works && return
    install_package libatomic1 && driver_works && return
    missing "libatomic (for the browser tests)" "Debian, Ubuntu: apt install libatomic1"
}

need_curl() {
    have curl && return
    install_package curl curl && have curl && return
    missing "curl" "Debian, Ubuntu: apt install curl"
}

# The tests start servers of their own, so these must not become services of this machine: Debian's
# packages ask policy-rc.d before they start anything, and what they enable is disabled again.
install_server() { # NAME_IN_APT NAME_IN_HOMEBREW SERVICE
    policy=/usr/sbin/policy-rc.d
    if have apt-get && [ ! -e "$policy" ]; then
        as_root true || return 1
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        install_package "$1" && installed=true || installed=false
        as_root rm -f "$policy"
        trap - EXIT
        if have systemctl; then as_root systemctl --quiet disable "$3" 2>/dev/null || true; fi
        "$installed"
    else
        install_package "$1" "$2"
    fi
}

find_postgresql() {
    for candidate in initdb /usr/lib/postgresql/*/bin/initdb /opt/homebrew/opt/postgresql@*/bin/initdb; do
        have "$candidate" && return
    done
    return 1
}

need_postgresql() {
    find_postgresql && return
    install_server postgresql postgresql@17 postgresql && find_postgresql && return
    missing "PostgreSQL" "Debian, Ubuntu: apt install postgresql; macOS: brew install postgresql@17"
}

need_redis() {
    have redis-server && return
    install_server redis-server redis redis-server && have redis-server && return
    missing "Redis" "Debian, Ubuntu: apt install redis-server; macOS: brew install redis"
}

need_nginx() {
    # Debian's is not in the PATH of everybody.
    PATH=$PATH:/usr/sbin
    have nginx && return
    install_server nginx-light nginx nginx && have nginx && return
    missing "nginx" "Debian, Ubuntu: apt install nginx-light; macOS: brew install nginx"
}

need_openssl() {
    have openssl && return
    install_package openssl openssl && have openssl && return
    missing "openssl" "Debian, Ubuntu: apt install openssl; macOS: brew install openssl"
}

# Node comes with requirements-dev.txt.  `npm ci` empties node_modules first, and the stamp with it.
need_javascript() {
    stamp=tests/javascript/node_modules/installed
    wanted=$(cat requirements-dev.txt tests/javascript/package-lock.json | cksum)
    [ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && return
    say "Installing the npm packages of tests/javascript …"
    if PATH="$PWD/.venv/bin:$PATH" npm ci --prefix tests/javascript --ignore-scripts \
        --no-audit --no-fund --loglevel=error >/dev/null; then
        printf '%s\n' "$wanted" >$stamp
    else
        missing "what tests/javascript/package-lock.json names" \
            "npm says above why; \`npm ci --prefix tests/javascript\` tries again"
    fi
}

# To serve, everything is needed.  Tests skip what they cannot run, by name, but not in CI.
missing() { # NAME HOW…
    name=$1
    shift
    if [ "$goal" = test ] && [ "${CI:-}" != true ]; then
        say "*** $name is missing and could not be installed ($*): the tests that need it are SKIPPED."
    else
        fail "$name is missing and could not be installed here. Install it first: $*."
    fi
}

goal=${1:-}
case $goal in
run | test) ;;
*) fail "usage: sh config/install.sh run|test" ;;
esac

if ! { new_enough .venv/bin/python && .venv/bin/python -c 'import pip' 2>/dev/null; }; then
    make_venv
fi
if [ "$goal" = run ]; then
    install_requirements requirements.txt .venv/installed-run
    need_ffmpeg
    need_fingerprints
else
    install_requirements requirements-dev.txt .venv/installed-test
    need_ffmpeg
    need_fingerprints
    need_chromium
    need_driver
    need_curl
    need_postgresql
    need_redis
    need_nginx
    need_openssl
    need_javascript
fi
