"""Ten thousand values of all sorts to literals and back, and a list of 50 MB: time and memory.

Both sides convert the same values in interpreters of their own that take turns. What is compared is the conversion
alone: types and classes are made before the clock starts, and each side is warm. Memory is the peak of what a fresh
process has resident, before and after.
"""

from __future__ import annotations

from measuring import FOLDER, PEAK, Child, Table, in_turns

VALUES, ROUNDS = 10_000, 7
# Times the speed of the other.
LEAST = 3.0
# A list of floats that takes 50 MB of the interpreter's memory.
NUMBERS = 50 * 2**20 // 40
# Times that on top of it.
MOST = 4.0


def test_mixed_values_convert_fast(environ: dict[str, str], table: Table) -> None:
    script = (FOLDER / "convert_values.py").read_text()
    ours, theirs = (Child(environ, script, who, str(VALUES)) for who in ("flyte_lite", "flyte"))
    in_turns([ours, theirs], ROUNDS)

    # Both have written the same, and read it again.
    assert {tuple(line[2:]) for line in ours.lines + theirs.lines} == {(str(VALUES), ours.lines[0][3])}
    for nth, what in enumerate(("encode", "decode")):
        table.ratio(f"{VALUES} mixed values: {what}", ours.column(nth), theirs.column(nth), 1 / LEAST, form="{:.0f} ms")


MEMORY = (
    PEAK
    + """
import sys
from flyte_lite._literals import from_literal, to_literal
from flyte_lite._literals.types import literal_type

of, count = literal_type(list[float]), int(sys.argv[1])
from_literal(to_literal([0.5] * 9, of), of)
# Nothing is given back before the end, so each peak is what there is by then.
peaks = [peak_kb()]
numbers = [float(number) for number in range(count)]
peaks.append(peak_kb())
literal = to_literal(numbers, of)
peaks.append(peak_kb())
again = from_literal(literal, of)
peaks.append(peak_kb())
assert again == numbers
print(*(now - before for before, now in zip(peaks, peaks[1:])))
"""
)


def test_a_long_list_takes_a_few_times_its_own_memory(environ: dict[str, str], table: Table) -> None:
    child = Child(environ, MEMORY, str(NUMBERS))
    in_turns([child], 1)

    (own, writing, reading) = map(float, child.lines[0])
    # A float is 24 bytes, for which Python takes 32, and 8 in the list.
    assert 45_000 < own < 75_000
    for what, kb in (("encode", writing), ("decode", reading)):
        table.add(
            f"list of floats, {own / 1024:.0f} MB: {what}, MB more", f"{kb / 1024:.0f}", f"{MOST * own / 1024:.0f}"
        )
        assert kb <= MOST * own
