"""Turns a diagnosis into a plan, and lists the options that an operator has to give.

Rule of this file: pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.recovery.accept_loss import Word
from engine.recovery.diagnosis import Diagnosis
from engine.recovery.faults import (
    Fault,
    Step,
    all_faults,
    archived_losses,
    checkpoint_fault,
    of_order,
    recreation_faults,
    unarchived_losses,
)
from events.log import other_chain

COMMAND = "engine repair"


class Words(NamedTuple):
    """The options that an operator has given on the command line."""

    restored: bool = False
    """Log and archive are restored backups."""
    drop_after: int | None = None
    """Rows of the archive after this position may be deleted."""
    accept_loss: bool = False
    """Events without any copy may stay lost."""
    word: Word = Word()
    """The person who accepts the loss."""


class Plan(NamedTuple):
    """The faults and the steps of a repair."""

    faults: list[Fault]
    steps: list[Step]
    lost: list[str]
    """Losses that no step restores, as text."""
    command: str
    """The command that carries it out; empty where no step is needed."""
    refused: str
    """The reason that no step runs without a further option; empty: none is missing."""
    drop_after: int | None
    archive_until: int
    """The position that the archive has to reach."""
    checkpoint: bool
    """Whether the checkpoint has to be written."""

    @property
    def why(self) -> str:
        """The faults, in one line; empty: none."""
        more = f" (and {len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
        return self.faults[0].text + more if self.faults else ""

    @property
    def does(self) -> list[str]:
        """The steps, as text."""
        lines = []
        for step in self.steps:
            details = dict.fromkeys(f.does for f in self.faults if f.step is step and f.does)
            lines.append(": ".join([step.value, *(["; ".join(details)] if details else [])]))
        return lines


def plan(diagnosis: Diagnosis, chain: str, words: Words) -> Plan:
    """Returns the plan. `chain` is the chain of the settings; empty: they name none."""
    proof = diagnosis.proof
    recreates = any(recreation_faults(diagnosis, restored=words.restored))
    until = _archive_end(diagnosis, recreates=recreates)
    faults = all_faults(diagnosis, chain, until, restored=words.restored)
    steps = _steps(diagnosis, faults)
    drop_after = proof.proved_end if diagnosis.archived_end > proof.proved_end else None
    command = _command(diagnosis, words, drop_after) if steps else ""
    return Plan(
        faults=faults,
        steps=steps,
        lost=[
            f"position {lost.position}{of_order(lost.order_id)}: {lost.detail}"
            for lost in proof.gone
        ],
        command=command,
        refused=_other_chain(diagnosis, chain, recreating=recreates)
        or _refused(diagnosis, words, drop_after, command, steps),
        drop_after=drop_after,
        archive_until=until,
        checkpoint=bool(checkpoint_fault(diagnosis, until)) or drop_after is not None,
    )


def _archive_end(diagnosis: Diagnosis, *, recreates: bool) -> int:
    """The position that the archive has to reach."""
    proof = diagnosis.proof
    whole = recreates and diagnosis.same
    end = proof.proved_end if whole else min(proof.proved_end, diagnosis.archived_end)
    return min([end, *(lost.position - 1 for lost in unarchived_losses(diagnosis))])


def _steps(diagnosis: Diagnosis, faults: Sequence[Fault]) -> list[Step]:
    """The steps that repair the faults, in their order."""
    steps = sorted({f.step for f in faults if f.step is not None}, key=list(Step).index)
    if Step.REBUILD_LOG in steps and Step.REWRITE in steps:
        steps.remove(Step.REWRITE)
    if archived_losses(diagnosis):
        # The head or row of an order that lacks events would be an old one.
        steps = [step for step in steps if step not in (Step.REBUILD, Step.REWRITE)]
    return steps


def _command(diagnosis: Diagnosis, words: Words, drop_after: int | None) -> str:
    """The command with all options that the plan needs."""
    loses = unarchived_losses(diagnosis) or archived_losses(diagnosis)
    agreements = [
        *(["--restored"] if words.restored or diagnosis.promoted else []),
        *([f"--drop-after {drop_after}"] if drop_after is not None else []),
        *(["--accept-loss"] if loses else []),
    ]
    return " ".join([COMMAND, *agreements, "--yes"])


def _refused(
    diagnosis: Diagnosis, words: Words, drop_after: int | None, command: str, steps: Sequence[Step]
) -> str:
    if words.drop_after is not None and words.drop_after != drop_after:
        where = f"after position {drop_after} only" if drop_after is not None else "nowhere"
        return f"rows that the log never vouched for stand {where}"
    if drop_after is not None and words.drop_after is None:
        return f"rows of the archive would be deleted; if they may be: {command}"
    if unarchived_losses(diagnosis) and not words.accept_loss:
        return f"events are lost for good; if the engine is to continue without them: {command}"
    if steps[:1] == [Step.ACCEPT] and not words.accept_loss:  # what comes before it may be done
        return (
            "events are lost for good: restore their rows from a backup; or, if the engine is to"
            f" continue without them: {command}"
        )
    if diagnosis.promoted and not words.restored:
        return f"the chain has to be asked: {command}"
    return ""


def _other_chain(diagnosis: Diagnosis, chain: str, *, recreating: bool) -> str:
    """The reason to change nothing: the chain of the settings would report no executions for the
    orders of another chain.
    """
    named = {"log": diagnosis.meta.chain, "archive": diagnosis.archive_chain}
    others = [what for what, theirs in named.items() if chain and theirs not in ("", chain)]
    if not others or (diagnosis.common and len(others) == 1 and not recreating):
        return ""
    return other_chain(others[-1], named[others[-1]])
