"""The dashboard in a browser: nothing a run brought runs, nothing is asked of the network, clicks and keys do what they say."""

import numpy as np
import pytest
from browser import browser

from miniten.monitor import Dashboard, MetricsLogger

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("dashboard") / "runs"
    for k, (name, lr) in enumerate([("slow", 0.001), ("fast", 0.1), (EVIL, 0.01)]):
        with MetricsLogger(root, name, comment=EVIL) as log:
            for step in range(200):
                log.log("loss", 2.0 / (1 + lr * step) + 0.1 * np.sin(step), step)
                log.log("accuracy", 0.5 + 0.1 * k + step / 1000, step)
            log.log(EVIL, float("nan"), 0)
            log.log(EVIL, 1.5, 1)
            for step in range(4):
                log.log_histogram("weights " + EVIL, np.linspace(-1 - step, 1 + step, 50), step)
                log.log_image("sample " + EVIL, np.full((8, 8, 3), 60 * step, np.uint8), step)
            log.log_text("note " + EVIL, EVIL * 3)
            log.log("system/rss_mb", 100 + k, 0)
            log.log_hyperparams({"lr": lr, "batch": 32 * (k + 1), EVIL: EVIL})
            log.set_tags(EVIL, f"tag{k}")
    return root


@pytest.fixture
def page(folder, tmp_path):
    Dashboard(folder).generate(tmp_path / "page.html", title=EVIL)
    page = browser().page(f"file://{tmp_path}/page.html", 1300, 850)
    yield page
    assert page.errors == [] and page.requests == [f"file://{tmp_path}/page.html"]
    page.close()


def names(page):
    return page.evaluate("[...document.querySelectorAll('#runs tbody tr')].map(r => r.cells[1].innerText)")


def picture(page, chart=0):
    return page.evaluate(f"document.querySelectorAll('.chart canvas')[{2 * chart}].toDataURL()")


def inked(chart=0):
    """In the page's words: the share of a chart's pixels that are not bare."""
    return f"(c => {{ const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return 4 * n / d.length; }})(document.querySelectorAll('.chart canvas')[{2 * chart}])"


def button(page, text):
    page.evaluate(f"[...document.querySelectorAll('button')].find(b => b.textContent === {text!r}).click()")
    page.settle()


def test_every_tab_shows_what_was_logged_as_text(page):
    shown = {}
    for tab in ("Metrics", "Parameters", "Histograms", "Images", "Text", "System"):
        page.click(f"#tab-{tab}")
        assert page.evaluate(f"document.getElementById('tab-{tab}').getAttribute('aria-selected')") == "true"
        shown[tab] = page.text("#panel").replace("\u2068", "").replace("\u2069", "")          # around every name, so that none turns its neighbours
        assert page.evaluate("[...document.querySelectorAll('script, iframe, object, embed, link[rel=stylesheet]')].length") == 2       # the page's own data and script
        assert page.evaluate("[...document.querySelectorAll('[onerror], [onload]')].length") == 0
    assert {"loss", "accuracy"} <= set(shown["Metrics"].split("\n")) and "<img src=x onerror=alert(2)>" in shown["Metrics"]
    assert "0.001" in shown["Parameters"] and "Hyper-parameters and result" in shown["Parameters"]
    assert shown["Histograms"].count("weights") == 3 and shown["Images"].count("step 3, 8 x 8") == 3 and shown["Text"].count("<script>alert(1)</script>") >= 9
    assert "system/rss_mb" in shown["System"] and "loss" not in shown["System"]
    page.click("#tab-Images")
    assert page.evaluate("[...document.querySelectorAll('#panel img')].every(i => i.src.startsWith('data:image/png') && i.naturalWidth === 8)")
    page.click("#tab-Parameters")
    assert page.evaluate("document.querySelectorAll('#panel polyline').length") == 3


def test_the_table_sorts_filters_and_chooses(page):
    assert len(names(page)) == 3 and "slow" in names(page)[0]
    page.evaluate("(s => { s.value = 'accuracy'; s.dispatchEvent(new Event('change')); })(document.querySelector('aside select'))")
    page.click("#runs th:nth-child(3) button")
    ascending = names(page)
    page.click("#runs th:nth-child(3) button")
    assert names(page) == ascending[::-1] and "slow" in ascending[0]
    assert page.evaluate("document.querySelector('#runs th:nth-child(3)').getAttribute('aria-sort')") == "descending"
    page.click("#filter")
    page.type("lr=0.1")
    assert len(names(page)) == 1 and "fast" in names(page)[0]
    page.evaluate("(f => { f.value = 'tag2'; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))")
    assert len(names(page)) == 1 and "onerror" in names(page)[0]
    page.evaluate("(f => { f.value = ''; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))")
    before = picture(page)
    page.click("#runs tbody input")
    page.settle()
    assert picture(page) != before and page.evaluate("document.querySelectorAll('#runs tr.off').length") == 1
    button(page, "none")
    assert "No metrics in the runs that are on." in page.text("#panel")
    button(page, "all")
    page.wait("document.querySelectorAll('.chart').length === 3")


