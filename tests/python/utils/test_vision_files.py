"""Image files beside Pillow's reading and writing of them, and hostile ones."""

import io
import os
import pathlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import judge
from pictures import distance, noise, photograph

import miniten as mt
from miniten.utils.vision import encode_image, load_image, save_image

Image = judge("PIL.Image")


def written(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def pil(array):
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)


# ---- PNG ----
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_colour_type_as_pillow_reads_it(mode):
    rng = noise(33, 21)
    image = Image.fromarray(rng)
    if mode == "I;16":
        image = Image.fromarray(noise(33, 21, 0, dtype=np.uint16))
    elif mode == "RGBA":
        image = Image.fromarray(noise(33, 21, 4))
    elif mode == "LA":
        image = Image.fromarray(noise(33, 21, 4)).convert("LA")
    else:
        image = image.convert(mode)
    data = written(image, "png")
    raw = load_image(data, mode="unchanged")
    if mode == "I;16":
        assert raw.dtype == np.uint16 and np.array_equal(raw[..., 0], np.asarray(image))
        assert distance(load_image(data, mode="gray")[..., 0], np.asarray(image) / 257.0) <= 0.5
        return
    assert np.array_equal(load_image(data), np.asarray(image.convert("RGB")))
    assert np.array_equal(load_image(data, "rgba"), np.asarray(image.convert("RGBA")))
    assert np.array_equal(load_image(data, "gray")[..., 0], np.asarray(image.convert("RGB").convert("L") if mode in "RGBAP" else image.convert("L")))
    channels = {"1": 1, "L": 1, "LA": 2, "P": 3, "RGB": 3, "RGBA": 4}[mode]
    assert raw.shape == (33, 21, channels) and raw.dtype == np.uint8


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(w, h, depth, color, rows, *extra, interlace=0):
    header = struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_png_of_1_2_4_bits_16_bit_rgb_and_transparent_colours():
    assert load_image(png(4, 1, 2, 0, b"\x00\x1b"), "gray")[0, :, 0].tolist() == [0, 85, 170, 255]
    assert load_image(png(2, 1, 4, 0, b"\x00\x0f"), "gray")[0, :, 0].tolist() == [0, 255]
    palette = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60])), chunk(b"tRNS", bytes([0, 128]))
    data = png(4, 1, 1, 3, b"\x00\x50", *palette)
    assert load_image(data, "unchanged")[0].tolist() == [[10, 20, 30, 0], [40, 50, 60, 128]] * 2
    assert load_image(data)[0].tolist() == [[10, 20, 30], [40, 50, 60]] * 2
    values = np.array([[[1, 258, 65535], [3, 4, 5]]], np.uint16)
    wide = png(2, 1, 16, 2, b"\x00" + values.astype(">u2").tobytes())
    assert np.array_equal(load_image(wide, "unchanged"), values)
    assert load_image(wide)[0].tolist() == [[0, 1, 255], [0, 0, 0]]


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (5, 17), (64, 3)])
def test_interlaced_png_is_the_same_picture(shape):
    cv2 = pytest.importorskip("cv2")
    h, w = shape
    image = noise(h, w, seed=h)
    rows = b""
    for y0, x0, dy, dx in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):
        part = image[y0::dy, x0::dx]
        if part.size:
            rows += b"".join(b"\x00" + row.tobytes() for row in part)
    data = png(w, h, 8, 2, rows, interlace=1)
    assert np.array_equal(load_image(data), image)
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1], image)


@pytest.mark.parametrize("c", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_round_trip_and_pillow_reads_it(tmp_path, c, dtype):
    image = noise(19, 23, c, dtype=dtype)
    for compression in (0, 6, 9):
        save_image(image, tmp_path / "a.png", compression=compression)
        back = load_image(tmp_path / "a.png", mode="unchanged")
        assert back.dtype == dtype and np.array_equal(back, image)
    if dtype == np.uint8:
        assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")).reshape(image.shape), image)


# ---- JPEG ----
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 20}, {"restart_marker_rows": 1}])
def test_jpeg_as_pillow_reads_it(options):
    photo = Image.fromarray(photograph()[:201, :333])
    for image in (photo, photo.convert("L")):
        data = written(image, "jpeg", **options)
        want = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert distance(load_image(data), want) <= 2                   # Pillow brings its own libjpeg
        assert np.abs(load_image(data).astype(int) - want).mean() < 0.05


