"""How a tensor lies in memory while a program runs: feature maps in blocks of channels, with room around them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Halo", "Map"]

Halo = tuple[int, int, int, int]
"""Rows above, columns to the left, rows below, columns to the right: zeros that readers may count on."""


@dataclass(frozen=True)
class Map:
    """A batch of feature maps: image, block of channels, row, column, channel within the block.

    Sizes and distances are in floats. `block` is the vector width, or the number of channels where there are fewer;
    what fills up the last block is nothing anybody may read. Rows of a matrix are images of one pixel.
    """

    images: int
    channels: int
    height: int
    width: int
    block: int
    halo: Halo = (0, 0, 0, 0)

    @property
    def blocks(self) -> int:
        return -(-self.channels // self.block)

    @property
    def row(self) -> int:
        """From one row to the next."""
        return (self.halo[1] + self.width + self.halo[3]) * self.block

    @property
    def plane(self) -> int:
        """From one block of channels to the next."""
        return (self.halo[0] + self.height + self.halo[2]) * self.row

    @property
    def image(self) -> int:
        """From one image to the next."""
        return self.blocks * self.plane

    @property
    def size(self) -> int:
        return self.images * self.image

    @property
    def origin(self) -> int:
        """Where the first channel of the first pixel is."""
        return self.halo[0] * self.row + self.halo[1] * self.block

    def last(self, block: int) -> int:
        """Channels in a block that are not filling."""
        return min(self.block, self.channels - block * self.block)

    def filled(self, numbers: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """One number per channel up to the end of the last block: zeros where there is no channel, or no numbers."""
        whole = np.zeros(self.blocks * self.block, np.float32)
        if numbers is not None:
            whole[: numbers.size] = numbers.reshape(-1)
        return whole

    def with_halo(self, halo: Halo) -> Map:
        return replace(self, halo=halo)
