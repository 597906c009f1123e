"""Optimizers and schedules against torch, over 100 steps."""

import copy

import numpy as np
import pytest
from judges import judge
from parity import agree

import miniten as mt
from miniten import nn, optim

torch = judge("torch")

OPTIMIZERS = {
    "SGD": (lambda o, p: o.SGD(p, lr=0.05)),
    "SGD, momentum": (lambda o, p: o.SGD(p, lr=0.05, momentum=0.9)),
    "SGD, nesterov, decay": (lambda o, p: o.SGD(p, lr=0.02, momentum=0.8, weight_decay=0.1, nesterov=True)),
    "Adam": (lambda o, p: o.Adam(p, lr=0.05)),
    "Adam, all": (lambda o, p: o.Adam(p, lr=0.03, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1)),
    "SGD, dampening, maximize": (lambda o, p: o.SGD(p, lr=0.002, momentum=0.5, dampening=0.3, maximize=True)),
    "Adam, amsgrad": (lambda o, p: o.Adam(p, lr=0.05, amsgrad=True, weight_decay=0.05)),
    "AdamW, amsgrad": (lambda o, p: o.AdamW(p, lr=0.05, amsgrad=True)),
    "NAdam": (lambda o, p: o.NAdam(p, lr=0.02)),
    "NAdam, all": (lambda o, p: o.NAdam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1, momentum_decay=0.01, decoupled_weight_decay=True)),
    "RAdam": (lambda o, p: o.RAdam(p, lr=0.02)),
    "RAdam, all": (lambda o, p: o.RAdam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1)),
    "RMSprop": (lambda o, p: o.RMSprop(p, lr=0.005)),
    "RMSprop, all": (lambda o, p: o.RMSprop(p, lr=0.005, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=0.5, centered=True)),
    "Adagrad": (lambda o, p: o.Adagrad(p, lr=0.05)),
    "Adagrad, all": (lambda o, p: o.Adagrad(p, lr=0.05, lr_decay=0.01, weight_decay=0.1, initial_accumulator_value=0.2, eps=1e-4)),
    "AdamW": (lambda o, p: o.AdamW(p, lr=0.05)),
    "AdamW, all": (lambda o, p: o.AdamW(p, lr=0.03, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.3)),
}
A = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
B = np.random.default_rng(1).normal(size=(3, 2)).astype("float32")


def loss_of(m, w, b, x):
    return ((x @ w + b) ** 2).mean() + (w * w * w).sum() * 0.01


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trajectory_against_torch(name):
    make = OPTIMIZERS[name]
    theirs = [torch.tensor(B, requires_grad=True), torch.zeros(2, requires_grad=True), torch.ones(1, requires_grad=True)]
    ours = [mt.Parameter(np.asfortranarray(B)), mt.Parameter(np.zeros(2, "float32")), mt.Parameter([1.0])]
    their_opt, our_opt = make(torch.optim, theirs), make(optim, ours)
    for step in range(100):
        their_opt.zero_grad(), our_opt.zero_grad()
        loss_of(torch, theirs[0], theirs[1], torch.tensor(A) + step % 3).backward()
        loss_of(mt, ours[0], ours[1], mt.tensor(A) + step % 3).backward()
        their_opt.step(), our_opt.step()
        for p, q in zip(ours, theirs):
            agree(p.detach().numpy(), q.detach().numpy(), 2e-5)
    assert ours[2].item() == 1 and our_opt.steps == 100


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_optimizer_goes_on_alike(name):
    def run(p, opt, steps):
        for _ in range(steps):
            opt.zero_grad()
            loss_of(mt, p, mt.zeros(2), mt.tensor(A)).backward()
            opt.step()

    p = mt.Parameter(B.copy())
    opt = OPTIMIZERS[name](optim, [p])
    run(p, opt, 10)
    q = copy.deepcopy(p)
    again = OPTIMIZERS[name](optim, [q])
    again.lr = 7.0
    again.load_state_dict({k: v.numpy() for k, v in opt.state_dict().items()})
    assert again.lr == pytest.approx(opt.lr) and again.steps == 10
    run(p, opt, 10)
    run(q, again, 10)
    assert p.tolist() == q.tolist()


