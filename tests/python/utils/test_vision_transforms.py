"""Transforms: what they draw, that it repeats, and what they make of it."""

import copy
import pickle
import threading

import numpy as np
import pytest
from judges import judge
from pictures import distance, noise, photograph

import miniten as mt
from miniten import _core
from miniten.utils import vision as v
from miniten.utils.data import ArrayDataset, DataLoader

torch = judge("torch")
IMAGE = noise(40, 52)
RANDOM = [
    v.RandomCrop(24), v.RandomCrop((30, 20), padding=4), v.RandomCrop(64, pad_if_needed=True, fill=(1, 2, 3)), v.RandomCrop(50, padding=(10, 20), padding_mode="reflect"),
    v.RandomResizedCrop((16, 20)), v.RandomHorizontalFlip(), v.RandomVerticalFlip(), v.RandomRotation(30), v.RandomRotation((10, 80), expand=True, fill=9),
    v.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), 10), v.RandomAffine((0, 5), shear=(1, 2, 3, 4), interpolation="nearest"), v.RandomGrayscale(0.5),
    v.ColorJitter(0.4, 0.3, (0.5, 2), 0.1), v.GaussianBlur(5), v.RandomErasing(1.0), v.RandomErasing(0.5, value=(1, 2, 3)), v.RandomErasing(1.0, value="random"), v.RandAugment(), v.RandAugment(4, 30),
]
NAMES = [repr(t)[:40] for t in RANDOM]


@pytest.mark.parametrize("t", RANDOM, ids=NAMES)
def test_draws_are_seeded_recorded_and_replayed(t):
    t.manual_seed(3)
    outs, drawn = [], []
    for _ in range(12):
        outs.append(t(IMAGE))
        drawn.append(t.params)
    assert any(d != drawn[0] for d in drawn[1:]) and isinstance(drawn[0], dict)
    t.manual_seed(3)
    for out, d in zip(outs, drawn):
        assert np.array_equal(t(IMAGE), out) and t.params == d
        assert np.array_equal(t.replay(IMAGE, d), out)
    assert isinstance(outs[0], np.ndarray) and outs[0].dtype == np.uint8
    tensor = t.replay(mt.tensor(IMAGE if not isinstance(t, v.RandomErasing) else np.ascontiguousarray(IMAGE.transpose(2, 0, 1))), drawn[0])
    assert isinstance(tensor, mt.Tensor)
    got = tensor.numpy() if not isinstance(t, v.RandomErasing) else tensor.numpy().transpose(1, 2, 0)
    assert np.array_equal(got, outs[0])


def test_nothing_changes_the_image_or_global_generators():
    image, before = IMAGE.copy(), IMAGE.copy()
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    mt.manual_seed(2)
    wanted = mt.rand(3).tolist()
    mt.manual_seed(2)
    for t in RANDOM:
        t.manual_seed(0)
        t(image)
    assert np.array_equal(image, before) and np.array_equal(np.random.get_state()[1], state) and mt.rand(3).tolist() == wanted


def test_manual_seed_of_miniten_fixes_what_has_no_seed():
    def run():
        mt.manual_seed(9)
        t = v.RandomCrop(5)
        return [t(IMAGE).tobytes() for _ in range(3)]

    assert run() == run()


# ---- to a network ----
def test_to_tensor():
    x = v.ToTensor()(IMAGE)
    assert isinstance(x, mt.Tensor) and x.shape == (3, 40, 52) and str(x.dtype) == "float32"
    assert np.array_equal(x.numpy(), torch.from_numpy(IMAGE).permute(2, 0, 1).numpy().astype(np.float32) / np.float32(255))
    assert v.ToTensor()(IMAGE[..., 0]).shape == (1, 40, 52)
    wide = noise(4, 5, dtype=np.float64)
    assert np.array_equal(v.ToTensor()(wide).numpy(), wide.transpose(2, 0, 1)) and str(v.ToTensor()(wide).dtype) == "float64"
    deep = noise(4, 5, dtype=np.uint16)
    assert distance(v.ToTensor()(deep).numpy(), deep.transpose(2, 0, 1) / 65535) < 1e-7
    assert v.ToTensor()(mt.tensor(IMAGE)).shape == (3, 40, 52)
    with pytest.raises(TypeError, match="cast"):
        v.ToTensor()(np.zeros((4, 4), np.int64))


