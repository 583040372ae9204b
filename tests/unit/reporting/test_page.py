"""The page: whole, small, and no place for other people's markup."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edgeopt.errors import InputError
from edgeopt.reporting import (
    MAX_PAGE_BYTES,
    Finding,
    Layer,
    Report,
    gather,
    report_page,
    report_summary,
)
from edgeopt.reporting.compare import changed_layers
from edgeopt.reporting.page import SCRIPTS, asset, page_data
from edgeopt.testing.deep_report import deep_report

ROOT = Path(__file__).parents[3]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028\"'&<!--"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [
            value for name, value in attrs if name in ("src", "href", "action", "srcset")
        ]


def tags(page):
    parser = Tags()
    parser.feed(page)
    return parser


def hostile_report():
    layer = Layer(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, "float", HOSTILE, 1, 1, (1,))
    finding = Finding(HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,))
    return Report(
        title=HOSTILE,
        subtitle=HOSTILE,
        state="good",
        verdict=HOSTILE,
        warnings=(HOSTILE,),
        findings=(finding,),
        layers=(layer,),
        steps=((HOSTILE, HOSTILE),),
        facts={HOSTILE: HOSTILE},
    )


def plain_report():
    layer = Layer("a", "a", "a", "a", "a", "float", "a", 1, 1, (1,))
    finding = Finding("a", "a", ("a",), ("a",))
    return Report(
        "a",
        "a",
        "good",
        "a",
        (),
        (finding,),
        ("a",),
        (layer,),
        steps=(("a", "a"),),
        facts={"a": "a"},
    )


def test_hostile_names_add_no_tag():
    assert tags(report_page(hostile_report())).tags == tags(report_page(plain_report())).tags


def test_hostile_names_add_no_tag_in_a_comparison_and_in_a_notebook():
    both = report_page(hostile_report(), plain_report())
    assert tags(both).tags.count("script") == len(SCRIPTS) + 1
    assert "img" not in tags(both).tags
    assert {"script", "img"}.isdisjoint(tags(report_summary(hostile_report())).tags)


def test_the_page_asks_for_nothing_else():
    addresses = tags(report_page(gather(deep_report(30)))).addresses
    assert addresses
    assert all(one.startswith("#") for one in addresses)


def test_the_policy_names_the_digest_of_each_script_and_nothing_from_elsewhere():
    page = report_page(plain_report())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    assert len(re.findall(r"'sha256-", policy.split("style-src")[0])) == len(SCRIPTS)
    assert "unsafe" not in policy
    assert "http" not in policy


def test_no_script_of_the_page_sets_markup():
    for name in SCRIPTS:
        if not name.startswith("vendor/"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", asset(name)
            )


def test_two_thousand_calls_stay_below_the_limit():
    page = report_page(gather(deep_report(2000)))
    assert len(page.encode()) < MAX_PAGE_BYTES
    assert '"rows":[[' in page


def test_more_than_fits_is_left_out_and_said():
    page = report_page(gather(deep_report(8000)))
    assert len(page.encode()) <= MAX_PAGE_BYTES
    assert re.search(r"only the first \d+ of 8000 calls are shown", page)


def test_the_same_report_gives_the_same_bytes():
    assert report_page(gather(deep_report(50))) == report_page(gather(deep_report(50)))


def test_tables_hold_what_the_report_does():
    report = gather(deep_report(40))
    table = json.loads(json.dumps(page_data(report)))["layers"]
    for layer, row in zip(report.layers, table["rows"], strict=True):
        cells = [*row, *table["defaults"][len(row) :]]
        read = {
            name: table["words"][cell] if at in table["texts"] and at < len(row) else cell
            for at, (name, cell) in enumerate(zip(table["fields"], cells, strict=True))
        }
        assert read == {
            name: json.loads(json.dumps(value)) for name, value in layer_dict(layer).items()
        }


def layer_dict(layer):
    return {name: getattr(layer, name) for name in layer.__struct_fields__}


def test_nothing_is_no_report():
    with pytest.raises(InputError, match="nothing to report"):
        report_page()


def test_a_comparison_lists_the_layers_that_differ_the_largest_loss_first():
    plain = deep_report(20)
    before = gather(plain)
    for place, row in enumerate(plain["statistics"]):
        row["snr_db"] -= {3: 5.0, 7: 9.0, 9: 0.2}.get(place, 0.0)
    plain["values"][12]["kind"] = "float"
    changes = changed_layers(before, gather(plain))
    assert [new.value for _, new in changes] == ["convolution_7", "convolution_3", "convolution_12"]
    page = report_page(before, gather(plain))
    assert "3 layers that differ between A and B" in page


def test_vendored_libraries_are_what_their_table_says():
    command = [sys.executable, "scripts/vendor_assets.py", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
