"""Where the workers of a revision come from that are forked from one process (ADR 5)."""

from __future__ import annotations

import asyncio
import contextlib

from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.template import ForkedProcess, Template, TemplateEnded

TEMPLATES_END = "the process that workers are forked from ended when it was told to fork. Set worker_start to spawn"


class ForkedProcesses:
    """Workers that are forked from one template, which is started when the first one is wanted, and again when it has
    died and another one is wanted."""

    def __init__(self, launch: Launch, *, loop: asyncio.AbstractEventLoop) -> None:
        self._launch = launch
        self._loop = loop
        self._templates: list[Template] = []
        """The last one is in use; those before it are about to end."""
        self._stopped = False

    async def start(self) -> ForkedProcess:
        with contextlib.suppress(TemplateEnded):  # it may have been dead already
            return await self._fork()
        try:
            return await self._fork()
        except TemplateEnded:
            raise StartFailed(Failure(phase="start", message=TEMPLATES_END)) from None

    async def _fork(self) -> ForkedProcess:
        template = self._usable_template()
        await template.ready()
        return await template.fork()

    def _usable_template(self) -> Template:
        if self._stopped:
            raise StartFailed(Failure(phase="start", message="the revision is being ended"))
        if not self._templates or not self._templates[-1].is_usable:
            self._templates = [each for each in self._templates if not each.has_ended]
            self._templates.append(Template(self._launch, loop=self._loop))
        return self._templates[-1]

    def stop(self) -> None:
        self._stopped = True
        for template in self._templates:
            template.stop_starting()

    async def end(self) -> None:
        self.stop()
        for template in self._templates:
            await template.end()
