"""Normalisation and dropout against torch's own: outputs, gradients and running statistics in float64."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from tests.conformance.judging import Function, Judged, judge

IMAGE = (3, 6, 11, 8)
LINE = (3, 6, 7)
VOLUME = (2, 4, 3, 2, 5)


class BiasedBatchNorm(torch.nn.BatchNorm2d):
    """The variance of the batch itself goes into the running one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for running, new in (
            (self.running_mean, x.mean((0, 2, 3))),
            (self.running_var, x.var((0, 2, 3), correction=0)),
        ):
            assert running is not None
            running.lerp_(new.detach(), self.momentum or 0.0)
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)


JUDGED = {
    "batch_norm": Judged("batch_norm", lambda: torch.nn.BatchNorm2d(6), IMAGE),
    "batch_norm-training": Judged("batch_norm", lambda: torch.nn.BatchNorm2d(6), IMAGE, training=True),
    "batch_norm-decay": Judged(
        "{type: batch_norm, stats_decay: 0.7, eps: 0.01, affine: false}",
        lambda: torch.nn.BatchNorm1d(5, momentum=0.3, eps=0.01, affine=False),
        (4, 5),
        training=True,
    ),
    "batch_norm-sequence": Judged("batch_norm", lambda: torch.nn.BatchNorm1d(5), (4, 5, 3), training=True),
    "batch_norm-frozen": Judged(
        "{type: batch_norm, frozen: true}", lambda: torch.nn.BatchNorm2d(6).eval().requires_grad_(False), IMAGE, True
    ),
    "layer_norm": Judged("layer_norm", lambda: torch.nn.LayerNorm(8), IMAGE),
    "layer_norm-axes": Judged(
        "{type: layer_norm, dim: [2, 3], eps: 0.1}", lambda: torch.nn.LayerNorm((11, 8), eps=0.1), IMAGE
    ),
    "layer_norm-no-bias": Judged("{type: layer_norm, bias: false}", lambda: torch.nn.LayerNorm(8, bias=False), IMAGE),
    "layer_norm-bare": Judged(
        "{type: layer_norm, elementwise_affine: false}",
        lambda: torch.nn.LayerNorm(8, elementwise_affine=False),
        IMAGE,
    ),
    "batch_norm-biased": Judged(
        "{type: batch_norm, running_var: biased, stats_decay: 0.25}",
        lambda: BiasedBatchNorm(4, momentum=0.75),
        (2, 4, 2, 1),
        True,
    ),
    "batch_norm-volume": Judged("batch_norm", lambda: torch.nn.BatchNorm3d(4), VOLUME, training=True),
    "batch_norm-far": Judged("batch_norm", lambda: torch.nn.BatchNorm1d(6), LINE, training=True, offset=1e4),
    "layer_norm-all": Judged("{type: layer_norm, dim: [1, -1]}", lambda: torch.nn.LayerNorm(LINE[1:]), LINE),
    "layer_norm-far": Judged("layer_norm", lambda: torch.nn.LayerNorm(7), LINE, offset=1e4),
    "rms_norm": Judged("rms_norm", lambda: torch.nn.RMSNorm(8, eps=1e-6), IMAGE),
    "rms_norm-axes": Judged("{type: rms_norm, dim: [-2, 3], eps: 0.1}", lambda: torch.nn.RMSNorm((11, 8), 0.1), IMAGE),
    "rms_norm-bare": Judged(
        "{type: rms_norm, elementwise_affine: false}",
        lambda: torch.nn.RMSNorm(7, eps=1e-6, elementwise_affine=False),
        LINE,
        stretch=1e-3,
    ),
    "group_norm": Judged("{type: group_norm, num_groups: 3}", lambda: torch.nn.GroupNorm(3, 6), IMAGE),
    "group_norm-one": Judged(
        "{type: group_norm, num_groups: 1, eps: 0.01}", lambda: torch.nn.GroupNorm(1, 6, 0.01), LINE
    ),
    "group_norm-each": Judged(
        "{type: group_norm, num_groups: 4, affine: false}", lambda: torch.nn.GroupNorm(4, 4, affine=False), VOLUME
    ),
    "group_norm-row": Judged("{type: group_norm, num_groups: 2}", lambda: torch.nn.GroupNorm(2, 6), (3, 6)),
    "group_norm-far": Judged("{type: group_norm, num_groups: 2}", lambda: torch.nn.GroupNorm(2, 6), IMAGE, offset=1e4),
    "instance_norm": Judged("instance_norm", lambda: torch.nn.InstanceNorm2d(6), IMAGE),
    "instance_norm-line": Judged(
        "{type: instance_norm, eps: 0.1}", lambda: torch.nn.InstanceNorm1d(6, 0.1), LINE, True
    ),
    "instance_norm-affine": Judged(
        "{type: instance_norm, affine: true}", lambda: torch.nn.InstanceNorm3d(4, affine=True), VOLUME
    ),
    "instance_norm-far": Judged("instance_norm", lambda: torch.nn.InstanceNorm1d(6), LINE, offset=1e4),
    **{
        f"local_response_norm-{size}-{len(shape)}": Judged(
            f"{{type: local_response_norm, size: {size}, alpha: 0.7, beta: 0.6, k: 1.5}}",
            partial(torch.nn.LocalResponseNorm, size, 0.7, 0.6, 1.5),
            shape,
        )
        for size, shape in ((1, IMAGE), (2, LINE), (3, IMAGE), (4, VOLUME), (5, LINE), (13, IMAGE))
    },
    "local_response_norm": Judged(
        "{type: local_response_norm, size: 5}", lambda: torch.nn.LocalResponseNorm(5), IMAGE, stretch=100
    ),
    "l2_normalize": Judged("l2_normalize", lambda: Function(F.normalize), IMAGE),
    "l2_normalize-axes": Judged(
        "{type: l2_normalize, dim: [-1, 2]}",
        lambda: Function(lambda x: F.normalize(x.flatten(2), dim=2).view_as(x)),
        IMAGE,
    ),
    "l2_normalize-eps": Judged(
        "{type: l2_normalize, dim: -1, eps: 2.5}", lambda: Function(partial(F.normalize, dim=-1, eps=2.5)), LINE
    ),
    "l2_normalize-zero": Judged(
        "{type: l2_normalize, eps: 0.5}",
        lambda: Function(partial(F.normalize, eps=0.5)),
        LINE,
        stretch=0.25,
        rounded=True,
    ),
    "dropout": Judged("{type: dropout, p: 0.4}", lambda: torch.nn.Dropout(0.4), (3, 7)),
    "dropout2d": Judged("dropout2d", torch.nn.Dropout2d, IMAGE),
    "alpha_dropout": Judged("alpha_dropout", torch.nn.AlphaDropout, LINE),
    "stochastic_depth": Judged("{type: stochastic_depth, p: 0.3}", torch.nn.Identity, LINE),
}


@pytest.mark.parametrize("name", JUDGED)
def test_layer_means_what_torch_means(name: str) -> None:
    judge(JUDGED[name])
