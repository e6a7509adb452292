"""How much a run takes on: the whole, or a taste that only shows that everything still works."""

import msgspec


class Effort(msgspec.Struct, frozen=True):
    """`quick`: one short round instead of several long ones."""

    quick: bool = False

    def rounds(self, full: int = 5) -> range:
        """The rounds of one benchmark."""
        return range(1 if self.quick else full)

    def of(self, full: int, taste: int) -> int:
        """A number of things to do, in each of the two cases."""
        return taste if self.quick else full
