from statistics import median
from uuid import UUID

import numpy as np

from iris_pipelines.simulator.draws import Draws, lognormal_table


def test_a_key_gives_the_same_numbers_on_every_machine() -> None:
    draws = Draws(1, 2, 3)
    assert draws.words(3).tolist() == [12368030237656201616, 2047858591075935483, 9435677134316251571]
    assert draws.lognormal(lognormal_table(100, 1), 3).round(6).tolist() == [69.189506, 171.135056, 94.99736]


def test_each_key_has_numbers_of_its_own() -> None:
    keys = [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 2)]
    assert len({int(Draws(*key).words(1)[0]) for key in keys}) == len(keys)


def test_picks_follow_their_weights() -> None:
    picked = np.bincount(Draws(1).pick((1, 3, 0, 6), 100_000))
    assert picked[2] == 0
    assert np.allclose(picked / 100_000, (0.1, 0.3, 0, 0.6), atol=0.01)


def test_a_lognormal_has_its_median_and_spread() -> None:
    values = Draws(1).lognormal(lognormal_table(1000, 0.5), 100_000)
    assert abs(median(values) - 1000) < 15
    assert abs(float(np.log(values).std()) - 0.5) < 0.01


def test_rounded_keeps_the_mean() -> None:
    draws = Draws(1)
    counts = [draws.rounded(2.25) for _ in range(10_000)]
    assert set(counts) == {2, 3}
    assert abs(sum(counts) / 10_000 - 2.25) < 0.02


def test_ids_are_distinct_version_4_uuids() -> None:
    ids = Draws(1).uuids(1_000).to_pylist()
    parsed = [UUID(each) for each in ids]
    assert len(set(parsed)) == 1_000
    assert {(each.version, each.variant) for each in parsed} == {(4, "specified in RFC 4122")}
    assert [str(each) for each in parsed] == ids
