"""The figures of what a network does with images: first filters, and maps through the layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from gridfold.arrays import Array, Samples
from gridfold.data.manifest import Manifest
from gridfold.figures.pictures import (
    SIGNED,
    UNSIGNED,
    as_pictures,
    kernels_as_pictures,
    mosaic,
    show,
)
from gridfold.figures.style import BLUE, GREY, VERMILLION, WIDTH, Drawing, message, page_width
from gridfold.final.inside import Inside, LayerMaps
from gridfold.training.measures import chances_of, classes_of
from gridfold.wording import counted, listed, shorten

_COLUMNS = 16
# More filters get the answers to one sample only, so that the figure stays a page.
_MOST_WITH_ALL_SAMPLES = 32
_MOST_OUTPUTS = 10


def draw_filters(inside: Inside, features: Samples, truth: list[str]) -> Drawing:
    """Draw the first filters and what they answer to sample images.

    Parameters
    ----------
    inside : Inside
    features : array of shape (samples, height, width, channels)
        The prepared data, as read.
    truth : list of str
        What each of the shown samples truly is.
    """
    if not inside.filters.size:
        return Drawing(message(inside.filters_of), "First filters.", inside.filters_of)
    rows = inside.responses.shape[0] if inside.responses.size else 0
    if inside.filters.shape[-1] > _MOST_WITH_ALL_SAMPLES:
        rows = min(rows, 1)
    figure = _filter_grid(inside, as_pictures(features[inside.samples])[:rows], truth)
    return Drawing(figure, _filters_caption(inside, rows), _filters_alt(inside, truth[:rows]))


def _filter_grid(inside: Inside, samples: Array, truth: list[str]) -> Figure:
    """Draw blocks of columns, one for each filter: above its weights, below its answers."""
    kernels, most = kernels_as_pictures(inside.filters)
    page = page_width()
    columns = min(len(kernels), int(_COLUMNS * page / WIDTH))
    blocks, lines = -(-len(kernels) // columns), 1 + len(samples)
    margin = 1.15 if len(samples) else 0.0
    side = min((page - margin - 1.1) / columns, 0.95)
    # Not less than a title above it needs.
    width = max(columns * side + margin + 1.1, 4.0)
    height = blocks * (lines * side + 0.3) + 0.1
    figure = Figure(figsize=(width, height))
    outer = GridSpec(
        blocks,
        1,
        figure,
        left=(0.25 if len(samples) else 0.05) / width,
        right=1 - 1.05 / width,
        top=1 - 0.34 / height,
        bottom=0.06 / height,
        hspace=0.3 / (lines * side),
    )
    limits = {} if most is None else {"cmap": SIGNED, "vmin": -most, "vmax": most}
    first = bool(len(samples))
    weights = answers = None
    for block in range(blocks):
        grid = outer[block].subgridspec(lines, columns + first, wspace=0.08, hspace=0.08)
        for line, picture in enumerate(samples):
            axes = figure.add_subplot(grid[line + 1, 0])
            show(axes, picture)
            axes.set_ylabel(shorten(truth[line], 12), fontsize=8)
        for column, kernel in enumerate(kernels[block * columns :][:columns]):
            number = block * columns + column
            axes = figure.add_subplot(grid[0, column + first])
            weights = show(axes, kernel, **limits)
            axes.set_title(str(number + 1), fontsize=8, pad=3)
            for line in range(len(samples)):
                axes = figure.add_subplot(grid[line + 1, column + first])
                answer = inside.responses[line, ..., number]
                answers = show(axes, answer, **_scale(inside.responses))
    _scales(figure, weights if limits else None, answers, width, height)
    return figure


def _scale(responses: Array) -> dict[str, Any]:
    most = float(max(np.abs(responses).max(initial=0), 1e-12))
    if responses.min(initial=0) < 0:
        return {"cmap": SIGNED, "vmin": -most, "vmax": most}
    return {"cmap": UNSIGNED, "vmin": 0, "vmax": most}


def _scales(figure: Figure, weights: Any, answers: Any, width: float, height: float) -> None:
    """Draw the colour bars at the right, in inches that don't grow with the figure."""
    bars = [(text, bar) for text, bar in (("weight", weights), ("output", answers)) if bar]
    length = min(1.3, (height - 0.5) / max(len(bars), 1) - 0.35)
    for i, (text, bar) in enumerate(bars):
        bottom = height - 0.34 - length - i * (length + 0.45)
        axes = figure.add_axes((1 - 0.9 / width, bottom / height, 0.1 / width, length / height))
        drawn = figure.colorbar(bar, cax=axes)
        drawn.outline.set_linewidth(0.6)
        axes.tick_params(labelsize=7, length=2)
        axes.set_title(text, fontsize=8, loc="left", pad=4)
        axes.grid(False)


def _filters_caption(inside: Inside, samples: int) -> str:
    kind, channels = inside.filters_of, inside.filters.shape[2]
    shown = counted(inside.filters.shape[-1], "filter")
    text = f"Weights of {shown} of the first layer that looks at the image ({kind})"
    if samples:
        text += (
            ", and below each what it answers to the "
            f"{counted(samples, 'image')} at the left, before any activation that is a layer of "
            "its own; all answers on one scale"
        )
    else:
        text += ": one picture for each unit, as large as the image"
    if channels == 3:
        text += ". Colours are the weights for red, green and blue; grey is zero"
    elif channels > 1:
        text += f". Means over {channels} channels"
    return f"{text}."


