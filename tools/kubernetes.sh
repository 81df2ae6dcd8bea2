#!/usr/bin/env bash
# Have the programs of a real Kubernetes node on this machine, for the tests: install what Debian packages, and compile
# what it has as source only. Prints the folder of what was compiled; at once where that was done before.
#   tools/kubernetes.sh [--background]     in the background: at low priority, for whoever calls it again to wait for
# Needs root and Debian 12. It takes five minutes of one core, and is done once for a machine.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=1.20.2 # what Debian 12 has
build=2        # to be raised when it is compiled in another way
packages=(debootstrap etcd-server containerd runc containernetworking-plugins conntrack ebtables socat iptables iproute2 openssl docker-registry nginx-light)
client=kubernetes-client # for its kubectl, where there is none
compilers=(golang-go gcc libc6-dev dpkg-dev golang-github-modern-go-reflect2-dev)
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)

cache=${XDG_CACHE_HOME:-$HOME/.cache}/modelport-tests
built=$cache/kubernetes-$version-$(uname -m)-$build
mkdir -p "$cache"

if [ "${1:-}" = --background ]; then
    nice -n 15 "$0" >"$cache/kubernetes.log" 2>&1 &
    exit
fi

install_missing() {
    local missing=() package
    for package in "$@"; do
        dpkg-query --show --showformat '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# Debian's source of Kubernetes is the whole tree with all that it depends on; nothing is fetched but that.
unpack_source() {
    local mirror options tree=$1/gopath/src/k8s.io/kubernetes
    mkdir -p "$1"/lists/partial "$1"/archives/partial "$1"/cache "$1"/gopath/src/k8s.io
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | grep -m1 '/debian/\?$')
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >"$1/source.list"
    options=(-o "Dir::Etc::sourcelist=$1/source.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$1/lists"
        -o "Dir::Cache=$1/cache" -o "Dir::Cache::archives=$1/archives" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update -qq >&2
    (cd "$1" && apt-get "${options[@]}" source -qq kubernetes) >&2
    mv "$1"/kubernetes-1.20.*/ "$tree"

    # The vendored reflect2 1.0.1 crashes the API server at the first custom resource when built by Go 1.18 or later.
    rm -f "$tree"/vendor/github.com/modern-go/reflect2/*.{go,s}
    cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} "$tree/vendor/github.com/modern-go/reflect2/"
}

# The package pkg/generated/openapi is not in the source as it is shipped: it is generated from marked packages.
generate_openapi() {
    local marked
    go build -o "$1/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
    marked=$(grep -rlR --include='*.go' '+k8s:openapi-gen=' cmd pkg plugin vendor/k8s.io |
        grep -vE '_test.go|code-generator|sample-apiserver|kube-openapi|gengo|/examples?/|_examples' |
        xargs -n1 dirname | sort -u | sed 's#^#k8s.io/kubernetes/#' | paste -sd,)
    "$1/openapi-gen" --logtostderr -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -i "$marked" \
        -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi -r "$1/report"
}

compile() {
    local package flags="-s -w"
    for package in component-base/version client-go/pkg/version; do
        package=k8s.io/kubernetes/vendor/k8s.io/$package
        flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=1 -X $package.gitMinor=20"
        flags+=" -X $package.gitCommit=debian -X $package.gitTreeState=clean -X $package.buildDate=2021-01-01T00:00:00Z"
    done
    # No node of ours is a cloud's, and none has Docker for its containers: a third less to compile.
    go build -tags "providerless dockerless" -ldflags "$flags" -o "$1/" "${programs[@]/#/k8s.io/kubernetes/cmd/}"
    cc -static -Os -o "$1/pause" "$here/pause.c"
}

exec 9>"$cache/kubernetes.lock"
if ! flock --nonblock 9; then
    echo "Kubernetes is being built (see $cache/kubernetes.log); waiting for it" >&2
    flock 9
fi
install_missing "${packages[@]}"
[ -n "$(command -v kubectl)" ] || install_missing "$client"
if [ ! -d "$built" ]; then
    install_missing "${compilers[@]}"
    work=$(mktemp -d)
    trap 'chmod -R u+w "$work"; rm -rf "$work" "$built.new"' EXIT
    rm -rf "$built.new" && mkdir -p "$built.new"
    unpack_source "$work"
    cd "$work/gopath/src/k8s.io/kubernetes"
    export GO111MODULE=off GOFLAGS='' GOPATH=$work/gopath GOCACHE=$work/gocache CGO_ENABLED=0 GOPROXY=off GOGC=400
    generate_openapi "$work" >&2
    compile "$built.new" >&2
    mv "$built.new" "$built"
fi
echo "$built"
