"""The report in a real browser: it opens, sorts, filters, prints, is read without eyes or mouse, and asks nobody."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from torch import nn
from typer.testing import CliRunner

import edgeopt
from edgeopt.bundles import read_bundle
from edgeopt.cli.main import app
from edgeopt.reporting import Document, Point, gather, measured_path
from edgeopt.testing.deep_report import deep_report

pytestmark = pytest.mark.slow

HOSTILE = "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
VIEWS = {"wide": (1280, 900), "narrow": (390, 800)}


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a document; what the page logs, throws or asks for fails the test."""
    faults, contexts = [], []

    def show(document, *, scheme="light", view="wide"):
        width, height = VIEWS[view]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("request", lambda asked: asked.url.startswith("file:") or faults.append(asked.url))
        tab.goto(document.save(tmp_path / "report.html").as_uri())
        tab.wait_for_selector("table.layers tbody tr")
        return tab

    yield show
    for context in contexts:
        context.close()
    assert not faults


def document(calls=60, **fields):
    plain = {**deep_report(calls), **fields}
    return Document((gather(plain, name="deep"),))


def column(tab, number):
    return tab.locator(f"table.layers tbody tr > :nth-child({number})").all_inner_texts()


def test_a_head_sorts_and_sorts_back(opened):
    tab = opened(document())
    head = tab.get_by_role("button", name="SNR in dB", exact=True)
    place = [one.strip() for one in tab.locator("table.layers thead th").all_inner_texts()].index(
        "SNR in dB"
    ) + 1
    head.click()
    rising = [float(one) for one in column(tab, place)]
    assert rising == sorted(rising)
    assert tab.locator("th[aria-sort=ascending]").inner_text().startswith("SNR in dB")
    head.click()
    assert [float(one) for one in column(tab, place)] == rising[::-1]


def test_words_and_kind_filter_the_layers(opened):
    tab = opened(document(200))
    layers = tab.locator("section.layers")
    layers.get_by_label("Find").fill("blocks.3 add")
    assert layers.locator("output").inner_text() == "2 of 200"
    assert all("blocks.3" in one for one in tab.locator("table.layers td.module").all_inner_texts())
    layers.get_by_label("Find").fill("")
    layers.get_by_label("Kind").select_option("float")
    assert layers.locator("output").inner_text() == "3 of 200"


def test_a_row_opens_to_its_histogram(opened):
    tab = opened(document())
    tab.get_by_role("button", name="convolution_4", exact=True).first.click()
    detail = tab.locator("tr.detail")
    assert "zero point −50" in detail.inner_text()
    chart = detail.get_by_role("img")
    assert "grid from −1.4 to 3.2" in chart.get_attribute("aria-label")
    assert chart.locator("canvas").count() == 1


def test_the_button_changes_the_theme_and_charts_follow(opened):
    tab = opened(document())
    ground = "getComputedStyle(document.body).backgroundColor"
    before, picture = tab.evaluate(ground), tab.locator("section.memory canvas").screenshot()
    tab.get_by_role("button", name="Dark", exact=True).click()
    assert tab.evaluate(ground) != before
    assert tab.locator("section.memory canvas").screenshot() != picture
    tab.get_by_role("button", name="Light", exact=True).click()
    assert tab.evaluate(ground) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", list(VIEWS))
def test_nothing_keeps_people_out(opened, scheme, view):
    tab = opened(with_curves(document()), scheme=scheme, view=view)
    tab.get_by_role("button", name="convolution_4", exact=True).first.click()
    results = Axe().run(tab)
    assert not results.response["violations"], results.generate_report()
    assert tab.evaluate("document.documentElement.scrollWidth") <= VIEWS[view][0]


def with_curves(one):
    trials = tuple(
        Point(
            f"trial {n}",
            score=0.8 + n / 100,
            latency_ms=1.0 + n,
            size_bytes=1000 * n,
            front=n % 2 == 0,
            best=n == 4,
        )
        for n in range(1, 7)
    )
    runs = tuple(
        Point(
            "int8",
            latency_ms=2.0 + n / 10,
            low_ms=1.9,
            high_ms=2.9,
            unix_s=1_700_000_000 + 90_000 * n,
            series="pi4",
        )
        for n in range(5)
    )
    from msgspec.structs import replace

    return Document((replace(one.reports[0], search=trials, history=runs),))


def test_a_search_tells_what_lies_below_the_pointer(opened):
    tab = opened(with_curves(document()))
    section = tab.locator("section.search")
    section.scroll_into_view_if_needed()
    area = section.locator(".u-over").bounding_box()
    tab.mouse.move(area["x"] + area["width"] - 2, area["y"] + 20)
    assert "trial 6: score 0.86, 7 ms" in section.locator("output").inner_text()
    section.get_by_role("combobox").select_option("size_bytes")
    assert "size_bytes" in section.get_by_role("img").get_attribute("aria-label")