def test_pitfall_to_tensor_does_not_look_at_the_content():
    dark = np.ones((2, 2, 3), np.uint8)
    assert np.allclose(v.ToTensor()(dark).numpy(), 1 / 255)
    assert np.allclose(v.ToTensor()(np.full((2, 2), 200.0, np.float32)).numpy(), 200)


def test_normalize_knows_where_the_channels_are():
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.1]
    want = (IMAGE / 255 - mean) / std
    step = v.Compose([v.ToTensor(), v.Normalize(mean, std)])
    assert distance(step(IMAGE).numpy(), want.transpose(2, 0, 1)) < 1e-6
    assert distance(v.Normalize(mean, std)(v.ToTensor()(IMAGE)).numpy(), want.transpose(2, 0, 1)) < 1e-6
    assert distance(v.Normalize(mean, std)(IMAGE), want) < 1e-6                # an array: channels last
    assert distance(v.Compose([v.Normalize(mean, std), v.ToTensor()])(IMAGE).numpy(), want.transpose(2, 0, 1)) < 1e-6
    assert distance(v.Normalize(mean, std, layout="hwc")(mt.tensor(IMAGE)).numpy(), want) < 1e-6
    square = noise(3, 3)                                                       # the shape tells nothing
    assert distance(step(square).numpy(), ((square / 255 - mean) / std).transpose(2, 0, 1)) < 1e-6
    for bad in (mt.tensor(IMAGE), np.ascontiguousarray(IMAGE.transpose(2, 0, 1))):
        with pytest.raises(ValueError, match="layout="):
            v.Normalize(mean, std)(bad)
    gray = v.Compose([v.ToTensor(), v.Normalize([0.5], [0.5])])(IMAGE[..., 0])
    assert distance(gray.numpy()[0], (IMAGE[..., 0] / 255 - 0.5) / 0.5) < 1e-6


def test_every_transform_works_after_to_tensor():
    for before in (v.Resize((20, 30)), v.Resize(20), v.CenterCrop(20), v.Pad((1, 2)), v.RandomCrop(24), v.RandomHorizontalFlip(1.0), v.RandomRotation((30, 30)), v.GaussianBlur(3, 1.0)):
        a = v.Compose([before, v.ToTensor()], seed=4)(IMAGE)
        b = v.Compose([v.ToTensor(), before], seed=4)(IMAGE)
        assert a.shape == b.shape and distance(a.numpy(), b.numpy()) <= 1 / 255 + 1e-6


# ---- single transforms ----
def test_sizes():
    assert v.Resize((7, 9))(IMAGE).shape == (7, 9, 3) and v.Resize(20)(IMAGE).shape == (20, 26, 3)
    assert np.array_equal(v.Resize((7, 9), "bicubic", like="pil")(IMAGE), v.resize(IMAGE, (7, 9), "bicubic", like="pil"))
    assert np.array_equal(v.CenterCrop(10)(IMAGE), v.center_crop(IMAGE, 10))
    assert v.Pad(3, fill=(1, 2, 3))(IMAGE)[0, 0].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="pad_if_needed"):
        v.RandomCrop(64)(IMAGE)


def test_random_crop_reaches_every_place():
    t = v.RandomCrop((38, 50)).manual_seed(0)
    places = set()
    for _ in range(300):
        t(IMAGE)
        places.add((t.params["top"], t.params["left"]))
    assert places == {(a, b) for a in range(3) for b in range(3)}


def test_resized_crops_keep_scale_and_ratio():
    t = v.RandomResizedCrop(8, scale=(0.2, 0.5), ratio=(0.5, 2)).manual_seed(0)
    for _ in range(200):
        t(IMAGE)
        p = t.params
        share = p["height"] * p["width"] / (40 * 52)
        assert 0.15 < share < 0.55 and 0.45 < p["width"] / p["height"] < 2.2
        assert np.array_equal(t.replay(IMAGE, p), v.resize(v.crop(IMAGE, p["top"], p["left"], p["height"], p["width"]), (8, 8)))
    narrow = v.RandomResizedCrop(4, scale=(1, 1), ratio=(30, 40))               # nothing fits: the middle
    assert narrow(IMAGE).shape == (4, 4, 3)


