"""Planes whose memory is used again share it with nothing that is still in use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.picture.plane_pool import PlanePool


def address(plane: NDArray[np.uint8]) -> int:
    return int(plane.__array_interface__["data"][0])


def test_the_memory_of_a_plane_is_used_again_once_nothing_refers_to_it() -> None:
    pool = PlanePool()
    plane = pool.empty(20, 30)
    first = address(plane)
    view = plane[3:5, ::2].T
    del plane
    other = pool.empty(20, 30)
    assert address(other) != first, "a view still refers to it"
    view[:] = 7
    other[:] = 9
    assert (view == 7).all()
    del view
    assert address(pool.empty(30, 20)) == first


def test_a_copy_is_a_writable_contiguous_array_of_its_own() -> None:
    plane = np.arange(600, dtype=np.uint8).reshape(20, 30)
    copied = PlanePool().copy(plane[:, :20])
    np.testing.assert_array_equal(copied, plane[:, :20])
    assert copied.flags.c_contiguous
    assert copied.flags.writeable
    copied[:] = 0
    assert plane.any()


def test_a_stream_of_planes_takes_the_memory_of_those_that_are_held() -> None:
    pool, held = PlanePool(), []
    addresses = set()
    for _ in range(50):
        held.append(pool.empty(20, 30))
        addresses.add(address(held[-1]))
        del held[:-3]
    assert len(addresses) <= 5
