from benchmarks.sweep.commands import Found, Peer, Searched, failed_claim, ratio_claim

PEER = Peer("Another + Lightning", "another", 2)
SEARCHED = Searched(width=32, epochs=20, peer_trials=4)


def found(*seconds: float) -> list[Found]:
    return [Found(own, loss=0.25) for own in seconds]


def test_the_ratio_is_the_median_of_the_rounds_and_not_of_their_sums():
    # A slow second round slows both: the ratios are 12, 12 and 4, those of the sums and of the means are less than 10.
    claim = ratio_claim(PEER, SEARCHED, found(10, 100, 200), found(120, 1200, 800))
    assert claim.measured.startswith("1/12.0 ")
    assert claim.met


def test_a_target_that_is_missed_says_so():
    claim = ratio_claim(PEER, SEARCHED, found(10, 10), found(99, 99))
    assert (claim.target, claim.met) == ("at most 1/10", False)
    assert "1/9.9 (10 against 99 s" in claim.measured


def test_the_table_says_when_a_peer_was_measured_on_fewer_trials():
    few = ratio_claim(PEER, SEARCHED, found(10), found(120))
    all_of_them = ratio_claim(PEER, Searched(width=32, epochs=20, peer_trials=64), found(10), found(120))
    assert few.claim == f"{all_of_them.claim} (start and 4 trials measured)"


def test_a_peer_that_failed_has_its_line():
    claim = failed_claim(PEER, SEARCHED, "Traceback\n  somewhere\nModuleNotFoundError: No module named 'ray'\n")
    assert not claim.met
    assert claim.measured == "not measured: ModuleNotFoundError: No module named 'ray'"
