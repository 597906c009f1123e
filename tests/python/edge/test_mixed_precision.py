"""Mixed precision: the layer that harms stays float, the drop holds, costs are counted, a stopped search goes on."""

import json

import numpy as np
import pytest

import miniten as mt
from miniten import nn
from miniten.edge import quantize_model, quantize_with_accuracy

RNG = np.random.default_rng(2)
X = RNG.normal(size=(128, 6)).astype("float32")


def net():
    """Layer 2 reads one channel that reaches thousands of times further than those that decide: one scale ruins them."""
    mt.manual_seed(5)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    first, second = model[0].weight.numpy().copy(), model[2].weight.numpy().copy()
    first[0] *= 5000
    second[:, 0] = 0
    model[0].load_state_dict({"weight": first, "bias": model[0].bias.numpy()})
    model[2].load_state_dict({"weight": second, "bias": model[2].bias.numpy()})
    return model.eval()


def agreement(model):
    want = net()(X).numpy().argmax(1)
    return lambda m: float((m(X).numpy().argmax(1) == want).mean())


@pytest.mark.parametrize("objective", ["latency", "size", "energy"])
def test_the_harmful_layer_stays_float(objective):
    model = net()
    score = agreement(model)
    assert score(quantize_model(model, calibration_data=X)) < 0.95
    found = quantize_with_accuracy(model, X, score, max_drop=0.03, objective=objective, precisions=("int8", "float"))
    assert found.float_score == 1 and found.score >= 0.97 and score(found.model) == found.score
    dtypes = {r.layer: r.dtype for r in found.model.report().rows}
    assert "int8" in dtypes.values()
    chosen = next(r for r in found.table if r.chosen)
    assert set(chosen.float_layers) == {n for n, t in dtypes.items() if t == "float32" and n in "0246"} and len(chosen.float_layers) < 4
    assert all(r.reason == "for the score's sake" for r in found.model.report().rows if r.layer in chosen.float_layers)
    assert "for the score's sake" in str(found.model.report()) and str(found).count(">") == 2
    if objective == "size":
        assert chosen.cost == found.model.size_bytes()


def test_int16_is_taken_where_it_costs_less_than_floats():
    model = net()
    score = agreement(model)
    found = quantize_with_accuracy(model, X, score, max_drop=0.06, objective="size")
    chosen = next(r for r in found.table if r.chosen)
    assert chosen.int16_layers and not chosen.float_layers and score(found.model) == found.score >= 0.94
    dtypes = {r.layer: r.dtype for r in found.model.report().rows if r.op == "matmul"}
    assert {n for n, t in dtypes.items() if t == "int16"} == set(chosen.int16_layers) and "int8" in dtypes.values()
    assert "int16: " in str(found) and json.loads(found.to_json())["table"][0].keys() >= {"int16_layers", "float_layers"}
    only = quantize_with_accuracy(model, X, score, max_drop=0.06, objective="latency", precisions=("int8", "int16"))
    assert only.score >= 0.94 and not any(r.float_layers for r in only.table)


def test_everything_is_integers_where_the_score_allows():
    model = net()
    found = quantize_with_accuracy(model, X, lambda m: 0.5)
    assert [r.float_layers for r in found.table if r.chosen] == [[]] and found.evaluations == 2
    np.testing.assert_array_equal(found.model(X).numpy(), quantize_model(model, calibration_data=X)(X).numpy())


def test_the_most_sensitive_layer_is_that_of_the_outputs_error():
    found = quantize_with_accuracy(net(), X, lambda m: 0.5, objective="size")
    by = {row.layer: row for row in found.layers}
    assert set(by) == {"0", "2", "4", "6"} and all(r.op == "matmul" for r in found.layers)
    assert min(by, key=lambda n: by[n].sqnr_db) in ("0", "2")
    assert by["2"].saving == by["4"].saving > by["6"].saving > 0


def test_the_pareto_table_is_right():
    table = quantize_with_accuracy(net(), X, agreement(net()), max_drop=0.03, objective="size").table
    assert [r.cost for r in table] == sorted(r.cost for r in table)
    for r in table:
        beaten = any(o.score >= r.score and o.cost <= r.cost and (o.score > r.score or o.cost < r.cost) for o in table)
        assert r.pareto == (not beaten)
    assert sum(r.is_float for r in table) == 1


def test_a_stopped_search_goes_on(tmp_path):
    journal, score, calls = tmp_path / "journal.jsonl", agreement(net()), []

    def counted(stop):
        def evaluate(m):
            if len(calls) == stop:
                raise KeyboardInterrupt
            calls.append(1)
            return score(m)

        return evaluate

    whole = quantize_with_accuracy(net(), X, score, max_drop=0.03, objective="size")
    with pytest.raises(KeyboardInterrupt):
        quantize_with_accuracy(net(), X, counted(2), max_drop=0.03, objective="size", journal=journal)
    with open(journal, "a") as f:
        f.write('{"mix": "cut o')                                   # as a crash leaves it
    resumed = quantize_with_accuracy(net(), X, counted(1000), max_drop=0.03, objective="size", journal=journal)
    assert resumed.remembered == 2 and len(calls) == whole.evaluations
    assert [(r.float_layers, r.score, r.cost) for r in resumed.table] == [(r.float_layers, r.score, r.cost) for r in whole.table]
    again = quantize_with_accuracy(net(), X, counted(0), max_drop=0.03, objective="size", journal=journal)
    assert again.evaluations == 0
    assert json.loads(again.to_json())["table"] == json.loads(resumed.to_json())["table"]
    with pytest.raises(ValueError, match="is of others"):
        quantize_with_accuracy(net(), X * 2, score, objective="size", journal=journal)


def test_refusals():
    with pytest.raises(ValueError, match="at best 0"):
        quantize_with_accuracy(net(), X, lambda m: float(not isinstance(m, mt.edge.QuantizedModel)))
    with pytest.raises(ValueError, match="latency, size or energy"):
        quantize_with_accuracy(net(), X, lambda m: 1.0, objective="beauty")
    with pytest.raises(ValueError, match="precisions among"):
        quantize_with_accuracy(net(), X, lambda m: 1.0, precisions=("int8", "int3"))
    with pytest.raises(ValueError, match="precisions int8 and"):
        quantize_with_accuracy(net(), X, lambda m: 1.0, precisions=("int16", "float"))
    with pytest.raises(ValueError, match="max_drop"):
        quantize_with_accuracy(net(), X, lambda m: 1.0, max_drop=-1)
    with pytest.raises(ValueError, match="finite score"):
        quantize_with_accuracy(net(), X, lambda m: float("nan"))
    with pytest.raises(NotImplementedError, match="mode static"):
        quantize_with_accuracy(net(), X, lambda m: 1.0, mode="dynamic")