def test_cmyk_jpeg_becomes_rgb():
    data = written(Image.fromarray(photograph()[:64, :80]).convert("CMYK"), "jpeg", quality=95)
    assert distance(load_image(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))) <= 3


def exif(orientation, big=False):
    end = ">" if big else "<"
    return b"Exif\0\0" + (b"MM" if big else b"II") + struct.pack(end + "HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_as_pillow_turns_it(orientation):
    ops = judge("PIL.ImageOps")
    photo = Image.fromarray(photograph()[:50, :70])
    data = written(photo, "jpeg", exif=exif(orientation, orientation % 2 == 0))
    opened = Image.open(io.BytesIO(data))
    assert distance(load_image(data), np.asarray(ops.exif_transpose(opened))) <= 2
    assert load_image(data, exif_orientation=False).shape == (50, 70, 3)
    png_data = written(photo, "png", exif=exif(orientation)[6:])
    assert np.array_equal(load_image(png_data), np.asarray(ops.exif_transpose(Image.open(io.BytesIO(png_data)))))


def test_jpeg_is_written_well(tmp_path):
    image = photograph()[:200, :300]
    save_image(image, tmp_path / "a.jpg", quality=95)
    back = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert np.abs(back.astype(int) - image).mean() < 3
    assert len(encode_image(image, "jpg", quality=30)) < os.path.getsize(tmp_path / "a.jpg") / 2
    gray = image[..., 1]
    assert Image.open(io.BytesIO(encode_image(gray, "JPEG"))).mode == "L"


# ---- BMP, PPM, PGM ----
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bmp_as_pillow_writes_it(mode):
    image = Image.fromarray(noise(9, 13)).convert(mode)
    assert np.array_equal(load_image(written(image, "bmp")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("c", [0, 1, 3, 4])
def test_bmp_is_written_as_pillow_reads_it(c):
    image = noise(7, 5, c)
    data = encode_image(image, "bmp")
    opened = Image.open(io.BytesIO(data))
    assert np.array_equal(np.asarray(opened).reshape(image.shape), image)
    assert np.array_equal(load_image(data, "unchanged").reshape(image.shape), image)


def test_bmp_of_16_bits_top_down():
    pixels = struct.pack("<4H", 0x7C00, 0x03E0, 0x001F, 0x7FFF)
    header = struct.pack("<2sIIIIiiHHIIIIII", b"BM", 54 + 8, 0, 54, 40, 2, -2, 1, 16, 0, 8, 0, 0, 0, 0)
    assert load_image(header + pixels).tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]


def runs_of(numbers, bits):
    """Rows of colour numbers as RLE, with runs, absolute stretches and a skip."""
    out = b""
    for y, row in enumerate(numbers[::-1]):
        x = 0
        while x < len(row):
            n = 1
            while x + n < len(row) and row[x + n] == row[x] and n < 200:
                n += 1
            if n > 2 or len(row) - x < 3:
                out += bytes([n, row[x] if bits == 8 else row[x] * 17])
                x += n
            else:
                part = row[x : x + 3]
                packed = bytes(part) if bits == 8 else bytes([part[0] * 16 + part[1], part[2] * 16])
                out += bytes([0, 3]) + packed + b"\0" * (len(packed) % 2)
                x += 3
        out += b"\0\0" if y < len(numbers) - 1 else b"\0\1"
    return out


@pytest.mark.parametrize("bits", [4, 8])
def test_bmp_of_runs_as_pillow_reads_it(bits):
    draw = np.random.default_rng(0)
    numbers = np.repeat(draw.integers(0, 2**bits, (9, 8)), draw.integers(1, 7, 8), 1).tolist()
    palette = draw.integers(0, 256, (2**bits, 4), dtype=np.uint8).tobytes()
    body = runs_of(numbers, bits)
    header = struct.pack("<2sIIIIiiHHIIIIII", b"BM", 54 + len(palette) + len(body), 0, 54 + len(palette), 40, len(numbers[0]), 9, 1, bits, 3 - bits // 4, len(body), 0, 0, 0, 0)
    data = header + palette + body
    assert np.array_equal(load_image(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    skips = header + palette + bytes([0, 2, 3, 1, 2, 0x11, 0, 1])        # three to the right, one up, two pixels
    want = np.zeros((9, len(numbers[0])), np.intp)
    want[9 - 2, 3:5] = 0x11 if bits == 8 else 1
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 4)[:, 2::-1]
    assert np.array_equal(load_image(skips), colours[want])
    with pytest.raises(ValueError, match="cut off"):
        load_image(data[:-2])


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (40, 61), (9, 200)])
def test_gif_as_pillow_reads_it(shape, interlace):
    for colours in (2, 5, 256):
        image = Image.fromarray(noise(*shape)).quantize(colours)
        data = written(image, "gif", interlace=interlace)
        assert np.array_equal(load_image(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        data = written(image, "gif", interlace=interlace, transparency=1)
        if Image.open(io.BytesIO(data)).info.get("transparency") is not None:
            assert np.array_equal(load_image(data, "unchanged"), np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")))


def test_gif_of_several_frames_gives_the_first():
    frames = [Image.fromarray(noise(20, 30, seed=i)).quantize(32) for i in range(3)]
    data = written(frames[0], "gif", save_all=True, append_images=frames[1:])
    assert np.array_equal(load_image(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ppm_and_pgm(tmp_path, dtype):
    for c, name in ((3, "a.ppm"), (1, "a.pgm")):
        image = noise(6, 11, c, dtype=dtype)
        save_image(image, tmp_path / name)
        assert np.array_equal(load_image(tmp_path / name, "unchanged"), image)
        if dtype == np.uint8:
            assert np.array_equal(np.asarray(Image.open(tmp_path / name)).reshape(image.shape), image)
    text = b"P3 # a comment\n2 1\n# another\n15\n0 15 5  1 2 3\n"
    assert load_image(text)[0].tolist() == [[0, 255, 85], [17, 34, 51]]
    assert load_image(b"P2 1 2 1 0 1", "gray")[..., 0].tolist() == [[0], [255]]


# ---- arguments ----
def test_sources_and_targets(tmp_path):
    image = noise(4, 6)
    save_image(image, str(tmp_path / "a.PNG"))
    with open(tmp_path / "a.PNG", "rb") as f:
        assert np.array_equal(load_image(f), image)
    data = (tmp_path / "a.PNG").read_bytes()
    for source in (data, bytearray(data), memoryview(data), io.BytesIO(data), str(tmp_path / "a.PNG"), pathlib.Path(tmp_path / "a.PNG")):
        assert np.array_equal(load_image(source), image)
    out = io.BytesIO()
    save_image(image, out, format="png")
    assert out.getvalue() == data
    save_image(mt.tensor(image), tmp_path / "noending", format="bmp")
    assert np.array_equal(load_image(tmp_path / "noending"), image)
    with pytest.raises(ValueError, match="format="):
        save_image(image, io.BytesIO())


def test_floats_are_saved_as_0_to_255_and_clamped():
    values = np.array([[0.0, 0.5, 1.0, 2.0, -1.0, 1 / 255]])
    for dtype in (np.float32, np.float64):
        assert load_image(encode_image(values.astype(dtype), "png"), "gray")[0, :, 0].tolist() == [0, 128, 255, 255, 0, 1]
    with pytest.raises(ValueError, match="NaN"):
        encode_image(np.array([[np.nan]]), "png")


@pytest.mark.parametrize("image, format, match", [
    (noise(2, 2, 4), "jpg", "alpha"), (noise(2, 2, 3), "pgm", "1 channel"), (noise(2, 2, 1), "ppm", "pgm"), (noise(2, 2, 5), "png", "1 to 4"),
    (noise(2, 2), "webp", "format"), (noise(2, 2, dtype=np.uint16), "jpg", "PNG"), (np.zeros((0, 2, 3), np.uint8), "png", "one pixel"),
    (np.zeros((2, 2, 3), np.int32), "png", "uint8"), (np.zeros((1, 2, 2, 3), np.uint8), "png", "batch"), (np.zeros(3, np.uint8), "png", "height"),
])
def test_what_cannot_be_saved_is_refused(image, format, match):
    with pytest.raises((ValueError, TypeError), match=match):
        encode_image(image, format)
    with pytest.raises(ValueError, match="quality"):
        encode_image(noise(2, 2), "jpg", quality=0)
    with pytest.raises(ValueError, match="compression"):
        encode_image(noise(2, 2), "png", compression=10)


def test_files_that_are_not_there_or_no_pictures(tmp_path):
    with pytest.raises(OSError, match="missing.png"):
        load_image(tmp_path / "missing.png")
    with pytest.raises(OSError):
        load_image(tmp_path)
    with pytest.raises(OSError):
        save_image(noise(2, 2), tmp_path / "no" / "a.png")
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(ValueError, match="a.png"):
        load_image(tmp_path / "a.png")
    for data, match in ((b"", "empty"), (b"GIF89a", "GIF"), (b"RIFFxxxxWEBP", "WebP"), (b"P4 1 1 \0", "PBM")):
        with pytest.raises(ValueError, match=match):
            load_image(data)
    with pytest.raises(ValueError, match="mode"):
        load_image(encode_image(noise(2, 2), "png"), mode="bgr")


# ---- hostile files ----
SEEDS = {
    "png": encode_image(noise(20, 20), "png"), "jpeg": encode_image(noise(24, 24), "jpg"), "bmp": encode_image(noise(6, 7), "bmp"),
    "bmp8": encode_image(noise(6, 7, 1), "bmp"), "ppm": encode_image(noise(6, 7), "ppm"), "plain": b"P3 2 2 255 " + b"1 2 3 " * 4,
    "gif": written(Image.fromarray(noise(20, 20)).quantize(16), "gif"),
}


@pytest.mark.parametrize("name", SEEDS)
def test_every_cut_is_an_error(name):
    data = SEEDS[name]
    cuts = range(len(data)) if len(data) < 400 else [*range(100), *range(100, len(data) - 100, 37), *range(len(data) - 100, len(data))]
    whole = 0
    for cut in cuts:
        try:
            load_image(data[:cut])
            whole += 1
        except ValueError as error:
            assert "load_image" in str(error)
    assert whole <= {"jpeg": 2, "plain": 2, "gif": 1}.get(name, 0), whole          # end marks


def test_sizes_are_checked_before_memory_is_taken():
    huge = 2**31 - 1
    files = [
        png(100000, 100000, 8, 2, b""), png(30000, 30000, 8, 6, b""), b"P6 100000 100000 255\n" + b"x" * 100, b"P6 2000000000 2000000000 65535\n",
        struct.pack("<2sIIIIiiHHIIIIII", b"BM", 0, 0, 54, 40, huge, huge, 1, 24, 0, 0, 0, 0, 0, 0), struct.pack("<2sIIIIiiHHIIIIII", b"BM", 0, 0, 54, 40, 10000, 10000, 1, 24, 0, 0, 0, 0, 0, 0),
    ]
    for data in files:
        with pytest.raises(ValueError, match="pixels|cut off|limit"):
            load_image(data)
    with pytest.raises(ValueError, match="max_pixels"):
        load_image(SEEDS["jpeg"], max_pixels=100)


@settings(deadline=None, max_examples=400)
@given(name=st.sampled_from(sorted(SEEDS)), changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes_give_an_error_or_a_picture(name, changes):
    data = bytearray(SEEDS[name])
    for at, value in changes:
        data[at % len(data)] = value
    try:
        image = load_image(bytes(data), max_pixels=10**6)
    except ValueError:
        return
    assert image.ndim == 3 and image.dtype == np.uint8