def _filters_alt(inside: Inside, truth: list[str]) -> str:
    rows, columns = inside.filters.shape[:2]
    text = (
        f"{counted(inside.filters.shape[-1], 'filter')} of {rows} by {columns} weights, from "
        f"{inside.filters.min():.2g} to {inside.filters.max():.2g}."
    )
    if truth:
        text += f" Below them their answers to {listed(shorten(name, 40) for name in truth)}."
    return text


def draw_activations(
    inside: Inside, features: Samples, truth: list[str], names: list[str] | None, threshold: float
) -> Drawing:
    """Draw what becomes of sample images on their way through the layers.

    Parameters
    ----------
    inside : Inside
    features : array of shape (samples, height, width, channels)
    truth : list of str
        What each of the shown samples truly is.
    names : list of str or None
        The classes, for a problem of classes.
    threshold : float
        From which probability on a sample of a binary problem is predicted as positive.
    """
    if not inside.stages:
        text = "The model has no convolution or pooling whose maps could be shown."
        return Drawing(message(text), "Maps through the layers.", text)
    pictures = as_pictures(features[inside.samples])
    rows, columns = len(pictures), len(inside.stages) + 2
    width = page_width()
    figure = Figure(figsize=(width, 0.55 + rows * min(1.75, width / columns)), layout="constrained")
    ratios = [0.8, *[1.0] * len(inside.stages), 0.8]
    grid = figure.subplots(rows, columns, squeeze=False, width_ratios=ratios)
    for line, picture in enumerate(pictures):
        show(grid[line, 0], picture)
        grid[line, 0].set_ylabel(shorten(truth[line], 16))
        for stage, axes in zip(inside.stages, grid[line, 1:-1], strict=True):
            _draw_stage(axes, stage, line)
        _draw_output(grid[line, -1], inside.predictions[line], truth[line], names, threshold)
    size = "×".join(map(str, features.shape[1:]))
    grid[0, 0].set_title(f"input\n{size}", fontsize=8)
    for stage, axes in zip(inside.stages, grid[0, 1:-1], strict=True):
        axes.set_title(_stage_title(stage), fontsize=8)
    grid[0, -1].set_title("output", fontsize=8)
    return Drawing(
        figure, _activations_caption(inside), _activations_alt(inside, truth, names, threshold)
    )


def _draw_stage(axes: Axes, stage: LayerMaps, line: int) -> None:
    maps = stage.maps[line]
    # Maps of one stage share a scale: which filters answer at all is what there is to see.
    low, high = min(0.0, float(stage.maps.min())), max(1e-12, float(stage.maps.max()))
    show(axes, mosaic(maps), cmap=UNSIGNED, vmin=low, vmax=high)
    for side in axes.spines.values():
        side.set_visible(False)


def _stage_title(stage: LayerMaps) -> str:
    kind, _, rest = stage.name.partition(" + ")
    size = "×".join(map(str, stage.shape))
    return f"{kind}\n{f'+ {rest}, ' if rest else ''}{size}"


def _draw_output(
    axes: Axes, output: Array, truth: str, names: list[str] | None, threshold: float
) -> None:
    if names is None:
        text = "\n".join(f"{value:.4g}" for value in output[:_MOST_OUTPUTS])
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    row = output[np.newaxis]
    chances, taken = chances_of(row)[0], int(classes_of(row, threshold)[0])
    best = np.sort(np.argsort(-chances, kind="stable")[:_MOST_OUTPUTS])
    colours = [BLUE if names[i] == truth else VERMILLION if i == taken else GREY for i in best]
    axes.barh(range(len(best)), chances[best], color=colours, height=0.75)
    axes.set_yticks(range(len(best)), [shorten(names[i], 10) for i in best], fontsize=7)
    axes.set(xlim=(0, 1), xticks=[0, 1])
    axes.invert_yaxis()
    axes.tick_params(labelsize=7, length=0)
    axes.grid(False)


def _activations_caption(inside: Inside) -> str:
    text = (
        "Sample images on their way through the layers, from left to right: what the channels of "
        "each convolution answer, and what pooling leaves of it. Each stage has a scale of its own "
        "(dark is least, yellow most), which all images share."
    )
    cut = max(stage.shape[-1] for stage in inside.stages) > max(
        stage.maps.shape[-1] for stage in inside.stages
    )
    if cut:
        text += f" The first {max(s.maps.shape[-1] for s in inside.stages)} channels of each."
    return f"{text} At the right the output; blue is the true class."


def _activations_alt(
    inside: Inside, truth: list[str], names: list[str] | None, threshold: float
) -> str:
    way = listed(f"{s.name} ({'×'.join(map(str, s.shape))})" for s in inside.stages)
    text = f"{counted(len(truth), 'image')} through {way}."
    if names is not None:
        taken = classes_of(inside.predictions, threshold)
        said = [
            f"{shorten(names[code], 40)} ({chances[code]:.2f})"
            for code, chances in zip(taken, chances_of(inside.predictions), strict=True)
        ]
        pairs = zip(truth, said, strict=True)
        text += f" {'; '.join(f'{shorten(t, 40)} is taken for {s}' for t, s in pairs)}."
    return text


def truths(
    inside: Inside, targets: Array, manifest: Manifest
) -> tuple[list[str], list[str] | None]:
    """Return what the shown samples truly are, and the names of the classes if there are any."""
    values = np.asarray(targets)[inside.samples]
    if manifest.class_names is None:
        return [", ".join(f"{v:.3g}" for v in row[:3]) for row in values], None
    names = manifest.class_names
    return [names[int(code)] for code in values], names