def test_wrong_optimizers_are_refused():
    p = mt.Parameter([1.0])
    for call, error, words in [
        (lambda: optim.SGD([]), ValueError, "parameter"),
        (lambda: optim.SGD([p, p]), ValueError, "once|twice"),
        (lambda: optim.SGD(p), TypeError, "iterable"),
        (lambda: optim.SGD(3), TypeError, "iterable"),
        (lambda: optim.SGD([3]), TypeError, "int"),
        (lambda: optim.SGD([{"lr": 1.0}]), ValueError, "params"),
        (lambda: optim.SGD([{"params": []}]), ValueError, "parameter"),
        (lambda: optim.SGD([{"params": [p]}, p]), TypeError, "both"),
        (lambda: optim.SGD([{"params": [p]}, {"params": [p]}]), ValueError, "once"),
        (lambda: optim.SGD([{"params": [p], "speed": 1}]), ValueError, "speed"),
        (lambda: optim.SGD([{"params": [p], "lr": -1}]), ValueError, "rate"),
        (lambda: optim.SGD([p], nesterov=True), ValueError, "momentum"),
        (lambda: optim.SGD([p], on_nonfinite="stop"), ValueError, "on_nonfinite"),
        (lambda: optim.RMSprop([p], alpha=2), ValueError, "alpha"),
        (lambda: optim.SGD([p], lr=-1), ValueError, "rate"),
        (lambda: optim.SGD([p], momentum=-1), ValueError, "momentum"),
        (lambda: optim.Adam([p], betas=(1.0, 0.9)), ValueError, "beta"),
        (lambda: optim.Adam([p], lr=float("nan")), ValueError, "rate"),
        (lambda: optim.SGD([p * 2]), ValueError, "leaf|parameter"),
        (lambda: optim.Adam([p]).load_state_dict({}), ValueError, "lr"),
        (lambda: optim.Adam([p]).load_state_dict([1]), TypeError, "dict"),
        (lambda: optim.clip_grad_norm([p], 0), ValueError, "norm"),
    ]:
        with pytest.raises(error, match=words):
            call()
    used = iter([p])
    optim.SGD(used)
    with pytest.raises(ValueError, match="parameter"):
        optim.SGD(used)


def test_closure_and_missing_gradients():
    p = mt.Parameter([1.0])
    opt = optim.SGD([p], lr=0.1)
    opt.step()
    assert p.item() == 1

    def closure():
        opt.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with mt.no_grad():
        assert opt.step(closure).item() == 1
    assert p.item() == pytest.approx(0.8)
    assert "SGD" in repr(opt)


def test_clipping_against_torch():
    arrays = [np.array([3.0, 4.0], "float32"), np.array([[12.0]], "float32")]
    for f, g, value in [(optim.clip_grad_norm, torch.nn.utils.clip_grad_norm_, 2.0), (nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_norm_, 20.0),
                        (optim.clip_grad_value, torch.nn.utils.clip_grad_value_, 3.5), (nn.utils.clip_grad_value_, torch.nn.utils.clip_grad_value_, 20.0)]:
        ours, theirs = [mt.Parameter(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
        for p, q, a in zip(ours, theirs, arrays):
            p.grad, q.grad = mt.tensor(a), torch.tensor(a)
        norm, wanted = f(ours, value), g(theirs, value)
        assert norm is None and wanted is None or norm == pytest.approx(float(wanted))
        for p, q in zip(ours, theirs):
            agree(p.grad.numpy(), q.grad.numpy())


SCHEDULES = {
    "StepLR": (lambda s, o: s.StepLR(o, 7, gamma=0.3)),
    "ExponentialLR": (lambda s, o: s.ExponentialLR(o, 0.93)),
    "CosineAnnealingLR": (lambda s, o: s.CosineAnnealingLR(o, T_max=100, eta_min=0.001)),
    "MultiStepLR": (lambda s, o: s.MultiStepLR(o, [10, 30, 31], gamma=0.5)),
    "CosineAnnealingWarmRestarts": (lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, T_mult=2, eta_min=0.01)),
    "LinearLR": (lambda s, o: s.LinearLR(o, 0.1, 0.7, total_iters=40)),
    "ConstantLR": (lambda s, o: s.ConstantLR(o, 0.5, total_iters=9)),
    "PolynomialLR": (lambda s, o: s.PolynomialLR(o, total_iters=60, power=2.0)),
    "OneCycleLR": (lambda s, o: s.OneCycleLR(o, 0.3, total_steps=101)),
    "OneCycleLR, linear, three phases": (lambda s, o: s.OneCycleLR(o, 0.3, epochs=10, steps_per_epoch=11, anneal_strategy="linear", three_phase=True, pct_start=0.4, div_factor=10)),
    "LambdaLR": (lambda s, o: s.LambdaLR(o, lambda step: 0.95**step)),
    "SequentialLR": (lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.1, total_iters=20), s.ExponentialLR(o, 0.9)], milestones=[20])),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_against_torch(name):
    q = torch.zeros(1, requires_grad=True)
    their_opt, our_opt = torch.optim.SGD([q], lr=0.1, momentum=0.9), optim.SGD([mt.Parameter([0.0])], lr=0.1, momentum=0.9)
    theirs, ours = SCHEDULES[name](torch.optim.lr_scheduler, their_opt), SCHEDULES[name](optim.lr_scheduler, our_opt)
    for step in range(100):
        assert our_opt.lr == pytest.approx(their_opt.param_groups[0]["lr"], rel=1e-5)
        assert our_opt.param_groups[0]["momentum"] == pytest.approx(their_opt.param_groups[0]["momentum"], rel=1e-6)
        assert ours.get_last_lr() == ours.lr_at(step) == pytest.approx(their_opt.param_groups[0]["lr"], rel=1e-6) and ours.last_step == step
        their_opt.step(), theirs.step(), ours.step()


