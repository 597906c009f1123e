"""What pruning and compression are given wrongly: a clear error, or a stated floor, never a broken net."""

import numpy as np
import pytest
from nets import images, small_net

import miniten as mt
from miniten import edge, nn
from miniten.edge import compress, knowledge_distillation, low_rank, magnitude_prune, prune_model, structured_prune, weight_sharing

METHODS = ["magnitude", "random", "lamp", "structured"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_sparsity_outside_its_range(method, sparsity):
    with pytest.raises(ValueError, match=r"sparsity in \[0, 1\)"):
        prune_model(small_net(), sparsity, method=method)
    for single in (magnitude_prune, structured_prune):
        with pytest.raises(ValueError, match=r"sparsity in \[0, 1\)"):
            single(np.ones((4, 4), "float32"), sparsity)
    with pytest.raises(ValueError, match="sparsity"):
        prune_model(small_net(), 0.5, method=method, ratios={"0": sparsity})


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(bad):
    net = small_net()
    with mt.no_grad():
        net[7].weight[0, 0] = bad
    calls = [lambda m=m: prune_model(net, 0.5, method=m) for m in METHODS] + [lambda: weight_sharing(net, 4), lambda: low_rank(net, 2), lambda: edge.quantize_model(net, calibration_data=images(4, 1))]
    for call in calls:
        with pytest.raises(ValueError, match="7"):
            call()


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_ties_give_the_zeros_asked_for(scope):
    net = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 10))
    with mt.no_grad():
        for i in (0, 2):
            net[i].weight[...] = mt.tensor(np.full(net[i].weight.shape, 0.5, "float32"))
    for sparsity in (0.25, 0.5, 0.9):
        assert prune_model(net, sparsity, scope=scope, input_shape=(1, 10)).actual_sparsity() == sparsity
    thin = prune_model(net, 0.5, method="structured", scope=scope, input_shape=(1, 10))
    assert thin.kept["0.weight"][0] == list(range(10, 20))  # of equal ones the first go


def test_no_layer_loses_all():
    net = small_net()
    thin = prune_model(net, 0.999, method="structured")
    assert all(len(indices) >= 1 for axes in thin.kept.values() for indices in axes.values()) and np.isfinite(thin(images(2, 1)).numpy()).all()
    assert all(g.channels >= 1 for g in edge.channel_groups(thin))
    zeros = prune_model(net, 0.9999)
    assert all(m.numpy().any() for m in zeros.masks.values())  # every weight keeps its greatest
    _, _, kept = structured_prune(np.ones((4, 4), "float32"), 0.99)
    assert len(kept) == 1


def test_patterns_that_match_nothing():
    net = small_net()
    for call in (lambda: prune_model(net, 0.5, skip="head*"), lambda: prune_model(net, 0.5, ratios={"head": 0.5}), lambda: prune_model(net, 0.5, method="structured", skip=["head"]),
                 lambda: weight_sharing(net, 4, skip="head"), lambda: low_rank(net, 2, skip="head"), lambda: edge.quantize_model(net, calibration_data=images(4, 1), skip=["head"])):
        with pytest.raises(ValueError, match="head"):
            call()


def test_more_clusters_than_weights():
    net = nn.Sequential(nn.Linear(3, 2))
    shared = weight_sharing(net, 100, input_shape=(1, 3))
    assert np.array_equal(dict(shared.state_dict())["0/weight"].numpy() if "0/weight" in dict(shared.state_dict()) else dict(shared.state_dict())["0.weight"].numpy(), net[0].weight.numpy())
    assert len(shared.centroids["0.weight"].numpy()) == 6
    centroids, _, cost = edge.compression.kmeans_1d(np.arange(5, dtype="float32"), 100)
    assert len(centroids.numpy()) == 5 and cost == 0
    for k in (0, -1, 65537):
        with pytest.raises(ValueError, match="num_clusters from 1 to 65536"):
            weight_sharing(net, k)


@pytest.mark.parametrize("rank", [0, -1])
def test_no_rank(rank):
    with pytest.raises(ValueError, match="rank of at least 1"):
        low_rank(small_net(), rank)
    kept, report = low_rank(small_net(), 10**6, report=True)
    assert all("needs more weights" in r.reason or r.reason for r in report.rows)
    np.testing.assert_allclose(kept(images(2, 1)).numpy(), small_net()(images(2, 1)).numpy(), atol=1e-6)


def test_classes_that_differ():
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    before = student[1].weight.numpy().copy()
    trainer = knowledge_distillation(student, small_net())
    for step in (lambda: trainer.train_step(images(2, 1), [0, 1]), lambda: trainer.fit([(images(2, 1), np.array([0, 1]))])):
        with pytest.raises(ValueError, match="same classes"):
            step()
    assert np.array_equal(before, student[1].weight.numpy())


def test_budgets_that_cannot_be_met():
    net = small_net()
    with pytest.raises(ValueError, match=r"flash_kb 0.01 \(the least was \d"):
        compress(net, images(8, 1), lambda m: 1.0, {"flash_kb": 0.01})
    with pytest.raises(ValueError, match="sparsity 0.99 comes to"):
        prune_model(net, target={"flash_kb": 0.01})
    with pytest.raises(ValueError, match="rank 1 everywhere comes to"):
        low_rank(net, budget=0.01)
