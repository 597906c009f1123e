"""Attention and transformer layers against torch; decoding with a cache against the whole sequence."""

import numpy as np
import pytest
from judges import judge
from parity import agree

import miniten as mt

torch = judge("torch")
rng = np.random.default_rng(0)
Q, K = rng.normal(size=(5, 2, 8)).astype("float32"), rng.normal(size=(7, 2, 8)).astype("float32")
PADDING = np.array([[False] * 7, [False] * 4 + [True] * 3])
FORBIDDEN = np.triu(np.ones((5, 7), bool), 3)

CALLS = {
    "self": (lambda t: (t(Q), t(Q), t(Q)), lambda t: {}),
    "cross": (lambda t: (t(Q), t(K), t(K)), lambda t: {}),
    "padding": (lambda t: (t(Q), t(K), t(K)), lambda t: {"key_padding_mask": t(PADDING)}),
    "float padding": (lambda t: (t(Q), t(K), t(K)), lambda t: {"key_padding_mask": t(PADDING.astype("float32") * -2)}),
    "bool mask": (lambda t: (t(Q), t(K), t(K)), lambda t: {"attn_mask": t(FORBIDDEN), "average_attn_weights": False}),
    "float mask": (lambda t: (t(Q), t(K), t(K)), lambda t: {"attn_mask": t(FORBIDDEN * np.float32(-3))}),
    "mask for each head": (lambda t: (t(Q), t(K), t(K)), lambda t: {"attn_mask": t(np.stack([FORBIDDEN, ~FORBIDDEN] * 4))}),
    "both masks": (lambda t: (t(Q), t(K), t(K)), lambda t: {"attn_mask": t(FORBIDDEN), "key_padding_mask": t(PADDING)}),
    "no weights": (lambda t: (t(Q), t(K), t(K)), lambda t: {"need_weights": False}),
    "without a batch": (lambda t: (t(Q[:, 0]), t(K[:, 0]), t(K[:, 0])), lambda t: {"key_padding_mask": t(PADDING[1])}),
}
MAKES = {
    "plain": lambda nn: nn.MultiheadAttention(8, 4),
    "without bias": lambda nn: nn.MultiheadAttention(8, 4, bias=False),
}


def alike(make):
    theirs, ours = make(torch.nn), make(mt.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.tensor(np.random.default_rng(p.numel()).normal(size=tuple(p.shape)) * 0.4))
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    return theirs, ours


