from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.data.binder import Binder
from edgeopt.data.calls import as_call
from edgeopt.data.dataset import Dataset
from edgeopt.errors import CalibrationError, InputError
from edgeopt.pruning.importance import consumer_inputs, score_sites
from edgeopt.pruning.sites import find_sites


def pruned(net, example, data, **options):
    options = {"calibration_data": data, **options}
    if not {"ratio", "macs", "parameters", "size_bytes", "latency_ms"} & set(options):
        options["ratio"] = 0.3
    return edgeopt.prune(net, example, **options)


def test_the_result_is_smaller_and_the_users_model_is_untouched(net, example, data):
    before = copy.deepcopy(net.state_dict())
    result = pruned(net, example, data)
    assert result.module(example).shape == (1, 5)
    assert result.report.macs[1] < result.report.macs[0]
    assert result.report.parameters[1] == sum(p.numel() for p in result.module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_depthwise_and_residual_widths_go_together(net, example, data):
    module = pruned(net, example, data, ratio=0.5, scope="layer").module
    block = module.blocks[0]
    assert block.depthwise.groups == block.expand.out_channels == block.project.in_channels == 16
    assert module.stem.out_channels == module.blocks[1].project.out_channels == 8
    assert module.hidden.in_features == 8 * 4


def test_dead_channels_go_first_and_change_nothing(net, example, data):
    with torch.no_grad():
        net.hidden.weight[:12] = 0
        net.hidden.bias[:12] = 0
    result = pruned(net, example, data, ratio={"hidden": 0.5})
    assert result.module.hidden.out_features == 12
    torch.testing.assert_close(result.module(example), net(example))


def test_activation_importance_is_the_sum_of_absolute_products(net, example, data):
    samples = Dataset.read(data, Binder.of_example(example, net), limit=6, whole=True)
    got = consumer_inputs(net, find_sites(net, as_call(example)), samples)
    taken = [net.pool(net.blocks(net.stem(x).relu())).flatten(1) for x in data]
    want = sum((net.hidden.weight * x).abs().sum(0) for x in taken)
    torch.testing.assert_close(got["hidden"], want.detach())


def test_activation_importance_counts_padding_and_stride():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False))
    x = torch.randn(1, 2, 5, 5)
    samples = Dataset.read([x], Binder.of_example(x, model), limit=1, whole=True)
    got = consumer_inputs(model, find_sites(model, as_call(x)), samples)["1"]
    held = model[0](x)
    columns = torch.nn.functional.unfold(held, 3, padding=1, stride=2)[0]
    want = (model[1].weight.reshape(4, 27, 1) * columns).abs().sum((0, 2)).reshape(3, 9).sum(1)
    torch.testing.assert_close(got, want.detach())


@pytest.mark.parametrize("importance", ["activation", "l1", "l2", "taylor", "bn_scale", "random"])
def test_every_importance_prunes(net, example, data, importance):
    def loss(model, item):
        return model(item).square().sum()

    result = pruned(net, example, data, importance=importance, loss=loss)
    assert result.report.importance == importance
    assert result.report.parameters[1] < result.report.parameters[0]
    assert result.module(example).shape == (1, 5)


@pytest.mark.parametrize("goal", [{"macs": 0.5}, {"parameters": 0.6}, {"size_bytes": 8000}])
def test_a_budget_is_met_and_not_by_far_missed(net, example, data, goal):
    report = pruned(net, example, data, **goal).report
    ((kind, value),) = goal.items()
    before, after = report.macs if kind == "macs" else report.parameters
    limit = value / 4 if kind == "size_bytes" else value * before
    assert 0.75 * limit <= after <= limit


def test_a_latency_budget_is_an_estimate_on_the_target(net, example, data):
    first = pruned(net, example, data, target="rpi4", ratio=0.01).report.estimated_ms[0]
    report = pruned(net, example, data, target="rpi4", latency_ms=0.7 * first, multiple=1).report
    assert report.estimated_ms[1] <= 0.7 * first


def test_widths_keep_to_the_targets_multiple(net, example, data):
    result = pruned(net, example, data, ratio=0.4, target="rpi4")
    assert result.report.multiple == 8
    widths = [layer.after for layer in result.report.layers if not layer.reason]
    assert widths
    assert not any(width % 8 for width in widths)


def test_kept_layers_are_kept(net, example, data):
    result = pruned(net, example, data, keep=["blocks.0"], ratio=0.5, scope="layer")
    assert result.module.blocks[0].expand.out_channels == 32
    assert result.module.blocks[1].expand.out_channels == 16


def test_sensitive_layers_are_kept(net, example, data):
    with torch.no_grad():
        net.blocks[0].project.weight.mul_(1e-4)
    result = pruned(net, example, data, sensitivity=1e-3, scope="layer", ratio=0.5)
    reasons = {layer.name: layer.reason for layer in result.report.layers}
    assert reasons["blocks.0.expand"] == ""
    assert "sensitive" in reasons["stem"]
    assert result.module.stem.out_channels == 16


