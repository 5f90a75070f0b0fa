"""Names of records that answer different questions of one kind."""

from dataclasses import replace

import numpy as np

from landscape.records import SurfaceRecord, by_name
from landscape.records.variants import variant

ONE = np.zeros((1, 1))


def surface(directions, **fields):
    axis = np.zeros(1)
    return SurfaceRecord(axis, axis, ONE, ONE, directions, 0.0, **fields)


def directions(named):
    return {name: record.directions for name, record in named.items()}


def test_one_record_has_the_name_of_its_kind_whatever_its_directions():
    """As in folders of older versions."""
    assert directions(by_name({"surface": surface("trajectory")})) == {"surface": "trajectory"}


def test_the_random_plane_has_the_name_of_the_kind_whichever_was_first():
    random, way = surface("random"), surface("trajectory")
    expected = {"surface": "random", "surface-trajectory": "trajectory"}
    assert directions(by_name({"surface": random, "surface-trajectory": way})) == expected
    assert directions(by_name({"surface": way, "surface-random": random})) == expected


def test_without_a_random_plane_the_first_has_it():
    found = {"surface": surface("minima"), "surface-trajectory": surface("trajectory")}
    assert directions(by_name(found)) == {"surface": "minima", "surface-trajectory": "trajectory"}


def test_planes_of_the_users_own_differ_by_their_fingerprint():
    a, b = (surface("plane", settings={"plane": {"d1": 16 * d}}) for d in "ab")
    assert variant(a) == "plane-aaaaaaaa" != variant(b)
    assert variant(replace(a, directions="random", settings={"plane": None})) == "random"
