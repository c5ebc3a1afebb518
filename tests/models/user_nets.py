"""Nets as users write them; `model.target` names them by their place in this file."""

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    def __init__(self, inputs: int, outputs: int, width: int = 5) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Bare(nn.Module):
    """Multiplies by parameters of its own, without a layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(inputs, 5))
        self.last = nn.Parameter(torch.randn(5, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.first) @ self.last


class Normalised(nn.Module):
    """Layer normalisation, a parameter of its own, tied weights, one that is frozen and one that is never used."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, 4)
        self.norm = nn.LayerNorm(4)
        self.again = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.again.weight
        self.frozen = nn.Linear(4, 4).requires_grad_(requires_grad=False)
        self.gate = nn.Parameter(torch.randn(4))
        self.unused = nn.Linear(2, 2)
        self.last = nn.Linear(4, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = self.tied(torch.relu(self.again(x))) + self.frozen(x)
        return self.last(x * torch.sigmoid(self.gate))


class BatchNormalised(nn.Module):
    """Running statistics, and a buffer that is replaced instead of changed."""

    steps: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm1d(inputs)
        self.first = nn.Linear(inputs, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, outputs)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.steps = self.steps + 1
        x = torch.relu(self.norm(self.first(self.input_norm(x))))
        return self.last(x) + 0.01 * self.steps


class Dropping(nn.Module):
    """Dropout of the rows that members may share, of an activation, and by the function."""

    def __init__(self, inputs: int, outputs: int, rate: float = 0.3) -> None:
        super().__init__()
        self.dropout = nn.Dropout(rate)
        self.first = nn.Linear(inputs, 6)
        self.last = nn.Linear(6, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(self.dropout(x)))
        x = self.dropout(x.view(-1, 2, 3)).flatten(1)
        return self.last(nn.functional.dropout(x, 0.1, self.training))


class NormalisedAndDropping(nn.Module):
    """Looks at all rows of a batch, and drops units before and behind that, where rows come in twos, too."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.3)
        self.first = nn.Linear(inputs, 6)
        self.norm = nn.BatchNorm1d(6)
        self.last = nn.Linear(6, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(self.dropout(x)))
        x = self.dropout(x.reshape(-1, 3)).reshape(-1, 6)
        return self.last(self.dropout(torch.tanh(x)))


class Branching(nn.Module):
    """A batch decides which layer it goes through: there is no way to stack that."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.one = nn.Linear(inputs, outputs)
        self.other = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.mean() > 0:
            return self.other(x)
        return self.one(x)


class Noisy(nn.Module):
    """Draws numbers of its own while it trains."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.only = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x + 0.1 * torch.randn_like(x) if self.training else x)


class Attending(nn.Module):
    """Attention over the columns: torch computes some of its operators member by member."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.read = nn.Linear(1, 4)
        self.column = nn.Parameter(torch.randn(inputs, 4))
        self.block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
        self.last = nn.Linear(4, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.block(self.read(x.unsqueeze(-1)) + self.column).mean(1))


class DroppingAttention(nn.Module):
    """Attention drops units within an operator of torch's, where nobody else's numbers come in."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.read = nn.Linear(1, 4)
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.2, batch_first=True)
        self.last = nn.Linear(4, outputs)

    def forward(self, x: Tensor) -> Tensor:
        columns = self.read(x.unsqueeze(-1))
        return self.last(self.attention(columns, columns, columns, need_weights=False)[0].mean(1))


class Recurrent(nn.Module):
    """An LSTM over the columns, which torch cannot stack."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = nn.LSTM(1, 3, batch_first=True)
        self.last = nn.Linear(3, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.net(x.unsqueeze(-1))[0][:, -1])


class Mixing(nn.Module):
    """Mixes its inputs with what it makes of them, by an operator that takes two of one type."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.only = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.lerp(x[:, : self.outputs], self.only(x), 0.5)


class MixingAlone(Mixing):
    """Likewise, in stacks of one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + 0.1 * torch.randn_like(x) if self.training else x)


class MixingSums(Mixing):
    """Likewise, but together with others it is given one type: their biases are added in float32."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.only = nn.Linear(inputs, outputs)
