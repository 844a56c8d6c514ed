"""The kinds of scenes, in one registry.

A scene is `render(random, canvas)`, which gives a clip (T, H, W, C) float32 of the canvas's size; values outside
0...1 are cut off later. More than a third of all clips have a still background before which something moves, because
most videos do. A scene may import the modules of `synthetic/` above it, and no other scene but `shapes`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from convlstm_cli.synthetic.canvas import Canvas, Clip, Random
from convlstm_cli.synthetic.scenes import (
    beads,
    bouncing,
    camera_moves,
    carried,
    cells,
    deformation,
    growth,
    lights,
    occlusion,
    parallax,
    rain,
    shapes,
    signer,
    stillness,
    traffic,
    transparency,
)


@dataclass(frozen=True)
class Scene:
    """A kind of scene."""

    doc: str
    weight: float
    """Its share of the clips, in proportion to the others'."""
    render: Callable[[Random, Canvas], Clip]
    scale: float = 2.0
    """Side of the rendering over that of the clip. Above 1, what moves by a part of a pixel is averaged as a sensor
    does; at 1 it is interpolated."""


SCENES: dict[str, Scene] = {
    "signer": Scene("a person before a still room moves arms and hands", 15, signer.render),
    "shapes": Scene("things move, turn and grow before a still background", 11, shapes.render),
    "traffic": Scene("cars on the lanes of a road under a fixed camera", 9, traffic.render),
    "stillness": Scene("next to nothing moves", 6, stillness.render, 1.0),
    "beads": Scene("small discs that tremble (Brownian motion)", 6, beads.render),
    "cells": Scene("soft bodies that crawl, change their shape and divide", 4, cells.render),
    "rain": Scene("thresholded fields that drift, grow and decay, as a radar sees rain", 17, rain.render, 1.5),
    "showers": Scene("soft lights that drift with a wind that turns, and grow and fade", 4, rain.render_showers, 1.0),
    "carried": Scene("a texture that an uneven flow carries, with growth and decay", 7, carried.render, 1.25),
    "bouncing": Scene("digits and shapes that bounce off the walls of a dark frame", 8, bouncing.render),
    "pan": Scene("the camera moves, turns and zooms", 5, camera_moves.render),
    "shake": Scene("the camera shakes", 2, camera_moves.render_shake),
    "parallax": Scene("layers at several depths pass each other", 4, parallax.render),
    "occlusion": Scene("things vanish behind others and come out again", 3, occlusion.render),
    "deformation": Scene("a picture that bends and waves", 3, deformation.render, 1.25),
    "growth": Scene("things that grow, fade and change their tone where they are", 3, growth.render),
    "transparency": Scene("glassy layers, smoke and shadows over each other", 3, transparency.render, 1.25),
    "flicker": Scene("light that wavers, is dimmed or moves over a still scene", 2, lights.render_flicker),
    "cut": Scene("light that is switched, or a scene that is replaced", 1, lights.render_cut),
}