def test_chances():
    for t, p in ((v.RandomHorizontalFlip(0.3), 0.3), (v.RandomVerticalFlip(0.8), 0.8)):
        t.manual_seed(1)
        hits = [(t(IMAGE), t.params["flip"])[1] for _ in range(2000)]
        assert abs(np.mean(hits) - p) < 0.04
    assert np.array_equal(v.RandomHorizontalFlip(1)(IMAGE), IMAGE[:, ::-1]) and np.array_equal(v.RandomVerticalFlip(0)(IMAGE), IMAGE)
    gray = v.RandomGrayscale(1.0)(IMAGE)
    assert gray.shape == IMAGE.shape and np.array_equal(gray[..., 0], gray[..., 2])


def test_jitter_applies_what_it_drew_in_its_order():
    t = v.ColorJitter(0.5, 0.5, 0.5, 0.2).manual_seed(5)
    steps = ("brightness", "contrast", "saturation", "hue")
    orders = set()
    for _ in range(60):
        out, p = t(IMAGE), t.params
        orders.add(p["order"])
        want = IMAGE
        for k in p["order"]:
            want = getattr(v, f"adjust_{steps[k]}")(want, p[steps[k]])
        assert np.array_equal(out, want)
        assert 0.5 <= p["brightness"] <= 1.5 and -0.2 <= p["hue"] <= 0.2
    assert len(orders) > 15
    assert np.array_equal(v.ColorJitter()(IMAGE), IMAGE)


def test_erasing():
    ones = np.ones((40, 52, 3), np.float32)
    t = v.RandomErasing(1.0, scale=(0.1, 0.2)).manual_seed(0)
    for _ in range(50):
        share = (t(ones) == 0).mean()
        assert 0.07 < share < 0.23
    assert np.array_equal(v.RandomErasing(0.0)(ones), ones)
    after = v.Compose([v.ToTensor(), v.RandomErasing(1.0, value=(1, 2, 3))], seed=0)(ones * 0)
    assert sorted(set(np.unique(after.numpy()[2]))) == [0, 3]
    noisy = v.RandomErasing(1.0, value="random").manual_seed(2)(ones * 5)
    erased = noisy[noisy != 5]
    assert erased.size > 20 and abs(erased.mean()) < 0.6 and 0.5 < erased.std() < 1.5


def test_rand_augment_draws_every_operation_and_leaves_shapes():
    t = v.RandAugment(3, 20).manual_seed(0)
    seen = set()
    for _ in range(150):
        out = t(IMAGE)
        assert out.shape == IMAGE.shape and out.dtype == np.uint8
        seen |= set(t.params["ops"])
    assert seen == set(range(14))
    sharp = judge("PIL.ImageEnhance").Sharpness(judge("PIL.Image").fromarray(IMAGE)).enhance(1.45)
    ours = v.RandAugment(1).replay(IMAGE, {"ops": [9], "magnitudes": [0.45]})
    assert distance(ours, np.asarray(sharp)) <= 1
    assert v.RandAugment(0)(IMAGE) is not IMAGE
    with pytest.raises(TypeError, match="before ToTensor"):
        v.RandAugment()(IMAGE.astype(np.float32))


# ---- Compose ----
def test_compose_takes_any_callable_and_replays():
    kinds = []

    def look(x):
        kinds.append(type(x))
        return x

    t = v.Compose([v.RandomCrop(24), look, v.RandomHorizontalFlip(), v.ToTensor(), look, v.Compose([v.RandomErasing(1.0)])], seed=1)
    out, drawn = t(IMAGE), t.params
    assert kinds == [np.ndarray, mt.Tensor] and isinstance(out, mt.Tensor) and out.shape == (3, 24, 24)
    assert len(drawn) == 6 and drawn[1] == {} and "top" in drawn[5][0]
    assert np.array_equal(t.replay(IMAGE, drawn).numpy(), out.numpy())
    assert np.array_equal(v.Compose([v.RandomCrop(24), look, v.RandomHorizontalFlip(), v.ToTensor(), look, v.Compose([v.RandomErasing(1.0)])], seed=1)(IMAGE).numpy(), out.numpy())
    assert isinstance(v.Compose([v.Resize(8)])(IMAGE), np.ndarray) and isinstance(v.Compose([v.Resize(8)])(mt.tensor(IMAGE)), mt.Tensor)
    assert np.array_equal(v.Compose([])(IMAGE), IMAGE)
    flipped = v.Compose([lambda x: x[:, ::-1], lambda x: mt.tensor(x)])(IMAGE)
    assert isinstance(flipped, mt.Tensor) and np.array_equal(flipped.numpy(), IMAGE[:, ::-1])
    assert repr(v.Compose([v.Resize((4, 5)), v.ToTensor()])) == "Compose([Resize((4, 5), interpolation='bilinear'), ToTensor()])"


