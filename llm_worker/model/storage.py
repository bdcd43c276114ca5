"""How tensors are stored: plain, in 8 bits or in 4, with which scales beside them. What a file must hold, decided
from its header. PURE.

    format   who writes it    weights                      scales
    plain    everybody        BF16, F16 or F32             none
    fp8      the publisher    F8_E4M3                      one a matrix, which multiplies; one an expert where experts
                                                           are one tensor
    nvfp4    the publisher    U8, two numbers a byte       F8_E4M3 for each 16 columns, which multiplies; one a matrix,
                                                           which divides
    int8     this project     I8, also embedding and head  F32 for each row, which multiplies
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from llm_worker.model.names import Entry, Layout, Shape

Format = Literal["plain", "fp8", "nvfp4", "int8"]
PLAIN = ("BF16", "F16", "F32")
NVFP4_BLOCK = 16
"""Columns that share a scale."""


@dataclass(frozen=True, slots=True)
class Need:
    """A tensor that a file must hold."""

    name: str
    shapes: tuple[Shape, ...]
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it is in a file."""

    entry: Entry
    format: Format
    needs: tuple[Need, ...]
    """The weights first, then its scales, in the order of the table above."""
    unused: tuple[str, ...] = ()
    """May be there and is not read: scales of activations, which are not quantised here."""


def stored(entry: Entry, layout: Layout, types: Mapping[str, str]) -> Stored:
    """How a file, whose tensors have these types, holds an entry. What is not there at all is wanted plain."""
    packed = f"{entry.stem}.weight_packed"
    match types.get(entry.published):
        case "F8_E4M3" if entry.linear:
            return _fp8(entry, layout)
        case "I8" if (entry.linear or entry.table) and layout == "native":
            scale = Need(f"{entry.stem}.qscale_weight", ((entry.shape[0],),), ("F32",))
            return Stored(entry, "int8", (Need(entry.published, (entry.shape,), ("I8",)), scale))
        case None if entry.linear and layout == "native" and packed in types:
            return _nvfp4(entry, packed)
        case _:
            return Stored(entry, "plain", (Need(entry.published, (entry.shape,), PLAIN),))


def _fp8(entry: Entry, layout: Layout) -> Stored:
    weights = Need(entry.published, (entry.shape,), ("F8_E4M3",))
    one: tuple[Shape, ...] = ((), (1,))
    if layout == "native":
        scale = Need(f"{entry.stem}.qscale_weight", one, PLAIN)
        return Stored(entry, "fp8", (weights, scale), (f"{entry.stem}.qscale_act",))
    if len(entry.shape) == 3:
        scale = Need(f"{entry.published}_scale_inv", ((entry.shape[0], 1, 1),), PLAIN)
        return Stored(entry, "fp8", (weights, scale), (f"{entry.published}_activation_scale",))
    # A multiplier, for all that its name says.
    scale = Need(f"{entry.stem}.weight_scale_inv", one, PLAIN)
    return Stored(entry, "fp8", (weights, scale), (f"{entry.stem}.activation_scale",))


def _nvfp4(entry: Entry, packed: str) -> Stored:
    rows, columns = entry.shape
    needs = (
        Need(packed, ((rows, columns // 2),), ("U8",)),
        Need(f"{entry.stem}.weight_scale", ((rows, columns // NVFP4_BLOCK),), ("F8_E4M3",)),
        Need(f"{entry.stem}.weight_global_scale", ((1,),), ("F32",)),
    )
    return Stored(entry, "nvfp4", needs, (f"{entry.stem}.input_global_scale",))


def problems(need: Need, shapes: Mapping[str, Shape], types: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a tensor, a line each."""
    if need.name not in shapes:
        yield f"{need.name}: missing"
        return
    if shapes[need.name] not in need.shapes:
        wanted = " or ".join(str(list(shape)) for shape in need.shapes)
        yield f"{need.name}: is {list(shapes[need.name])}, should be {wanted}"
    if types[need.name] not in need.types:
        yield f"{need.name}: has type {types[need.name]}; valid: {', '.join(need.types)}"
