"""The rows of a proof: the model's own example first, drawn ones, then those that find edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inference.errors import RequestError
from inference.formats.codecs import JSON, Decoded, decode
from inference.formats.signature import Signature
from model_code.conversion.child import Task
from model_code.conversion.hints import hints_of
from model_code.conversion.loading import raw_frame
from model_code.conversion.plan import NotConvertibleError
from model_code.conversion.rows import (
    Column,
    Hints,
    Values,
    columns_of,
    drawn,
    edges,
    turns,
)
from scripts.proving.answers import Group, acceptable, decoded, part
from scripts.proving.compare import Failed
from scripts.proving.proof import RejectedError, Truth

DRAWN = 1_000
TRIED = 32
REFUSED = 20
ROUNDS = 4
FEW = 64
SEED = 20_131
EXAMPLES = ("serving_input_example.json", "input_example.json")


class RowMaker:
    """Makes the groups of rows for a candidate; ``rows_from`` says where they come from."""

    def __init__(self, task: Task, signature: Signature, truth: Truth) -> None:
        self._task = task
        self._signature = signature
        self._truth = truth
        self._example = self._find_example(Path(task.model_dir))
        drawn_from = "drawn from the signature and what the model knows of each column"
        self.rows_from = drawn_from
        if self._example is not None:
            self.rows_from = f"the input example ({self._example.rows} rows), others {drawn_from}"

    def groups(self, model: Any, points: dict[int, Any]) -> list[Group]:
        """Raises RejectedError where the model itself answers hardly any row."""
        columns = columns_of(self._task.schema, self._hints(model), points)
        plain = self._answered(columns)
        groups = [self._group("a drawn row", plain)]
        if self._example is not None:
            groups.append(Group("a row of the input example", self._example))
        groups.append(self._group("a row with values missing", self._missing(columns, plain)))
        base = {name: values[0] for name, values in plain.items()}
        for what, values in edges(columns, base).items():
            groups.append(self._group(f"a row with {what}", values))
        groups.append(self._group("a row at a tree's threshold", turns(columns, points, plain)))
        return [group for group in groups if group.rows.rows]

    def _answered(self, columns: list[Column]) -> Values:
        """Drawn rows of which the model itself answers DRAWN, and at most REFUSED not."""
        kept: Values = {column.name: [] for column in columns}
        answered = refused = 0
        problem = ""
        few = self._truth.answers(self._group("", drawn(columns, TRIED, SEED)).rows)
        # A model that takes logarithms or roots fails on half of what lies around zero.
        is_positive = sum(isinstance(answer, Failed) for answer in few) * 8 > TRIED
        for seed in range(SEED, SEED + ROUNDS):
            plain = drawn(columns, DRAWN, seed, is_positive=is_positive)
            for row, answer in enumerate(self._truth.answers(self._group("", plain).rows)):
                is_failed = isinstance(answer, Failed)
                problem = answer.error if isinstance(answer, Failed) else problem
                refused += is_failed
                if answered == DRAWN or (is_failed and refused > REFUSED):
                    continue
                answered += not is_failed
                for name, values in plain.items():
                    kept[name].append(values[row])
            if answered == DRAWN:
                return kept
        raise RejectedError(f"the model itself fails on rows like its signature's: {problem}")

    def few(self, model: Any) -> Decoded:
        """Some drawn rows, for a model that is not converted."""
        columns = columns_of(self._task.schema, self._hints(model), {})
        return decoded(self._signature, drawn(columns, FEW, SEED))

    def _group(self, what: str, values: Values) -> Group:
        kept = acceptable(self._signature, values)
        if not next(iter(kept.values())):
            return Group(what, Decoded(kept, 0))
        return Group(what, decoded(self._signature, kept))

    def _missing(self, columns: list[Column], plain: Values) -> Values:
        """Every third row with a null in the columns that take one; some model may take several."""
        made = {name: list(values[:200]) for name, values in plain.items()}
        for place, column in enumerate(columns):
            if column.is_nullable or column.kind == "number":
                cells = made[column.name]
                for row in range(place % 3, len(cells), 3):
                    cells[row] = None
        return made

    def _hints(self, model: Any) -> Hints:
        try:
            frame = raw_frame(self._task.schema, model)
        except NotConvertibleError:
            return Hints()
        return hints_of(model, frame)

    def _find_example(self, folder: Path) -> Decoded | None:
        for name in EXAMPLES:
            path = folder / name
            if not path.is_file():
                continue
            try:
                found = decode(self._signature, JSON, path.read_bytes())
            except RequestError:
                continue
            if found.rows and found.columns:
                rows = part(found, 0, min(found.rows, DRAWN))
                return decoded(self._signature, _as_sent(rows))
        return None


def _as_sent(rows: Decoded) -> Values:
    """Values as a request carries them, dates as text."""
    return {
        name: [v.isoformat() if hasattr(v, "isoformat") else v for v in values]
        for name, values in rows.columns.items()
    }