def test_a_measurement_before_is_a_row_of_the_history(opened):
    tab = opened(with_curves(document()))
    section = tab.locator("section.history")
    section.get_by_text("The numbers").click()
    assert section.locator(".numbers tbody tr").count() == 5


def test_the_flame_opens_a_module_and_goes_back(opened):
    tab = opened(document(200))
    flame = tab.locator(".flame")
    flame.locator("button.cell", has_text="blocks").first.focus()
    cells = flame.locator("button.cell").count()
    tab.keyboard.press("Enter")
    assert flame.locator("button.cell").count() < cells
    assert tab.locator("section.time output").inner_text().startswith("blocks (stages.")
    for _ in ("the stage", "all stages", "the model"):
        tab.keyboard.press("Enter")  # the focus is on the outermost, which leads out
    assert flame.locator("button.cell").count() == cells


def test_the_model_is_searched_and_walked_by_keyboard(opened):
    tab = opened(document(300))
    section = tab.locator("section.explorer")
    section.get_by_label("Find").fill("convolution_123")
    section.locator(".results button").first.click()
    details = section.locator(".details")
    assert details.locator("h3").inner_text() == "convolution_123"
    assert "networks/deep.py:23" in details.inner_text()
    section.locator("canvas[role=application]").focus()
    tab.keyboard.press("ArrowDown")
    assert details.locator("h3").inner_text() == "convolution_124"
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Enter")  # closes the block
    assert details.locator("h3").inner_text() == "stages.1.blocks.2"
    tab.keyboard.press("ArrowDown")
    assert details.locator("h3").inner_text() == "stages.1.blocks.3"