def test_errors_of_callables_come_out():
    def broken(x):
        raise KeyError("broken step")

    with pytest.raises(KeyError, match="broken step") as e:
        v.Compose([v.Resize(8), broken])(IMAGE)
    assert any(entry.name == "broken" for entry in e.traceback)
    with pytest.raises(TypeError, match="callables"):
        v.Compose([3])
    with pytest.raises(ValueError, match="2 transforms"):
        v.Compose([v.Resize(8), v.ToTensor()]).replay(IMAGE, [{}])
    with pytest.raises(ValueError, match="params with"):
        v.RandomCrop(5).replay(IMAGE, {})
    with pytest.raises(ValueError, match="inside"):
        v.RandomErasing().replay(IMAGE, {"top": 39, "left": 0, "height": 5, "width": 5, "noise": 0})


def test_sample_keys_rule_the_draws():
    t = v.Compose([v.RandomCrop(10), v.ColorJitter(0.5)], seed=0)

    def draw(seed, epoch, index):
        with _core._SampleKey(seed, epoch, index):
            return t(IMAGE).tobytes(), t(IMAGE).tobytes()

    keys = [(s, e, i) for s in (0, 1) for e in (0, 1) for i in (0, 1, 2)]
    first = {k: draw(*k) for k in keys}
    assert all(a != b for a, b in first.values()) and len({a for a, _ in first.values()}) == len(keys)
    results = {}
    threads = [threading.Thread(target=lambda k=k: results.update({k: draw(*k)})) for k in keys]
    for th in threads:
        th.start()
    for th in threads:
        th.join()
    assert results == first
    t.manual_seed(0)
    plain = t(IMAGE).tobytes()
    with _core._SampleKey(0, 0, 0):
        t(IMAGE)
    t.manual_seed(0)
    assert t(IMAGE).tobytes() == plain


@pytest.mark.parametrize("make, match", [
    (lambda: v.RandomHorizontalFlip(1.5), "chance"), (lambda: v.Normalize([0.5], [0]), "std"), (lambda: v.Resize(0), "size"), (lambda: v.Resize((4, 0)), "width"), (lambda: v.Resize((1, 2, 3)), "size"),
    (lambda: v.RandomCrop(0), "height"), (lambda: v.RandomCrop(5, padding=(1, 2, 3)), "paddings"), (lambda: v.RandomResizedCrop(5, scale=(0.5, 0.1)), "scale"), (lambda: v.RandomResizedCrop(5, ratio=(0, 1)), "ratio"),
    (lambda: v.RandomRotation(-5), "degrees"), (lambda: v.RandomRotation(5, interpolation="area"), "'bicubic'"), (lambda: v.ColorJitter(hue=0.7), "hue"), (lambda: v.ColorJitter(-1), "brightness"),
    (lambda: v.GaussianBlur(4), "odd"), (lambda: v.GaussianBlur(3, (2, 1)), "sigma"), (lambda: v.RandomErasing(value="noise"), "random"), (lambda: v.RandomAffine(5, translate=(2, 0)), "translate"),
    (lambda: v.RandomAffine(5, scale=(0, 1)), "scale"), (lambda: v.RandAugment(2, 31), "magnitude"), (lambda: v.Normalize([0.5], [0.5], layout="nchw"), "'hwc'"), (lambda: v.RandomCrop(5).manual_seed(-1), "seed"),
])
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()


