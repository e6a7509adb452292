"""`fleet onboard` (edge): the ten checks of two machines that met, ticked as they come."""

from typing import Any

from engine.errors import FleetError
from fleet_tui import doctor_text, plain
from fleet_tui.call import Call

# Each tick is given half a minute; silence of this length is a node that hangs.
PATIENCE_S = 90.0
# What a tick found stands behind its sign and its title.
HANG = 29


def onboard(call: Call) -> int:
    """The ten checks, ticked as they come; 1 when one that must hold does not."""
    return ticked(call, call.args.peer or "")


def ticked(call: Call, peer: str) -> int:
    """The same for whoever has just joined."""
    ticks: list[dict[str, Any]] = []
    for tick in call.node.told("/onboard", {"name": peer}, PATIENCE_S):
        if "error" in tick:
            error = tick["error"]
            raise FleetError(error["code"], error["title"], error["detail"], error["next_step"])
        if not ticks and not call.as_json:
            call.say(f"Ten checks of this machine and {tick['peer']}:")
        ticks.append(tick)
        call.row(tick, "\n".join(plain.folded(doctor_text.tick(tick), call.width, HANG)))
    failed = [one for one in ticks if one["required"] and one["health"] != "well"]
    return 1 if failed or not ticks else 0
