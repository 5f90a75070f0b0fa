"""Bound what a pickle asks for, by its opcodes, before any of them is run.

A few bytes can ask for gigabytes: a place of the memo is allocated with all places before it, and a
tuple of two tuples of two tuples ... is hashed element by element.
"""

import pickletools
from typing import IO, Any

MOST_OPCODES = 1_000_000  # an optimizer's state for 10,000 parameters has a fifth of that
MOST_ELEMENTS = 4 * MOST_OPCODES  # of one value, what it holds several times counted each time

MARK = -1
PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))


class TooMuch(ValueError):
    """A pickle that asks for more than the limits."""


def check(file: IO[bytes], size: int) -> None:
    """Read the opcodes of one pickle, up to its STOP.

    size: bytes that are left in the file.
    Raises TooMuch where the pickle breaks a limit, ValueError where it is damaged.
    """
    stack: list[int] = []
    memo: dict[int, int] = {}
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        name, number = opcode.name, argument if isinstance(argument, int) else 0
        if count >= MOST_OPCODES:
            raise TooMuch(f"more than {MOST_OPCODES} opcodes")
        if name == "LONG4" or (name == "FRAME" and number > size):
            raise TooMuch(f"an opcode {name} of {number if name == 'FRAME' else 'any length'}")
        if name in PUTS:
            _put(memo, len(memo) if name == "MEMOIZE" else number, stack)
        elif name in GETS:
            stack.append(memo.get(number, 1))
        else:
            _apply(opcode, stack)


def _put(memo: dict[int, int], place: int, stack: list[int]) -> None:
    if place > MOST_OPCODES:
        raise TooMuch(f"place {place} of the memo")
    memo[place] = stack[-1] if stack else 1


def _apply(opcode: Any, stack: list[int]) -> None:
    """Replace what an opcode takes from the stack by what it leaves: numbers of elements."""
    if opcode.name == "MARK":
        stack.append(MARK)
        return
    before, after = opcode.stack_before, opcode.stack_after
    elements = 1
    if pickletools.markobject in before:
        while stack and (top := stack.pop()) != MARK:
            elements += top
        before = before[: before.index(pickletools.markobject)]
    for _ in before:
        elements += abs(stack.pop()) if stack else 0
    if elements > MOST_ELEMENTS:
        raise TooMuch(f"a value of more than {MOST_ELEMENTS} elements")
    stack.extend([elements] * len(after))