# ---- batches ----
def test_mixup_and_cutmix():
    x = np.random.default_rng(0).random((8, 3, 10, 12)).astype(np.float32)
    y = np.arange(8) % 4
    one = np.eye(4, dtype=np.float32)[y]
    for kind in (v.MixUp, v.CutMix):
        mix = kind(alpha=0.7, num_classes=4, seed=3)
        a, b = mix(x, y)
        c, d = mix(x, one)
        assert a.shape == x.shape and np.allclose(b.numpy().sum(1), 1) and not np.array_equal(a.numpy(), c.numpy())
        again = kind(alpha=0.7, num_classes=4, seed=3)(mt.tensor(x), mt.tensor(y))
        assert np.array_equal(again[0].numpy(), a.numpy()) and np.array_equal(again[1].numpy(), b.numpy())
        with pytest.raises(ValueError, match="labels"):
            mix(x, y + 4)
        with pytest.raises(TypeError, match="ToTensor"):
            mix((x * 255).astype(np.uint8), y)
        with pytest.raises(ValueError, match="alpha"):
            kind(alpha=0, num_classes=4)(x, y)
    share = np.array([v.MixUp(2.0, 2, seed=s)(np.array([[1.0], [0.0]], np.float32), np.array([1, 0]))[0].numpy()[0, 0] for s in range(600)])
    moved = share[share != 1]                                                  # half of the permutations change nothing
    assert abs(moved.mean() - 0.5) < 0.06 and abs(moved.var() - 0.05) < 0.015  # Beta(2, 2): mean 1/2, variance 1/20
    a, b = v.MixUp(1.0, 8, seed=1)(x, np.arange(8))
    for i in range(8):
        weights = b.numpy()[i]
        assert distance(a.numpy()[i], np.tensordot(weights, x, 1)) < 1e-6
    a, b = v.CutMix(1.0, 8, seed=2)(x, np.arange(8))
    for i in range(8):
        own = (a.numpy()[i] == x[i]).all(0).mean()
        assert abs(own - b.numpy()[i, i]) < 1e-6


def test_photographs_survive_a_whole_pipeline():
    t = v.Compose([v.RandomResizedCrop(64), v.RandAugment(), v.RandomHorizontalFlip(), v.ToTensor(), v.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])], seed=0)
    out = np.stack([t(photograph()).numpy() for _ in range(8)])
    assert out.shape == (8, 3, 64, 64) and np.isfinite(out).all() and out.std() > 0.3


@pytest.mark.parametrize("t", [*RANDOM, v.ToTensor(), v.Normalize([0.5, 0.4, 0.3], [0.2]), v.Resize(20, "bicubic"), v.CenterCrop((9, 8)), v.Pad((1, 2), fill=3), v.Grayscale(3)], ids=repr)
def test_pickled_and_copied(t):
    t.manual_seed(11)
    t(IMAGE)                                                               # the second draw comes next
    for again in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t)):
        t.manual_seed(11)
        t(IMAGE)
        assert type(again) is type(t) and repr(again) == repr(t)
        assert np.array_equal(np.asarray(again(IMAGE)), np.asarray(t(IMAGE)))


def test_pickled_compose_and_mixes():
    t = v.Compose([v.RandomCrop(24), v.ToTensor(), v.Normalize([0.5], [0.2])], seed=4)
    again = pickle.loads(pickle.dumps(t))
    assert repr(again) == repr(t) and np.array_equal(again(IMAGE).numpy(), t(IMAGE).numpy())
    assert repr(pickle.loads(pickle.dumps(v.MixUp(0.4, num_classes=3)))) == repr(v.MixUp(0.4, num_classes=3))


def test_grayscale_as_torchvision():
    rgb = noise(9, 7)
    assert np.array_equal(v.Grayscale()(rgb), v.to_grayscale(rgb)) and v.Grayscale(3)(rgb).shape == (9, 7, 3)
    with pytest.raises(ValueError, match="1 or 3"):
        v.Grayscale(2)


@pytest.mark.parametrize("shape", [(7, 9, 11), (7, 9, 11, 1), (7, 9, 11, 3), (7, 9, 11, 4)])
def test_whole_batches_have_the_bits_of_single_pictures(shape):
    images, labels = noise(*shape[:1], int(np.prod(shape[1:])), 0).reshape(shape), np.arange(7)
    for steps in ([v.ToTensor()], [v.ToTensor(), v.Normalize([0.4], [0.3])], [v.Compose([v.ToTensor()])]):
        data = ArrayDataset(images, labels).map(v.Compose(steps))
        batches = list(DataLoader(data, 3, shuffle=True, seed=1))
        for x, y in batches:
            for image, label in zip(x.numpy(), y.numpy()):
                alone = images[label]
                for step in steps:
                    alone = step(alone)
                assert np.array_equal(image, np.asarray(alone))
    with pytest.raises(ValueError, match="channels"):
        next(iter(DataLoader(ArrayDataset(images).map(v.Compose([v.ToTensor(), v.Normalize([0.1, 0.2], [1])])), 2)))
