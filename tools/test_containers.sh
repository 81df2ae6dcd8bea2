#!/usr/bin/env bash
# Run tests with real container engines. Debian's packages are installed where they are missing; base images are made of
# them, since a test machine may reach no registry of images. Needs root. MODELPORT_TEST_WITHOUT=docker,podman goes without.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
case ",${MODELPORT_TEST_WITHOUT:-}," in
*,docker,*podman,* | *,podman,*docker,*) exit ;;
esac
for pair in dockerd:docker.io debootstrap:debootstrap docker-registry:docker-registry podman:podman runc:runc buildah:buildah sshd:openssh-server; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    case " ${missing[*]} " in *" podman "*) missing+=(netavark aardvark-dns catatonit iptables) ;; esac
    apt-get update -qq
    # RUNLEVEL: what is installed is not started.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
.venv/bin/python -m pytest -q -n 2 --timeout 900 "${@:-containers}"
