"""kill -9 at any moment: nothing lost, nothing scored twice, nothing sent twice."""

from kills import killed

KILLS, FILMS = 5, 14  # benchmarks/serve.py does it fifty times


def test_killed_again_and_again(toy, tmp_path):
    found = killed(toy, tmp_path, KILLS, FILMS, seed=1)
    assert found.kills == KILLS
    assert len(found.acknowledged) == FILMS
    assert found.scored == found.acknowledged
    assert not found.twice_scored
    assert len(found.expected) == 2 * FILMS
    assert found.results == dict.fromkeys(found.expected, 1)
