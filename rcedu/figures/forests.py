"""Intervals as pictures: claims with their bounds and verdicts; and scores over a number that was counted."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETLEFTBASE, CARETRIGHTBASE

from rcedu.evaluation.verdicts import FAILED, HELD, OPEN, Verdict
from rcedu.figures.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, plain_axes, whiskers

_DOT = {"markersize": 7, "markeredgewidth": 1.5}
LOOKS = {  # verdict -> marker; a second cue beside colour
    HELD: {"marker": "o", "color": BLUE, **_DOT},
    FAILED: {"marker": "X", "color": VERMILLION, **_DOT},
    OPEN: {"marker": "o", "color": GREY, "markerfacecolor": "white", **_DOT},
}
LINE = {"marker": "|", "color": "black", "markersize": 12, "markeredgewidth": 1.2}


def forest(verdicts: Sequence[Verdict]) -> Figure:
    """A line for each claim, in percentage points: a dot with its 95% interval, and a mark at the claim's bound."""
    names = [textwrap.fill(of.claim.says, 46) for of in verdicts]
    tallest = 1 + max(name.count("\n") for name in names)  # lines of a claim
    figure = Figure(figsize=(9, 1.0 + (0.1 + 0.16 * tallest) * len(names)), layout="constrained")
    axes = plain_axes(figure, xlabel="percentage points, with 95% interval", ylabel="")
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=GREY, linewidth=0.8)
    for row, of in enumerate(verdicts):
        value, low, high = (100 * x for x in of.interval)
        axes.plot([low, high], [row, row], color=LOOKS[of.verdict]["color"], linewidth=2, solid_capstyle="butt")
        axes.plot(value, row, **LOOKS[of.verdict])
        bound, towards = 100 * of.claim.bound, CARETRIGHTBASE if of.claim.above is not None else CARETLEFTBASE
        axes.plot(bound, row, **LINE)
        axes.plot(bound, row, marker=towards, color="black", markersize=5, markeredgewidth=0)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    there = {of.verdict for of in verdicts}
    handles = [Line2D([], [], linewidth=2, label=name, **look) for name, look in LOOKS.items() if name in there]
    handles.append(Line2D([], [], linestyle="", label="the claim: past this line, the arrow's way", **LINE))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    return figure


def interval_scatter(groups: Mapping[str, Sequence[tuple[float, Sequence[float]]]], *, xlabel: str, ylabel: str) -> Figure:
    """Groups of (x, (value, low, high)), with whiskers; x is at least 0, and its axis logarithmic from 1 on."""
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = plain_axes(figure, xlabel=xlabel, ylabel=ylabel)
    looks = zip("XosD^", (VERMILLION, BLUE, GREEN, ORANGE, PURPLE), strict=True)
    for (name, points), (marker, colour) in zip(groups.items(), looks, strict=False):
        look = {"fmt": marker, "color": colour, "capsize": 3, "markersize": 6}
        heights = [point for _, point in points]
        axes.errorbar([x for x, _ in points], [y for y, _, _ in heights], yerr=whiskers(heights), label=name, **look)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=-0.2)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(frameon=False)
    return figure
