"""The Dockerfile of a package: plain, so that every builder understands it (no BuildKit, no mounts)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from modelport.domain.environments import EnvironmentKind
from modelport.domain.errors import UserErrorException
from modelport.packages.base_images import ServerPython
from modelport.packages.plan import APP_ROOT, PACKAGE, PORT, PREFIX, USER, PackagePlan

_FROM = re.compile(r"^\s*FROM\s+(?P<what>.+?)(?:\s+AS\s+(?P<name>\S+))?\s*$", re.IGNORECASE)
_CUSTOM = "custom-base"

_INDEXES = """\
# Other indexes and certificates than the builder's own: --build-arg PIP_INDEX_URL=…, and so on.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_CERT
ARG UV_DEFAULT_INDEX=${PIP_INDEX_URL}
ARG UV_INDEX=${PIP_EXTRA_INDEX_URL}
ARG SSL_CERT_FILE=${PIP_CERT}
ENV UV_NO_CACHE=1 UV_LINK_MODE=copy"""

_COPY_PYTHON = r"""# The scoring server's Python, copied so that it can stand beside the script's own.
RUN set -eu; to={prefix}/python; mkdir -p "$to/bin" "$to/lib"; \
    program=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))'); \
    library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))'); \
    cp "$program" "$to/bin/python3"; cp -a "$library" "$to/lib/"; \
    rm -rf "$to"/lib/*/site-packages "$to"/lib/*/dist-packages "$to"/lib/*/test; \
    for file in "${{library%/*}}"/libpython*.so*; do [ ! -e "$file" ] || cp -a "$file" "$to/lib/"; done
"""

PACKAGED_BY = "packaged by Modelport."
"""In the first line."""


def render(plan: PackagePlan) -> str:
    """The text of the Dockerfile. Raises UserErrorException for a base Dockerfile without a FROM line."""
    return "\n".join([_head(plan), _arguments(plan), _base(plan), _tools(plan), _build(plan), _image(plan)])


def _head(plan: PackagePlan) -> str:
    models = ", ".join(f"{model.name}:{model.version}" for model in plan.models) or "none"
    lines = [
        f"{plan.name}, {PACKAGED_BY} Models: {models}.",
        "",
        f"    docker build -t {plan.name} .",
        f"    docker run --rm -p 6789:{PORT} {plan.name}",
        "",
        "Then http://localhost:6789/score answers. The build needs this folder, the images that ARG names, and an",
        "index of Python packages.",
        *(f"\nNote: {note}" for note in plan.notes),
    ]
    return "".join(f"# {line}".rstrip() + "\n" for text in lines for line in text.split("\n"))


def _arguments(plan: PackagePlan) -> str:
    base = plan.base
    lines = [f"ARG BASE_IMAGE={base.image}"] if base.dockerfile is None else []
    if base.server_python is not ServerPython.SHARED:
        lines.append(f"ARG TOOLS_IMAGE={base.tools_image}")
    return "".join(f"{line}\n" for line in lines)


def _base(plan: PackagePlan) -> str:
    packages = " ".join(plan.system_packages)
    return f"""{_from_base(plan)}
USER root
ARG SYSTEM_PACKAGES="{packages}"
{_install("SYSTEM_PACKAGES")}
"""


def _from_base(plan: PackagePlan) -> str:
    if plan.base.dockerfile is None:
        return "FROM ${BASE_IMAGE} AS base"
    text, name = _named(plan.base.dockerfile)
    return f"# The environment's own Dockerfile:\n{text.rstrip()}\n\n# And what stands on it:\nFROM {name} AS base"


def _named(dockerfile: str) -> tuple[str, str]:
    """The text with a name for its last stage, and the name."""
    lines = dockerfile.splitlines()
    stages = [(number, found) for number, line in enumerate(lines) if (found := _FROM.match(line))]
    if not stages:
        raise UserErrorException(
            "The base Dockerfile of the environment has no FROM line.",
            hint="environment.docker.base_dockerfile must be the text of a Dockerfile, or the path of one.",
        )
    number, last = stages[-1]
    if last["name"]:
        return dockerfile, last["name"]
    lines[number] = f"FROM {last['what']} AS {_CUSTOM}"
    return "\n".join(lines), _CUSTOM


def _tools(plan: PackagePlan) -> str:
    image = "base" if plan.base.server_python is ServerPython.SHARED else "${TOOLS_IMAGE}"
    tools = " ".join(plan.tools)
    text = f"""FROM {image} AS tools
{_INDEXES}
RUN python3 -m venv /opt/tools && /opt/tools/bin/pip install --no-cache-dir --disable-pip-version-check {tools}
"""
    if plan.base.server_python is ServerPython.COPIED:
        text += _COPY_PYTHON.format(prefix=PREFIX)
    if plan.kind is EnvironmentKind.CONDA:
        text += f"""COPY environment /tmp/environment
RUN /opt/tools/bin/python /tmp/environment/install_conda.py /tmp/environment/conda-lock.json {PREFIX}/environment
"""
    return text


def _build(plan: PackagePlan) -> str:
    return "\n".join(_build_lines(plan)) + "\n"


def _build_lines(plan: PackagePlan) -> Iterator[str]:
    yield "FROM base AS build"
    yield _INDEXES
    yield f'ARG BUILD_PACKAGES="{" ".join(plan.build_packages)}"'
    yield _install("BUILD_PACKAGES")
    yield "COPY --from=tools /opt/tools/bin/uv /usr/local/bin/uv"
    if plan.base.server_python is ServerPython.COPIED:
        yield f"COPY --from=tools {PREFIX}/python {PREFIX}/python"
    yield f"ENV UV_PYTHON_INSTALL_DIR={PREFIX}/python UV_PYTHON_DOWNLOADS={_downloads(plan)}"
    yield "COPY server /tmp/server"
    yield f"RUN uv venv --python '{_server_python(plan)}' {PREFIX}/server \\"
    yield f" && uv pip install --python {PREFIX}/server/bin/python --constraints /tmp/server/constraints.txt \\"
    yield "    /tmp/server/wheels/*.whl \\"
    yield _compile("server")
    if plan.has_environment:
        yield from _environment_lines(plan)


def _environment_lines(plan: PackagePlan) -> Iterator[str]:
    yield "COPY environment /tmp/environment"
    python = f"{PREFIX}/environment/bin/python"
    install = f"uv pip install --no-deps --python {python} --requirements requirements.txt"
    if plan.kind is EnvironmentKind.CONDA:
        yield f"COPY --from=tools {PREFIX}/environment {PREFIX}/environment"
        yield f"RUN cd /tmp/environment && {install} --break-system-packages \\"
        yield _compile("environment")
        return
    minor = ".".join(str(plan.python_version).split(".")[:2])
    yield f"RUN cd /tmp/environment && uv venv --python '{minor}' {PREFIX}/environment \\"
    yield f" && {install} \\"
    yield _compile("environment")


def _compile(environment: str) -> str:
    """Once, here: the user of the image may not write there. Packages ship some files for other Pythons: no failure."""
    folder = f"{PREFIX}/{environment}"
    return f" && {{ {folder}/bin/python -m compileall -q {folder}/lib >/dev/null || true; }}"


def _downloads(plan: PackagePlan) -> str:
    """An official image has the Python that it is named for; of another base nobody knows."""
    return "automatic" if plan.base.server_python is ServerPython.FOUND else "never"


def _server_python(plan: PackagePlan) -> str:
    return {
        ServerPython.SHARED: "python3",
        ServerPython.COPIED: f"{PREFIX}/python/bin/python3",
        ServerPython.FOUND: ">=3.11",
    }[plan.base.server_python]


def _install(argument: str) -> str:
    """Debian packages, if any are named: images of other systems then need no apt."""
    return f"""RUN if [ -n "${{{argument}}}" ]; then apt-get update \\
 && apt-get install -y --no-install-recommends ${{{argument}}} && rm -rf /var/lib/apt/lists/*; fi"""


def _image(plan: PackagePlan) -> str:
    copy_models = f"COPY --chown={USER}:{USER} azureml-models {APP_ROOT}/azureml-models\n" if plan.models else ""
    python = f"{PREFIX}/server/bin/python"
    start = json.dumps([python, "-P", "-m", "modelport_scoring.container"])
    check = json.dumps([python, "-P", "-m", "modelport_scoring.container", "--check"])
    return f"""FROM base
RUN useradd --create-home --uid {USER} --user-group modelport && install -d -o {USER} -g {USER} {APP_ROOT}
COPY --from=build {PREFIX} {PREFIX}
{_variables(plan)}WORKDIR {APP_ROOT}
EXPOSE {PORT}
HEALTHCHECK --start-period=600s CMD {check}
CMD {start}
{copy_models}COPY server/bundle.json server/service.json {PACKAGE}/
COPY --chown={USER}:{USER} azureml-app {APP_ROOT}
LABEL modelport.bundle="{plan.bundle_digest}"
USER {USER}
"""


def _variables(plan: PackagePlan) -> str:
    return "ENV " + " \\\n    ".join(f"{name}={_quoted(value)}" for name, value in image_variables(plan).items()) + "\n"


def image_variables(plan: PackagePlan) -> dict[str, str]:
    """The variables of the image: those of the environment, and the contract's, which nothing replaces (azureml-v1
    reference, 6.7)."""
    contract = {
        "AML_APP_ROOT": APP_ROOT,
        "AZUREML_ENTRY_SCRIPT": plan.entry_script,
        "AZUREML_SOURCE_DIRECTORY": plan.source_directory,
        "AZUREML_MODEL_DIR": plan.model_directory,
        "SERVICE_NAME": plan.name,
        "SERVICE_VERSION": "1.0",
        "WORKSPACE_NAME": plan.workspace,
        "WORKER_COUNT": "1",
        "WORKER_TIMEOUT": "300",
        "SCORING_TIMEOUT_MS": "3600000",
    }
    wanted = {name: value for name, value in plan.environment_variables.items() if can_be_env(name, value)}
    return wanted | {name: value for name, value in contract.items() if value is not None}


def can_be_env(name: str, value: str) -> bool:
    """Whether a Dockerfile can set it: a line cannot hold the end of one."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) is not None and not re.search(r"[\r\n\0]", value)


def _quoted(value: str) -> str:
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'
