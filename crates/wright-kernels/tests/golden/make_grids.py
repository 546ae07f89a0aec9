"""Writes src/dequant/grids.bin: the points that the IQ formats choose from.

Run with `python make_grids.py` where `pip install gguf numpy` has been run (made with gguf 0.19).
For each grid in turn, little-endian u16, one for each point, holding the numbers of its steps from
the lowest bits on: IQ2_XXS (256 points of eight 2-bit numbers), IQ2_XS (512), IQ2_S (1024), IQ1_S
(2048), then IQ3_XXS (256 points of four 3-bit numbers), IQ3_S (512).
"""

from pathlib import Path

import numpy as np
from gguf import quants


def main():
    out = b""
    for name in ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ1_S", "IQ3_XXS", "IQ3_S"):
        kind = getattr(quants, name)
        kind.init_grid()
        grid = kind.grid.reshape(kind.grid_shape)
        steps = np.searchsorted(np.array(kind.grid_map), grid)
        bits = 16 // kind.grid_shape[1] if kind.grid_shape[1] == 8 else 3
        shifts = bits * np.arange(kind.grid_shape[1])
        out += (steps.astype(np.uint32) << shifts).sum(axis=1).astype("<u2").tobytes()
    assert len(out) == 2 * (256 + 512 + 1024 + 2048 + 256 + 512)
    Path(__file__).parents[2].joinpath("src/dequant/grids.bin").write_bytes(out)


main()
