"""`engine repair`: what is wrong with log and archive, and how they heal each other.

A diagnosis reads both stores whole (`diagnosing`, `reconcile`), a plan says what is to be done
(`plan`), and each step does one thing (`archiving`, `rewriting`, `founding`). After each step all
of it is looked at again: a repair may break off anywhere, and a second one finds nothing to do.

Imports no command or server of ours. Public: what is exported here; `settle`, `chain_history` and
`replay_checks` have other commands.
"""

from engine.recovery.accepting import Word
from engine.recovery.carrying_out import Done, repair
from engine.recovery.diagnosing import Diagnosis, diagnose
from engine.recovery.founding import Repaired, RepairError, rebuild_log
from engine.recovery.plan import Plan, Step, Words, plan

__all__ = [
    "Diagnosis",
    "Done",
    "Plan",
    "RepairError",
    "Repaired",
    "Step",
    "Word",
    "Words",
    "diagnose",
    "plan",
    "rebuild_log",
    "repair",
]
