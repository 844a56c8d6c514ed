"""Forecasts at the size of the source: of whole frames where they fit into memory, else of overlapping tiles.

Owns the choice of tiles (plan.py), the memory that they take (memory.py), their weights and blending (blend.py), and
their forecasts (forecast.py).

Sides are extended to a multiple of the patch size by repeating the last row and column, and cut off again. Tiles have
one size, lie on whole patches and are blended where they overlap, with weights that sum to 1.

Held in memory, beside the network and the frames that are read and forecast:

    whole       the states of the whole frame, and what computing a chunk of it takes
    in step     the states of all tiles, and what computing a chunk of one takes: `chunk` frames of every tile, in turn
    one by one  the states of one tile, and what computing a chunk of it takes: all frames of a tile, then of the next;
                their weighted sums wait in a file of 4 bytes for each value of the forecast, mapped into memory, so
                that the system can free that memory

May import the other files of forecasting/, and runs/ and everything below it."""
