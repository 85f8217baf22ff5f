"""sinabs networks as its users write them, by name: (B, T, …) or flat (B·T, …)."""

import sinabs.layers as sl
import torch
from module_runs import SAMPLES, Case
from sinabs.activation import MembraneReset, MultiSpike, SingleSpike
from sinabs.from_torch import from_model
from torch import nn


def flat(kind, **options):
    return kind(batch_size=SAMPLES, **options)


class Merged(nn.Module):
    """Two branches whose spikes meet, a readout that forward averages over time."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(20, 12), nn.Linear(20, 12), nn.Linear(12, 6)
        self.a, self.b, self.c = sl.IAF(spike_fn=SingleSpike), sl.LIF(tau_mem=8.0), sl.IAF()
        self.merge = sl.Merge()

    def forward(self, x):
        both = self.merge(self.a(self.fc1(x)), self.b(self.fc2(x)))
        return self.c(self.fc3(both)).mean(1)


class Rearranged(nn.Module):
    """Convolutions on [B·T, …] between layers on [B, T, …]."""

    def __init__(self):
        super().__init__()
        self.down = sl.FlattenTime()
        self.conv = nn.Conv2d(2, 4, 3)
        self.spike1 = flat(sl.IAFSqueeze)
        self.up = sl.UnflattenTime(batch_size=SAMPLES)
        self.fc = nn.Linear(144, 8)
        self.spike2 = sl.LIF(tau_mem=5.0)

    def forward(self, x):
        spikes = self.up(self.spike1(self.conv(self.down(x))))
        return self.spike2(self.fc(spikes.flatten(2)))


def converted():
    """What `from_model` makes of an ANN."""
    ann = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(64, 10), nn.ReLU(),
    )  # fmt: skip
    return from_model(ann, input_shape=(2, 8, 8), batch_size=SAMPLES).spiking_model


NETWORKS = {
    "tutorial_cnn": Case(
        lambda: nn.Sequential(
            nn.Conv2d(2, 6, 3, bias=False), flat(sl.IAFSqueeze), sl.SumPool2d(2), nn.Flatten(),
            nn.Linear(54, 10), flat(sl.IAFSqueeze),
        ),
        (2, 8, 8), "flat",
    ),
    "converted_ann": Case(converted, (2, 8, 8), "flat"),
    "iaf": Case(
        lambda: nn.Sequential(nn.Linear(20, 16), sl.IAF(), nn.Linear(16, 8), sl.IAF()),
        (20,), "batch-first",
    ),
    "lif_normed": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 16), sl.LIF(tau_mem=10.0), nn.Linear(16, 8), sl.LIF(tau_mem=20.0)
        ),
        (20,), "batch-first",
    ),
    "lif_plain": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 16), sl.LIF(tau_mem=torch.linspace(2, 30, 16), norm_input=False)
        ),
        (20,), "batch-first",
    ),
    "synaptic": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 16), sl.LIF(tau_mem=10.0, tau_syn=5.0),
            nn.Linear(16, 8), sl.LIF(tau_mem=6.0, tau_syn=3.0, norm_input=False),
        ),
        (20,), "batch-first",
    ),
    "synaptic_iaf": Case(
        lambda: nn.Sequential(nn.Linear(20, 16), sl.IAF(tau_syn=4.0)), (20,), "batch-first"
    ),
    "single_spike_floor": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 16), sl.IAF(spike_fn=SingleSpike, min_v_mem=-1.0),
            nn.Linear(16, 8), sl.IAF(spike_fn=MultiSpike, min_v_mem=-0.5),
        ),
        (20,), "batch-first",
    ),
    "resets_to_zero": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 16),
            sl.LIF(tau_mem=10.0, spike_fn=SingleSpike, reset_fn=MembraneReset()),
        ),
        (20,), "batch-first",
    ),
    "counts_and_resets_to_zero": Case(
        lambda: nn.Sequential(nn.Linear(20, 16), sl.IAF(reset_fn=MembraneReset())),
        (20,), "batch-first", refused="E2122",
    ),
    "thresholds": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 16),
            sl.LIF(tau_mem=9.0, spike_threshold=torch.linspace(0.4, 1.5, 16), train_alphas=True),
        ),
        (20,), "batch-first",
    ),
    "recurrent": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 14, bias=False),
            sl.LIFRecurrent(
                tau_mem=10.0, rec_connect=nn.Linear(14, 14, bias=False), spike_fn=SingleSpike
            ),
            nn.Linear(14, 8), sl.IAF(),
        ),
        (20,), "batch-first",
    ),
    "recurrent_counts": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 14, bias=False),
            sl.IAFRecurrent(rec_connect=nn.Linear(14, 14, bias=False)),
        ),
        (20,), "batch-first",
    ),
    "recurrent_bias": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 14),
            sl.LIFRecurrent(tau_mem=10.0, rec_connect=nn.Sequential(nn.Linear(14, 14))),
        ),
        (20,), "batch-first", refused="E2133",
    ),
    "repeated": Case(
        lambda: nn.Sequential(
            sl.Repeat(nn.Conv2d(2, 4, 3)), sl.LIF(tau_mem=12.0), sl.Repeat(nn.AvgPool2d(2)),
            nn.Flatten(2), nn.Linear(36, 8), sl.IAF(),
        ),
        (2, 8, 8), "batch-first",
    ),
    "leaky_readout": Case(
        lambda: nn.Sequential(
            nn.Linear(20, 16), sl.IAF(), nn.Linear(16, 5), sl.ExpLeak(tau_mem=10.0)
        ),
        (20,), "batch-first", refused="E2102",
    ),
    "rearranged": Case(Rearranged, (2, 8, 8), "batch-first"),
    "merged": Case(Merged, (20,), "batch-first", decodes=True),
}  # fmt: skip
