"""One question to the solver: the variables of a request and what is always true of them."""

from __future__ import annotations

from leastwise.iam.reasoning.terms import TRUE


class Script:
    """Declarations and facts, in the order in which they were needed.

    Args of a question go in as separate goals, so that several can be asked about the same variables.
    """

    def __init__(self) -> None:
        self._sorts: dict[str, str] = {}
        self._facts: list[str] = []
        self._free = 0
        self.loose: list[str] = []
        """What stands for something that could not be expressed: the request space is larger than it really is. A
        proof stays a proof; an example may be none."""
        self.bounded: list[str] = []
        """Where the request space is smaller than it really is: a proof would be none."""

    def declare(self, name: str, sort: str) -> str:
        """A variable; the same one when it is asked for again."""
        self._sorts.setdefault(name, sort)
        return name

    def fact(self, term: str) -> None:
        """Something that is true of every request."""
        if term != TRUE:
            self._facts.append(term)

    def unconstrained(self, reason: str) -> str:
        """A truth value that nothing is known about, in the place of what cannot be expressed.

        INVARIANT: every real request is among the assignments, so "no such request" stays true.
        """
        self._free += 1
        self.loose.append(reason)
        return self.declare(f"free{self._free}", "Bool")

    def __contains__(self, name: str) -> bool:
        return name in self._sorts

    def text(self) -> str:
        lines = ["(set-logic ALL)"]
        lines += [f"(declare-const {name} {sort})" for name, sort in self._sorts.items()]
        lines += [f"(assert {fact})" for fact in self._facts]
        return "\n".join(lines) + "\n"
