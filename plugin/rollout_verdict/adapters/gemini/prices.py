"""What a call costs, from a data file: prices and models turn over in weeks, code does not."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from rollout_verdict.core.values import Usage

FILE = Path(__file__).resolve().parent.parent.parent / "data" / "prices.json"


class Price(BaseModel):
    """One row: US dollars for a million tokens, valid from ``start`` to ``end`` inclusive (None is open)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    start: date | None = None
    end: date | None = None
    source: str


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    as_of: date
    unit: str
    prices: tuple[Price, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """All rows and the day they were looked up."""

    as_of: date
    rows: tuple[Price, ...]

    def on(self, model: str, day: date) -> Price | None:
        """Return the row of a model on a day, None when the price is not known."""
        for row in self.rows:
            if row.model == model and (row.start or day) <= day <= (row.end or day):
                return row
        return None

    def cost_usd(self, usage: Usage, model: str, day: date) -> float | None:
        """Return what the tokens cost: fresh input, cached input, and output with thoughts; None without a price.

        The prompt count includes cached tokens; without a price of their own they cost as much as fresh ones.
        """
        row = self.on(model, day)
        return None if row is None else _cost_usd(usage, row)

    def dearest_usd(self, usage: Usage) -> float:
        """Return what the tokens cost at the dearest price there is."""
        return max((_cost_usd(usage, row) for row in self.rows), default=0.0)


def _cost_usd(usage: Usage, row: Price) -> float:
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    fresh = usage.prompt_tokens - cached
    dollars = fresh * row.input + cached * (row.input if row.cached is None else row.cached)
    return (dollars + (usage.output_tokens + usage.thought_tokens) * row.output) / 1_000_000


def load_prices(path: Path = FILE) -> Prices:
    """Read the price file. Raises ValueError naming file and key when it is not what it should be."""
    try:
        table = _Table.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"price file {path}: {error}") from error
    return Prices(as_of=table.as_of, rows=table.prices)
