"""Reads and checks the log's meta: its epoch, position and layout."""

from __future__ import annotations

from typing import NamedTuple

from events.audit.inventory import Inventory
from events.audit.problems import LOG
from events.audit.walk import Report
from events.log import LAYOUT, UPGRADABLE_LAYOUTS


class Meta(NamedTuple):
    """The log's meta; a number is 0 where it is missing or malformed."""

    there: bool
    epoch: int
    position: int
    fields: dict[str, bytes]

    @property
    def placed(self) -> bool:
        """Whether it has a position."""
        return self.fields.get("position", b"").isdigit()

    def text(self, name: str) -> str:
        """A field as text."""
        return self.fields.get(name, b"").decode(errors="replace")


async def read_meta(inventory: Inventory, key: str, report: Report) -> Meta:
    """Reads the meta at `key`, and reports its problems."""
    fields = await inventory.meta()
    if not fields:
        detail = "there is no log"
        if kind := inventory.wrong_types.pop(key, ""):
            detail = f"there is no log: its meta is a {kind}"
        report(1, "log", detail, LOG, key)
        return Meta(False, 0, 0, {})
    numbers = dict.fromkeys(("epoch", "position", "base", "news", "aside"), 0)
    for name in numbers:
        value = fields.get(name, b"" if name in ("epoch", "position") else b"0")
        if not value.isdigit():
            shown = value.decode(errors="replace")
            report(1, "meta", f"its {name} is {shown!r}, no number", LOG, key)
        else:
            numbers[name] = int(value)
    layout = fields.get("layout", b"").decode(errors="replace")
    if layout not in (LAYOUT, *UPGRADABLE_LAYOUTS):
        report(1, "meta", f"its layout is {layout!r}, ours is {LAYOUT}", LOG, key)
    if numbers["base"] > numbers["position"]:
        detail = f"its base is {numbers['base']}, behind its position"
        report(numbers["position"] + 1, "meta", detail, LOG, key)
    return Meta(True, numbers["epoch"], numbers["position"], fields)