def test_a_click_on_a_box_tells_of_it(opened):
    tab = opened(document(5))
    section = tab.locator("section.explorer")
    canvas = section.locator("canvas[role=application]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    assert section.locator(".details h3").inner_text() == "convolution_0"


def test_two_thousand_calls_open_whole(opened):
    tab = opened(document(2000))
    tab.get_by_role("button", name="Open all").click()
    section = tab.locator("section.explorer")
    section.get_by_label("Find").fill("convolution_1999")
    section.locator(".results button").first.click()
    assert section.locator(".details h3").inner_text() == "convolution_1999"


def test_it_is_used_by_keyboard_from_the_start(opened):
    tab = opened(document())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.url.endswith("#main")
    tab.get_by_role("button", name="Value", exact=True).focus()
    tab.keyboard.press("Enter")
    assert tab.locator("th[aria-sort=descending]").count() == 1


def test_it_prints(opened):
    tab = opened(document(), scheme="dark")
    pages = tab.pdf(format="A4")
    assert pages.startswith(b"%PDF")
    assert len(pages) > 10_000
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.locator("header").is_visible()


def test_hostile_names_do_not_run(opened):
    plain = deep_report(40)
    for place, row in enumerate(plain["values"]):
        row.update(
            value=f"{HOSTILE}{place}",
            makes=f"{HOSTILE}{place}",
            module=f"{HOSTILE}.inner",
            reason=HOSTILE,
        )
        row.update(operator=HOSTILE, source=HOSTILE)
    plain |= {"target": HOSTILE, "warnings": [HOSTILE], "history": [{"name": HOSTILE}]}
    tab = opened(Document((gather(plain, name=HOSTILE), gather(plain, name=HOSTILE))))
    tab.locator("button.open").first.click()
    section = tab.locator("article").first.locator("section.explorer")
    section.get_by_label("Find").fill("script")
    section.locator(".results button").first.click()
    assert HOSTILE in section.locator(".details h3").inner_text()
    assert tab.evaluate("window.ran") is None
    assert tab.locator("img[src]").count() == 0


def test_two_bundles_are_compared_and_either_is_shown(opened):
    plain = deep_report(60)
    plain["statistics"][5]["snr_db"] -= 12
    other = Document((document().reports[0], gather(plain, name="worse")))
    tab = opened(other)
    assert tab.locator("#comparison table.changes tbody tr").count() == 1
    assert tab.locator("article:visible h1").inner_text() == "deep"
    tab.get_by_label("Details of").select_option(label="worse")
    assert tab.locator("article:visible h1").inner_text() == "worse"
    tab.get_by_role("link", name="Memory").click()
    assert tab.url.endswith("#memory-1")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(torch.sin(torch.relu(self.stem(x))).mean((2, 3)))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    pytest.importorskip("edgeopt_tflite")
    torch.manual_seed(0)
    data = [torch.randn(1, 3, 16, 16) for _ in range(40)]
    place = tmp_path_factory.mktemp("bundle") / "net"
    return edgeopt.deploy(
        Net().eval(),
        "host",
        example_inputs=data[0],
        calibration_data=data,
        backend="tflite",
        precision="int8",
        output=place,
    )


def test_a_bundle_holds_its_page_and_its_times_lie_beside_it(deployment, opened):
    bundle = read_bundle(deployment.bundle.path)
    page = bundle.read("report.html").decode()
    assert "int8 on host" in page
    assert "float32's time" not in page  # or two runs would give two bundles
    beside = json.loads(measured_path(bundle.path).read_text())
    assert beside["bundle_digest"] == bundle.digest
    tab = opened(edgeopt.report(bundle))
    assert "of float32's time" in tab.locator("table.figures").inner_text()
    kinds = dict(
        zip(
            column(tab, 1),
            tab.locator("table.layers td.float, table.layers td.integer").all_inner_texts(),
            strict=False,
        )
    )
    assert len(kinds) > 3
    row = tab.locator("table.layers tbody tr", has_text="sin").first.inner_text()
    assert "no integer kernel" in row
    assert "test_report_page.py:" in row


def test_times_of_another_bundle_are_not_shown(deployment, tmp_path):
    place = tmp_path / "other"
    shutil.copytree(deployment.bundle.path, place)
    plain = json.loads(measured_path(deployment.bundle.path).read_text())
    measured_path(place).write_text(json.dumps({**plain, "bundle_digest": "0" * 64}))
    (report,) = edgeopt.report(place).reports
    assert "not known here" in next(
        one.value for one in report.figures if one.title == "Speed beside float"
    )


def test_a_deployment_is_a_page_and_a_cell_of_a_notebook(deployment):
    assert deployment.to_html().startswith("<!doctype html>")
    cell = deployment._repr_html_()
    assert "<script" not in cell
    assert "<style" not in cell
    assert len(cell) < 10_000
    assert "Passes" in cell
    assert edgeopt.report(deployment.bundle)._repr_html_().count("<table>") == 1


def test_the_command_writes_the_page_of_what_deploy_printed(deployment, tmp_path):
    (tmp_path / "net.json").write_text(json.dumps(deployment.to_dict(), default=str))
    result = CliRunner().invoke(
        app, ["report", str(tmp_path / "net.json"), str(deployment.bundle.path)]
    )
    assert result.exit_code == 0, result.output
    page = (tmp_path / "net.report.html").read_text()
    assert "Comparison" in page
    assert "Passes" in result.output


def test_the_command_refuses_what_is_no_deployment(tmp_path):
    (tmp_path / "x.json").write_text('{"colour": "green"}')
    result = CliRunner().invoke(app, ["report", str(tmp_path / "x.json")])
    assert result.exit_code == 2
    assert "none of what is reported" in result.output


def test_a_bundle_without_a_page_is_still_reported(tmp_path):
    pytest.importorskip("edgeopt_tflite")
    data = [torch.randn(1, 3, 16, 16) for _ in range(4)]
    options = edgeopt.BundleOptions(page=False)
    edgeopt.deploy(
        Net().eval(),
        "host",
        example_inputs=data[0],
        calibration_data=data,
        bundle=options,
        output=tmp_path / "net",
        backend="tflite",
    )
    assert sorted(one.name for one in tmp_path.iterdir()) == ["net"]
    assert not (tmp_path / "net" / "report.html").exists()
    assert edgeopt.report(tmp_path / "net").reports[0].layers


def test_what_a_gate_refused_is_reported_from_what_the_command_printed(tmp_path):
    pytest.importorskip("edgeopt_tflite")
    torch.manual_seed(0)
    data = [torch.randn(1, 3, 16, 16) for _ in range(8)]
    scores = iter([1.0] + 50 * [0.5])

    def evaluate(fn):
        fn(data[0])
        return next(scores)

    with pytest.raises(edgeopt.errors.GateError) as refused:
        edgeopt.deploy(
            Net().eval(),
            "host",
            example_inputs=data[0],
            calibration_data=data,
            backend="tflite",
            precision="int8",
            evaluate=evaluate,
            max_drop=0.1,
        )
    error = {"error": {"type": "GateError", "deployment": refused.value.deployment.to_dict()}}
    (tmp_path / "refused.json").write_text(json.dumps(error))
    (report,) = edgeopt.report(tmp_path / "refused.json").reports
    assert report.state == "bad"
    assert report.verdict.startswith("Falls short: int8 on host loses more than was asked")
    assert "Accuracy is lost" in [one.title for one in report.findings]
    assert {"integer", "float"} <= {one.kind for one in report.layers}
    assert any(one.snr_db is not None for one in report.layers)
