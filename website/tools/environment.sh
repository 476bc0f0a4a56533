#!/bin/sh
# Bring .venv up to date with these requirement files: sh website/tools/environment.sh FILE...
#
# Makes .venv with a Python of 3.11 or later, installs the files when one of them (or
# pyproject.toml) has changed since the last time, and says in one line what is missing. pip's own
# words go to .venv/pip.log. Run from the root of the repository, by the Makefile.
set -eu

fail() {
    echo "$*" >&2
    exit 1
}

# A candidate may be a name that is on the PATH and does not run: so each is run.
runs() {
    "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info < $2)" >/dev/null 2>&1
}

find_python() {
    # First the versions that the project is tested with, then any later one.
    for below in "(3, 14)" "(4,)"; do
        for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python; do
            if runs "$candidate" "$below"; then
                echo "$candidate"
                return
            fi
        done
    done
    fail "Python 3.11 or later is needed, and none was found. Install it, or name it: make PYTHON=/path/to/python3"
}

make_venv() {
    python=$(find_python) || exit 1
    "$python" -c "import ensurepip, venv" >/dev/null 2>&1 ||
        fail "$python has no venv module. On Debian and Ubuntu: sudo apt install python3-venv"
    echo "Making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv || fail "$python could not make .venv"
}

# What was installed: the files, the package's own metadata, and where .venv stood then.
wanted() {
    pwd
    sed '/^\[tool/,$d' pyproject.toml # without the tools' settings
    cat "$@"
}

state_of() {
    echo ".venv/installed-$(echo "$*" | tr -c 'a-z0-9\n' '-')"
}

[ -f requirements.txt ] || fail "Run this from the root of the repository"
state=$(state_of "$@")
if [ -f "$state" ] && wanted "$@" | cmp -s - "$state" && .venv/bin/python -c "" 2>/dev/null; then
    exit 0
fi

# A .venv whose folder was moved, or whose Python is gone, is of no use.
home=$(cat .venv/made-in 2>/dev/null || true)
if [ "$home" != "$(pwd)" ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    make_venv
    pwd >.venv/made-in
fi

echo "Installing $* into .venv (the first time takes a minute or two)"
log=.venv/pip.log
for file in "$@"; do
    shift
    set -- "$@" -r "$file"
done
if ! .venv/bin/python -m pip install --disable-pip-version-check --no-input "$@" >$log 2>&1; then
    if grep -qiE "connection|name resolution|timed out|proxy|network|ssl|from versions: none" $log; then
        fail "pip could not reach the package index: is there a network? Its words are in $log"
    fi
    fail "pip failed: $(grep -m 1 '^ERROR' $log || echo "its words are in $log") (all of it: $log)"
fi
# Matplotlib lists the machine's fonts once, and says so where a notebook's output is compared.
.venv/bin/python -c "import matplotlib.font_manager" >>$log 2>&1
# Back from pip's options to the files. The files before the last are up to date too.
for word in "$@"; do
    shift
    [ "$word" = -r ] || set -- "$@" "$word"
done
done_files=
for file in "$@"; do
    done_files="$done_files $file"
    # shellcheck disable=SC2086  # the names of requirement files hold no spaces
    wanted $done_files >"$(state_of $done_files)"
done
