"""Budgets in place of sparsities, the sensitivity scan and the search: judged by sizes on disk and by what is counted."""

import json

import numpy as np
import pytest
from nets import images, small_net

import miniten as mt
from miniten import edge, nn
from miniten.edge import compress, prune_model, sensitivity_scan


def agreement(net, seed=5):
    """Share of answers that stay those of the net given."""
    x = images(64, seed)
    want = net(x).numpy().argmax(1)
    return lambda m: float((m(x).numpy().argmax(1) == want).mean())


def test_targets_are_met_by_the_least_sparsity(tmp_path):
    net = small_net()
    whole = edge.count_flops(net, (1, 1, 8, 8))["total_macs"]
    thin = prune_model(net, method="structured", target={"macs": 0.5})
    assert edge.count_flops(thin, (1, 1, 8, 8))["total_macs"] <= 0.5 * whole
    less = prune_model(net, round(thin.report().wanted - 0.01, 2), method="structured")
    assert edge.count_flops(less, (1, 1, 8, 8))["total_macs"] > 0.5 * whole
    full = prune_model(net, 0.0).size_bytes() / 1024
    for share in (0.9, 0.7):
        p = prune_model(net, target={"flash_kb": full * share})
        assert p.save(tmp_path / "p.npz") <= full * share * 1024
        assert prune_model(net, round(p.report().wanted - 0.01, 2)).size_bytes() > full * share * 1024  # a hundredth less does not meet it
    assert prune_model(net, target={"flash_kb": full * 2}).actual_sparsity() == 0
    for target, match in (
        ({"flash_kb": 0.1}, "sparsity 0.99 comes to"), ({"macs": 0.5}, "method structured"), ({"latency_ms": 1}, "method structured"), ({"macs": 1.5}, "share of macs"),
        ({}, "one target"), ({"macs": 0.5, "flash_kb": 3}, "one target"), ({"bytes": 3}, "macs, latency_ms or flash_kb"), ({"flash_kb": -1}, "above 0"),
    ):
        with pytest.raises(ValueError, match=match):
            prune_model(net, target=target, method="structured" if "macs" in target and target.get("macs") != 0.5 else "magnitude")
    with pytest.raises(ValueError, match="both"):
        prune_model(net, 0.5, target={"flash_kb": 3})


def test_the_scan_prunes_one_layer_at_a_time():
    net = small_net()
    seen = []

    def evaluate(m):
        w = {n.replace("/", "."): t.numpy() for n, t in m.state_dict().items()}
        shares = {n: round(float((a == 0).mean()), 2) for n, a in w.items() if a.ndim > 1}
        seen.append(shares)
        return 1 - sum(shares.values()) * (2 if shares.get("7.weight") else 1)

    r = sensitivity_scan(net, evaluate, [0.5, 0.25])
    assert r.base == 1 and r.sparsities == [0.25, 0.5] and len(seen) == 1 + 4 * 2
    assert all(sum(v > 0 for v in s.values()) == 1 for s in seen[1:])
    assert {row.name for row in r.rows} == {"0.weight", "3.depthwise.weight", "3.pointwise.weight", "7.weight"}
    ratios = r.ratios(0.3)
    assert ratios == {"0.weight": 0.25, "3.depthwise.weight": 0.25, "3.pointwise.weight": 0.25, "7.weight": 0.0}
    assert prune_model(net, 0.0, ratios=ratios).masks["7.weight"].numpy().all()
    groups = sensitivity_scan(net, agreement(net), [0.5], method="structured")
    assert {g.name for g in groups.rows} == {g.name for g in edge.channel_groups(net)} and "as it is: 1" in str(groups)
    edge.pruning.plot_sensitivity(r)
    with pytest.raises(ValueError, match="finite score"):
        sensitivity_scan(net, lambda m: float("nan"))
    with pytest.raises(ValueError, match="sparsity"):
        sensitivity_scan(net, evaluate, [1.0])
    with pytest.raises(TypeError, match="function"):
        sensitivity_scan(net, 3)