def test_charts_zoom_smooth_and_read_values(page):
    page.wait(inked() + " > 0.02")
    whole = picture(page)
    x, y, w, h = page.box(".chart")
    page.drag((x + 0.4 * w, y + h / 2), (x + 0.6 * w, y + h / 2))
    page.settle()
    zoomed = picture(page)
    assert zoomed != whole and picture(page, 1) != whole                   # all charts follow
    page.evaluate("document.querySelector('.chart').focus()")
    page.key("0")
    page.settle()
    assert picture(page) == whole
    page.key("+")
    page.settle()
    page.wait("moving === 0")
    page.settle()
    assert picture(page) not in (whole, zoomed)
    page.key("Escape")
    for control, act in [("smooth", "e.value = 0.9; e.dispatchEvent(new Event('input'))"), ("log", "e.click()"), ("axis", "e.value = 'time'; e.dispatchEvent(new Event('change'))")]:
        before = picture(page)
        page.evaluate(f"(e => {{ {act}; }})(document.getElementById('{control}'))")
        page.settle()
        assert picture(page) != before, control
    page.evaluate("(e => { e.value = 'step'; e.dispatchEvent(new Event('change')); })(document.getElementById('axis'))")
    page.evaluate("(e => { e.value = 0; e.dispatchEvent(new Event('input')); })(document.getElementById('smooth'))")
    page.evaluate("document.querySelector('.chart').focus()")
    page.key("Home")
    assert page.text("#tip").startswith("step 0\n") and page.text("#tip").count("2") >= 3
    page.key("ArrowRight")
    assert page.text("#tip").startswith("step 1\n")
    page.key("End")
    assert page.text("#tip").startswith("step 199\n")
    page.mouse(x + 0.5 * w, y + h / 2)
    page.settle()
    assert len(page.text("#tip").split("\n")) >= 4 and "fast" in page.text("#tip")                       # across runs
    page.mouse(2, 2)
    page.settle()
    assert page.evaluate("document.getElementById('tip').style.display") == "none"


def test_every_control_is_reached_by_the_keyboard(page):
    reached = set()
    page.evaluate("document.body.focus()")
    for _ in range(60):
        page.key("Tab")
        reached.add(page.evaluate("(e => e.id || (e.getAttribute('aria-label') || e.textContent).slice(0, 30) + '.' + e.className.split(' ')[0])(document.activeElement)"))
    assert {"theme", "filter", "tab-Metrics", "smooth", "axis", "log"} <= reached, reached
    assert any(r.endswith(".chart") for r in reached) and any(r.startswith("show ") for r in reached)
    page.evaluate("document.getElementById('tab-Metrics').focus()")
    page.key("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-Parameters" and "Hyper-parameters" in page.text("#panel")


CONTRAST = """(() => {
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const parts = c => c.match(/[0-9.]+/g).map(Number), light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const ground = e => { for (; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.5) return c; } return [255, 255, 255]; };
  let least = [99, ''];
  for (const e of document.querySelectorAll('h1, h2, button, th, td, label, .meta, .state, .tag, select, input, p')) {
    if (!e.innerText || !e.offsetParent) continue;
    const a = light(parts(getComputedStyle(e).color)), b = light(ground(e)), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least[0]) least = [ratio, e.tagName + ' ' + e.className + ' ' + e.innerText.slice(0, 30)];
  }
  return least;
})()"""


def test_both_themes_are_readable(page):
    grounds = []
    for _ in range(2):
        for tab in ("Parameters", "Text", "Metrics"):
            page.click(f"#tab-{tab}")
            ratio, where = page.evaluate(CONTRAST)
            assert ratio >= 4.5, where                                     # WCAG AA
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.wait(inked() + " > 0.02")
        page.click("#theme")
    assert grounds[0] != grounds[1]


def test_a_live_page_follows_the_run(folder):
    with MetricsLogger(folder, "live", flush_secs=0) as log, Dashboard(folder).live_dashboard(log.run_name, port=0, block=False) as server:
        for step in range(5):
            log.log("loss", 1.0 - step / 10, step)
        page = browser().page(server.url, 1200, 800)
        page.wait("document.querySelector('.state').textContent === 'live'")
        before = page.wait("document.querySelector('.chart canvas') && document.querySelector('.chart canvas').toDataURL()")
        log.log("loss", -3.25, 5)
        log.log(EVIL, 7, 0)
        log.log_image("late", np.zeros((4, 4), np.uint8))
        page.wait("document.querySelectorAll('.chart').length === 2")
        page.wait(f"document.querySelector('.chart canvas').toDataURL() !== {before!r}")
        for _ in range(100):  # news may take the focus from a chart that they draw again
            page.evaluate("document.querySelector('.chart').focus()")
            page.key("End")
            if tip := page.text("#tip"):
                break
            page.settle()
        assert "-3.25" in tip and tip.startswith("step 5")
        page.click("#tab-Images")
        page.wait("document.querySelector('#panel img').naturalWidth === 4")
        assert page.errors == [] and all(r.startswith(server.url) for r in page.requests)
        page.evaluate("0")
        page.close()
