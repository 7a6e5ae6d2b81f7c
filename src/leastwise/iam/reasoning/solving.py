"""cvc5, as narrowly as it is needed: one script, then goals one after the other.

`Cvc5Session` runs it in this process (tests, and the worker). The platform uses `ChildSolver` in `child.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from leastwise.iam.reasoning.readings import Value


class Answer(StrEnum):
    """What a solver says."""

    SATISFIABLE = "sat"
    UNSATISFIABLE = "unsat"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, and for SATISFIABLE what the solver chose for every variable."""

    answer: Answer
    model: Mapping[str, Value] = field(default_factory=dict)


class Solver(Protocol):
    """Answers questions about one script."""

    def load(self, script: str) -> None:
        """Declarations and facts in SMT-LIB 2.6. Once, before the first goal."""
        ...

    def ask(self, goals: Sequence[str], *, timeout_ms: int) -> Reply:
        """Can all of these terms be true at once? UNKNOWN also when the time or the memory did not suffice."""
        ...


class Cvc5Session:
    """cvc5 in this process. SECURITY: native code; the platform keeps it in a child process (`child.py`)."""

    def __init__(self) -> None:
        import cvc5  # type: ignore[import-untyped]  # noqa: PLC0415 - 46 MB that only reasoning needs

        self._cvc5: Any = cvc5
        self._solver = cvc5.Solver(cvc5.TermManager())
        self._symbols = cvc5.SymbolManager(self._solver.getTermManager())
        for option, value in (("produce-models", "true"), ("strings-exp", "true"), ("incremental", "true")):
            self._solver.setOption(option, value)

    def load(self, script: str) -> None:
        self._run(script)

    def ask(self, goals: Sequence[str], *, timeout_ms: int) -> Reply:
        self._solver.setOption("tlimit-per", str(timeout_ms))
        self._solver.push()
        try:
            self._run("".join(f"(assert {goal})\n" for goal in goals))
            result = self._solver.checkSat()
            if result.isUnsat():
                return Reply(answer=Answer.UNSATISFIABLE)
            if not result.isSat():
                return Reply(answer=Answer.UNKNOWN)
            return Reply(answer=Answer.SATISFIABLE, model=self._model())
        finally:
            self._solver.pop()

    def _run(self, text: str) -> None:
        parser = self._cvc5.InputParser(self._solver, self._symbols)
        parser.setStringInput(self._cvc5.InputLanguage.SMT_LIB_2_6, text, "question")
        while not (command := parser.nextCommand()).isNull():
            command.invoke(self._solver, self._symbols)

    def _model(self) -> dict[str, Value]:
        model: dict[str, Value] = {}
        for term in self._symbols.getDeclaredTerms():
            value = self._solver.getValue(term)
            if value.isStringValue():
                model[term.getSymbol()] = value.getStringValue()
            elif value.isBooleanValue():
                model[term.getSymbol()] = value.getBooleanValue()
            else:
                model[term.getSymbol()] = int(value.getIntegerValue())
        return model