def same_gradients(ours, theirs, got, wanted):
    w = np.sin(np.arange(wanted.numel())).reshape(wanted.shape).astype("float32")
    (wanted * torch.tensor(w)).sum().backward(), (got * w).sum().backward()
    for (n, p), (m, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert n == m
        agree(p.grad.numpy(), q.grad.numpy(), 2e-5)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("name", CALLS)
def test_attention_against_torch(name, make):
    args, options = CALLS[name]
    theirs, ours = alike(MAKES[make])
    wanted, w = theirs(*args(torch.tensor), **options(torch.tensor))
    got, g = ours(*args(mt.tensor), **options(mt.tensor))
    agree(got.detach().numpy(), wanted.detach().numpy())
    if w is None:
        assert g is None
    else:
        agree(g.detach().numpy(), w.detach().numpy())
    same_gradients(ours, theirs, got, wanted)


def test_batch_first_and_other_widths():
    theirs, ours = alike(lambda nn: nn.MultiheadAttention(8, 2, kdim=6, vdim=5, batch_first=True))
    q, k, v = (rng.normal(size=s).astype("float32") for s in [(2, 5, 8), (2, 7, 6), (2, 7, 5)])
    wanted, got = theirs(torch.tensor(q), torch.tensor(k), torch.tensor(v))[0], ours(q, k, v)[0]
    agree(got.detach().numpy(), wanted.detach().numpy())
    same_gradients(ours, theirs, got, wanted)


def test_self_attention_from_one_argument():
    _, ours = alike(MAKES["plain"])
    agree(ours(Q)[0].detach().numpy(), ours(Q, Q, Q)[0].detach().numpy(), 1e-6)
    shape = Q.shape
    session = mt.compile(ours, shape)
    agree(session.run(Q)[0].numpy(), ours(Q)[0].detach().numpy())


def test_a_cache_gives_the_causal_sequence_again():
    ours = mt.nn.MultiheadAttention(8, 4, batch_first=True).eval()
    x = rng.normal(size=(2, 6, 8)).astype("float32")
    whole = ours(x, is_causal=True, need_weights=False)[0].detach().numpy()
    for steps in ([1] * 6, [3, 1, 2], [6]):
        cache, at = ours.new_cache(2, 6), 0
        for n in steps:
            y = ours(x[:, at : at + n], cache=cache)[0].detach().numpy()
            agree(y, whole[:, at : at + n], 1e-6)
            at += n
        assert cache.length == 6
        with pytest.raises(ValueError, match="at most 6"):
            ours(x[:, :1], cache=cache)
        cache.reset()
        agree(ours(x[:, :1], cache=cache)[0].detach().numpy(), whole[:, :1], 1e-6)


LAYERS = {
    "encoder": (lambda nn: nn.TransformerEncoderLayer(8, 2, dim_feedforward=12, dropout=0), {}),
    "encoder, norm first": (lambda nn: nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", norm_first=True), {}),
    "encoder, masks": (lambda nn: nn.TransformerEncoderLayer(8, 2, 12, 0.0, bias=False), {"src_mask": np.triu(np.ones((5, 5), bool), 1), "src_key_padding_mask": np.array([[False] * 5, [False] * 3 + [True] * 2])}),
    "encoder stack": (lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, 0.0), 2, nn.LayerNorm(8)), {}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_encoder_against_torch(name):
    make, options = LAYERS[name]
    theirs, ours = alike(make)
    wanted, got = theirs(torch.tensor(Q), **{k: torch.tensor(v) for k, v in options.items()}), ours(Q, **options)
    agree(got.detach().numpy(), wanted.detach().numpy(), 2e-5)
    same_gradients(ours, theirs, got, wanted)
    theirs.eval(), ours.eval()
    agree(ours(Q, **options).detach().numpy(), wanted.detach().numpy(), 2e-5)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("stack", [False, True])
def test_decoder_against_torch(norm_first, stack):
    layer = lambda nn: nn.TransformerDecoderLayer(8, 2, 12, 0.0, norm_first=norm_first)
    theirs, ours = alike((lambda nn: nn.TransformerDecoder(layer(nn), 2)) if stack else layer)
    mask = np.triu(np.full((5, 5), -np.inf, "float32"), 1)
    wanted = theirs(torch.tensor(Q), torch.tensor(K), tgt_mask=torch.tensor(mask), memory_key_padding_mask=torch.tensor(PADDING))
    got = ours(Q, K, tgt_mask=mask, memory_key_padding_mask=PADDING)
    agree(got.detach().numpy(), wanted.detach().numpy(), 2e-5)
    same_gradients(ours, theirs, got, wanted)


def test_positions():
    pe = mt.nn.PositionalEncoding(6, dropout=0.0, max_len=10)
    y = pe(mt.zeros(4, 2, 6)).numpy()
    for t in range(4):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            agree(y[t, :, 2 * i], np.full(2, np.sin(angle)), 1e-6)
            agree(y[t, :, 2 * i + 1], np.full(2, np.cos(angle)), 1e-6)
    batch = mt.nn.PositionalEncoding(6, 0.0, 10, batch_first=True)
    agree(batch(mt.zeros(2, 4, 6)).numpy(), y.transpose(1, 0, 2), 1e-7)
    with pytest.raises(ValueError, match="at most 10"):
        pe(mt.zeros(11, 2, 6))


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: mt.nn.MultiheadAttention(8, 3), ValueError, "num_heads"),
        (lambda: mt.nn.MultiheadAttention(8, 2, dropout=-1), ValueError, "dropout"),
        (lambda: mt.nn.MultiheadAttention(8, 2)(mt.zeros(3, 2, 6)), ValueError, "widths"),
        (lambda: mt.nn.MultiheadAttention(8, 2)(mt.zeros(3, 2, 8), mt.zeros(3, 2, 8)), ValueError, "key and value"),
        (lambda: mt.nn.MultiheadAttention(8, 2)(mt.zeros(3, 2, 8), attn_mask=np.ones((2, 3), bool)), ValueError, "attn_mask"),
        (lambda: mt.nn.MultiheadAttention(8, 2)(mt.zeros(3, 2, 8), key_padding_mask=np.ones((3, 2), bool)), ValueError, "key_padding_mask"),
        (lambda: mt.nn.MultiheadAttention(8, 2)(mt.zeros(3, 2, 8), key_padding_mask=np.ones((2, 3), "int64")), TypeError, "bool or float"),
        (lambda: mt.nn.TransformerEncoderLayer(8, 2, activation="tanh"), ValueError, "activation"),
        (lambda: mt.nn.TransformerEncoder(mt.nn.ReLU(), 0), ValueError, "num_layers"),
    ],
)
def test_errors_name_the_layer(call, error, words):
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert text.startswith("[") and " expected " in text and ", got " in text and words in text, text