def test_steps_call_the_users_training_between(net, example, data):
    seen = []

    def finetune(model, step):
        assert model.training
        seen.append((step, model.hidden.out_features))

    result = pruned(net, example, data, ratio=0.5, scope="layer", steps=2, finetune=finetune)
    assert seen == [(1, 18), (2, 12)]
    assert not result.module.training


def test_what_is_pruned_captures_and_quantizes(net, example, data):
    module = pruned(net, example, data, target="rpi4").module
    program = edgeopt.quantize(module, data, example_inputs=(example,))
    assert program.precision == "int8"


@pytest.mark.slow
def test_heads_and_neurons_of_a_transformer(make_vit):
    model = make_vit()
    x = torch.randn(1, 3, 32, 32)
    result = edgeopt.prune(model, x, ratio=0.5, scope="layer", calibration_data=[x])
    kinds = {layer.kind: layer.after for layer in result.report.layers if not layer.reason}
    assert kinds == {"heads": 2, "channels": 32}
    assert result.module(x).logits.shape == (1, 2)
    assert edgeopt.quantize(result.module, [x], example_inputs=(x,)).precision == "int8"


def test_a_mute_head_can_go_without_a_trace(make_vit):
    model = make_vit()
    attention = model.vit.layers[0].attention
    with torch.no_grad():
        attention.o_proj.weight[:, 8:16] = 0
    x = torch.randn(1, 3, 32, 32)
    name = "vit.layers.0.attention.v_proj"
    result = edgeopt.prune(model, x, ratio={name: 0.25}, calibration_data=[x])
    assert result.module.vit.layers[0].attention.num_attention_heads == 3
    torch.testing.assert_close(result.module(x).logits, model(x).logits)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"importance": "activations"}, 'did you mean "activation"'),
        ({"importance": "nonsense", "ratio": 0.2}, '"activation", "bn_scale", "l1"'),
        ({"scope": "globl"}, "global"),
        ({"ratio": 1.0}, "ratio: expected a number between 0 and 1, got 1.0"),
        ({"ratio": -1}, "between 0 and 1, got -1"),
        ({"ratio": 0.3, "macs": 0.5}, "one goal is needed"),
        ({"ratio": {"hiden": 0.5}}, "hidden"),
        ({"ratio": {"head": 0.5}}, "output of the model"),
        ({"ratio": {"pool": 0.5}}, "no channels start there"),
        ({"ratio": {"hidden": 0.99}}, "leaves it empty"),
        ({"keep": ["hiden"]}, "hidden"),
        ({"keep": ["stem", "blocks", "hidden"]}, "no layer can be pruned"),
        ({"latency_ms": 1.0}, "needs a target"),
        ({"parameters": 10}, "the nearest that can"),
        ({"importance": "taylor"}, "needs a loss"),
        ({"ratio": {"stem": 0.5, "blocks.0.project": 0.25}}, "live and go with"),
    ],
)
def test_bad_choices_are_named(net, example, data, options, said):
    with pytest.raises(InputError) as caught:
        pruned(net, example, data, **options)
    assert said in str(caught.value)


def test_missing_data_is_named(net, example):
    with pytest.raises(CalibrationError, match="real inputs are needed"):
        edgeopt.prune(net, example, ratio=0.3)
    with pytest.raises(CalibrationError, match="no sample"):
        edgeopt.prune(net, example, ratio=0.3, calibration_data=[])
    with pytest.raises(CalibrationError, match="item 0: 192 of 192 values are NaN"):
        edgeopt.prune(net, example, ratio=0.3, calibration_data=[example * float("nan")])
    with pytest.raises(CalibrationError, match="does not take it"):
        edgeopt.prune(net, example, ratio=0.3, calibration_data=[example[:, :2]])


@pytest.mark.parametrize("importance", ["activation", "l1"])
def test_importance_that_is_not_finite_names_the_layer(net, example, data, importance):
    with torch.no_grad():
        net.hidden.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"importance is not finite") as caught:
        pruned(net, example, data, importance=importance)
    assert caught.value.where


def test_scores_average_to_one(net, example, data):
    samples = Dataset.read(data, Binder.of_example(example, net), limit=6, whole=True)
    sites = [s for s in find_sites(net, as_call(example)) if not s.reason]
    for score in score_sites(net, sites, samples, "activation"):
        assert float(score.mean()) == pytest.approx(1.0, abs=1e-5)


def test_samples_are_counted_in_pictures_and_not_in_batches(net, example):
    taken = []

    def stream():
        for _ in range(10):
            taken.append(1)
            yield torch.randn(4, 3, 8, 8), torch.arange(4)

    pruned(net, example, stream(), samples=8)
    assert len(taken) == 2