def test_closed_forms():
    from miniten.optim import lr_scheduler as s

    assert optim.step_lr is s.step_lr and s.WarmupCosineLR is s.WarmupCosine
    assert s.step_lr(1.0, 9, 5) == pytest.approx(0.1) and s.step_lr(initial_lr=1.0, epoch=4, step_size=5, gamma=0.5) == 1
    assert s.exponential_lr(2.0, 3, 0.5) == 0.25
    assert s.cosine_annealing_lr(1.0, 5, 10) == pytest.approx(0.5) and s.cosine_annealing_lr(1.0, 99, 10, eta_min=0.1) == pytest.approx(0.1)
    assert [s.warmup_lr(1.0, i, 4) for i in (0, 1, 3, 4, 9)] == [0.25, 0.5, 1, 1, 1]
    rates = [s.warmup_cosine_lr(1.0, i, 5, 20, eta_min=0.01) for i in range(40)]
    assert rates[0] == 0.2 and max(rates) == 1 and rates[20:] == [pytest.approx(0.01)] * 20 and all(a >= b for a, b in zip(rates[5:], rates[6:]))
    opt = optim.SGD([mt.Parameter([0.0])], lr=1.0)
    scheduler = s.WarmupCosine(opt, 5, 20, eta_min=0.01)
    for i in range(40):
        assert opt.lr == pytest.approx(rates[i], rel=1e-6)
        scheduler.step()
    state = scheduler.state_dict()
    fresh = s.WarmupCosine(optim.SGD([mt.Parameter([0.0])], lr=0.5), 5, 20, eta_min=0.01)
    fresh.load_state_dict(state)
    assert fresh.get_last_lr() == scheduler.get_last_lr() and "WarmupCosine" in repr(fresh)
    warm = s.LinearWarmup(optim.SGD([mt.Parameter([0.0])], lr=1.0), 4)
    assert warm.get_last_lr() == 0.25
    for bad in [lambda: s.step_lr(1, 1, 0), lambda: s.cosine_annealing_lr(1, 1, 0), lambda: s.warmup_cosine_lr(1, 1, 5, 5), lambda: s.exponential_lr(1, -1, 0.5),
                lambda: s.StepLR(opt, 0), lambda: fresh.load_state_dict({})]:
        with pytest.raises(ValueError):
            bad()


def test_training_learns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 2)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("int64")
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    opt = optim.AdamW(model.parameters(), lr=0.02)
    loss = nn.CrossEntropyLoss()
    for _ in range(200):
        opt.zero_grad()
        loss(model(x), y).backward()
        opt.step()
    assert (model(x).argmax(1).numpy() == y).mean() > 0.95
