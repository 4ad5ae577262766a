"""Large bodies: decoded, and where the engine is quick scored and encoded, in a thread of their own."""

from __future__ import annotations

from inference.codecs import Decoded
from inference.decoding.numbers import NumberReader
from inference.plans import Plan
from inference.predictor import Predictor
from inference.scoring import Outcome, Scorer


class LargeBodies:
    """The work of that thread; it has a reader of its own."""

    def __init__(self, predictor: Predictor, scorer: Scorer) -> None:
        signature, engine = predictor.signature, predictor.engine
        is_read = engine.takes_matrix and NumberReader.reads(signature)
        self._reader = NumberReader(signature) if is_read else None
        self._scorer = scorer

    def decode(self, plan: Plan, body: bytes) -> Decoded:
        """As on the loop: the quick way, and the careful one where that leaves it.

        Raises:
            RequestError: the body is not what is needed.
        """
        reader = self._reader
        if reader is not None and plan.reader is not None:
            part = getattr(reader, plan.reader)(body)
            if part is not None and reader.fits(matrix := reader.matrix([part[1]])):
                return Decoded({}, part[0], matrix)
        return plan.decode(body)

    def score(self, decoded: Decoded) -> Outcome:
        return self._scorer.score([decoded])[0]
