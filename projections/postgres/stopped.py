"""Why projecting stops until an operator has looked."""

from __future__ import annotations

PROMOTED = (
    "the log server was a replica until now: what its primary took last may be missing, also sends"
    " that were not archived yet; `engine repair --restored --yes` asks the chain"
)


class ProjectorStopped(Exception):
    """Projecting cannot continue; an operator has to look."""


class LogArchiveMismatch(ProjectorStopped):
    """The log and the archive do not belong together; only an operator can tell which is right."""


class Refused(ProjectorStopped):
    """An event does not continue its order: neither it nor what follows it is archived."""

    def __init__(self, position: int, reason: str, detail: str) -> None:
        super().__init__(f"position {position} of the log is refused ({reason}): {detail}")
        self.position = position
        self.reason = reason
