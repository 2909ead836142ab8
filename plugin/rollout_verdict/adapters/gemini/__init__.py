"""The Gemini judge: asks the model once per measurement and returns an opinion or the gap that stands for it.

    judge      the Judge: prompt -> calls within a deadline -> reply -> opinion | gap
    chain      whom a measurement asks, and for how long
    rounds     more evidence for a model that asks for it
    tally      what the calls have used up
    call       one HTTP call through google-genai, its response classified before anything is parsed
    transport  the HTTP client beneath it
    trouble    what can go wrong, and what is done about each
    parse      reply text -> Reply, strictly
    breaker    stops asking a provider that keeps failing
    prices     what a call costs on a day
    loop       the background event loop that makes a deadline hold whatever blocks
    options    what an operator sets

Only ``call`` and ``transport`` import the SDK and its HTTP library, and only when a call is about to be made.
"""

from rollout_verdict.adapters.gemini.judge import GeminiJudge
from rollout_verdict.adapters.gemini.options import Options
from rollout_verdict.adapters.gemini.prices import Price, Prices, load_prices

__all__ = ["GeminiJudge", "Options", "Price", "Prices", "load_prices"]
