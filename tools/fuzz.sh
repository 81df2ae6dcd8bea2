#!/usr/bin/env bash
# Fuzz every target for so many minutes, one after the other, and keep what of the inputs is worth keeping.
#   tools/fuzz.sh MINUTES [TARGET…]
# What breaks a target is put into fuzz/findings/TARGET/, where the tests replay it from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=$1
shift
targets=("$@")
python=.fuzz/venv/bin/python
most_bytes=8192 # of one target's corpus

read -ra known <<<"$(.venv/bin/python -c 'from fuzz.catalogue import TARGETS; print(*TARGETS)')"
[ ${#targets[@]} -gt 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
    if [[ " ${known[*]} " != *" $target "* ]]; then
        echo "fuzz: there is no target $target; there are ${known[*]}" >&2
        exit 2
    fi
done

if ! "$python" -c 'import atheris, h11' 2>/dev/null; then
    eval "$(.venv/bin/python packages/modelport/src/modelport/environments/index_settings.py)"
    .venv/bin/uv venv --quiet --allow-existing --python .venv/bin/python .fuzz/venv
    .venv/bin/uv pip install --quiet --python "$python" --constraint constraints.txt atheris h11 \
        -e packages/modelport-worker -e packages/modelport-azureml -e packages/modelport-scoring
fi

dictionary_of() {
    case $1 in
    http_* | router | second_reader) echo -dict=fuzz/dictionaries/http.dict ;;
    numbers | multipart | script_requests) echo "-dict=fuzz/dictionaries/$1.dict" ;;
    esac
}

# The smallest inputs that together reach what all of them reach, the shortest first, up to the bound.
minimise() {
    local kept=.fuzz/kept/$1
    rm -rf "$kept" && mkdir -p "$kept"
    "$python" -m fuzz "$1" "$kept" ".fuzz/inputs/$1" "fuzz/corpus/$1" -merge=1 -artifact_prefix=.fuzz/ >".fuzz/$1.merge.log" 2>&1
    local total=0 size
    rm -rf "fuzz/corpus/$1" && mkdir -p "fuzz/corpus/$1"
    for input in $(ls -Sr "$kept"); do
        size=$(stat -c %s "$kept/$input")
        total=$((total + size))
        [ "$total" -gt "$most_bytes" ] || cp "$kept/$input" "fuzz/corpus/$1/"
    done
}

found=0
for target in "${targets[@]}"; do
    mkdir -p ".fuzz/inputs/$target" "fuzz/findings/$target" "fuzz/corpus/$target"
    echo "fuzzing $target for $minutes minutes, log in .fuzz/$target.log"
    # shellcheck disable=SC2046
    "$python" -m fuzz "$target" ".fuzz/inputs/$target" "fuzz/corpus/$target" $(dictionary_of "$target") \
        -max_total_time=$((minutes * 60)) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="fuzz/findings/$target/" >".fuzz/$target.log" 2>&1 || found=1
    grep -E 'stat::number_of_executed_units|SUMMARY' ".fuzz/$target.log" || true
    grep -E 'cov:' ".fuzz/$target.log" | tail -1
    minimise "$target"
    rmdir --ignore-fail-on-non-empty "fuzz/findings/$target" fuzz/findings
done
exit $found
