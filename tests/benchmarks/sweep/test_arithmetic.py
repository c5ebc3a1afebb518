import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.sweep.arithmetic import epoch_operations, measure_peak
from benchmarks.sweep.lightning_net import make_net
from benchmarks.sweep.settings import N_COLUMNS


def test_operations_are_those_that_torch_counts():
    width, n_train, n_validation = 8, 12, 5
    net = make_net(width, 0.1)
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(n_train, N_COLUMNS)).sum().backward()
        with torch.no_grad():
            net(torch.zeros(n_validation, N_COLUMNS))
    counted = counter.get_total_flops()
    assert epoch_operations(3, width=width, n_train=n_train, n_validation=n_validation) == 3 * counted


def test_a_machine_multiplies():
    assert measure_peak() > 1e8