def test_the_search_meets_its_budget_and_goes_on_after_a_kill(tmp_path):
    net = nn.Sequential(nn.Linear(32, 48), nn.ReLU(), nn.Linear(48, 6))
    mt.manual_seed(2)
    x = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    net.eval()
    want = net(x).numpy().argmax(1)
    calls = []

    class Kill(Exception):
        pass

    def evaluate(m, limit=None):
        if limit is not None and len(calls) >= limit:
            raise Kill
        calls.append(1)
        return float((m(x).numpy().argmax(1) == want).mean())

    journal = tmp_path / "search.jsonl"
    size = net.save(tmp_path / "net.npz") / 1024
    budget = {"flash_kb": size * 0.5, "max_drop": 0.1}
    with pytest.raises(Kill):
        compress(net, [(x[:32], want[:32]), (x[32:], want[32:])], lambda m: evaluate(m, 5), budget, journal)
    with open(journal, "a") as f:
        f.write('{"key": "cut')  # as a kill leaves it
    result = compress(net, [(x[:32], want[:32]), (x[32:], want[32:])], evaluate, budget, journal)
    assert result.report.resumed == 5 and result.report.meets(result.best)
    assert {"int8", "int16x8", "int8 trained", "int8 and int16 mixed within 0.1"} <= {t.recipe for t in result.trials}
    assert len(calls) >= len(result.trials) - sum(bool(t.failed) for t in result.trials)  # a mix asks more often
    assert result.model.save(tmp_path / "small.npz") / 1024 == pytest.approx(result.best.flash_kb) and result.best.flash_kb <= size * 0.5
    assert evaluate(result.model) == result.best.score >= 0.9
    front = [result.trials[i] for i in result.report.pareto()]
    for t in front:
        assert not any(o.score >= t.score and o.flash_kb < t.flash_kb and o.ram_kb <= t.ram_kb and o.latency_ms <= t.latency_ms for o in result.trials if not o.failed)
    assert [json.loads(line)["recipe"] for line in journal.read_text().splitlines() if line.endswith("}")] == [t.recipe for t in result.trials]
    assert result.best.recipe in str(result.report)
    result.plot()
    before = len(calls)
    again = compress(net, [(x[:32], want[:32]), (x[32:], want[32:])], evaluate, budget, journal)
    assert len(calls) == before and again.best.recipe == result.best.recipe
    with pytest.raises(ValueError, match=r"cannot be met: flash_kb 0.5 \(the least was"):
        compress(net, x, evaluate, {"flash_kb": 0.5}, journal)
    for bad, match in (({}, "a budget of"), ({"max_drop": 0.1}, "a budget of"), ({"weight": 3}, "flash_kb, ram_kb"), ({"flash_kb": 0}, "above 0")):
        with pytest.raises(ValueError, match=match):
            compress(net, x, evaluate, bad)
    with pytest.raises(ValueError, match="walked again"):
        compress(net, iter([x]), evaluate, budget)


SEARCH = """
import sys
import numpy as np
import miniten as mt
from miniten import nn
from miniten.edge import compress

mt.manual_seed(2)
net = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 4)).eval()
x = np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32)
want = net(x).numpy().argmax(1)

def evaluate(m):
    print("asked", flush=True)
    return float((m(x).numpy().argmax(1) == want).mean())

found = compress(net, [(x, want)], evaluate, {"flash_kb": 100.0, "max_drop": 0.2}, sys.argv[1])
print("resumed", found.report.resumed, found.best.recipe, flush=True)
"""


def test_a_killed_search_goes_on(tmp_path):
    import signal
    import subprocess
    import sys

    command = [sys.executable, "-c", SEARCH, str(tmp_path / "journal.jsonl")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        assert first.stdout.readline() == "asked\n"
    first.send_signal(signal.SIGKILL)
    first.wait()
    known = len((tmp_path / "journal.jsonl").read_text().splitlines())
    assert first.returncode == -signal.SIGKILL and known >= 3
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert f"resumed {known} " in done.stdout
    again = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert "asked" not in again.stdout and again.stdout.split(maxsplit=2)[2] == done.stdout.splitlines()[-1].split(maxsplit=2)[2] + "\n"


def test_training_in_the_search_helps_integers():
    """A net whose first weights are badly scaled: rounding after training loses what training with the rounding keeps."""
    rng = np.random.default_rng(1)
    mt.manual_seed(4)
    net = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)).eval()
    with mt.no_grad():
        net[2].weight[...] = mt.tensor(net[2].weight.numpy() * np.where(np.arange(64) % 8 == 0, 60, 1).astype("float32"))
        net[4].weight[...] = mt.tensor(net[4].weight.numpy() / np.where(np.arange(64) % 8 == 0, 60, 1).astype("float32"))
    x = rng.standard_normal((256, 12)).astype(np.float32)
    want = net(x).numpy()

    def evaluate(m):
        return float(1 / (1 + np.sqrt(((m(x).numpy() - want) ** 2).mean()) / want.std()))

    found = compress(net, [(x[i : i + 32], want[i : i + 32]) for i in range(0, 256, 32)], evaluate, {"flash_kb": 1000.0})
    score = {t.recipe: t.score for t in found.trials}
    assert score["int8 trained"] >= score["int8"] and score["int16x8"] > score["int8"]
