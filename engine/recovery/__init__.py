"""`engine repair`: finds damage of log and archive, and repairs each from the other.

`diagnosis` and `reconcile` read both stores completely. `faults` and `plan` decide the steps.
`archive_repair`, `rewrite_log` and `recreate_log` carry out one step each. The diagnosis runs again
after each step: an interrupted repair can be repeated, and a finished one has nothing to do.

Imports no command and no process. Public: what is exported here; `settle`, `chain_history` and
`replay_checks` have other commands.
"""

from engine.recovery.accept_loss import Word
from engine.recovery.apply_plan import Done, repair
from engine.recovery.diagnosis import Diagnosis, diagnose
from engine.recovery.faults import Step
from engine.recovery.plan import Plan, Words, plan
from engine.recovery.recreate_log import Repaired, rebuild_log
from engine.recovery.recreation.errors import RepairError

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
