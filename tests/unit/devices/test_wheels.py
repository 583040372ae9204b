from __future__ import annotations

import zipfile

import pytest

from edgeopt.devices.merge import merge_installed
from edgeopt.devices.wheels import Interpreter, install_wheels
from edgeopt.errors import DeviceError
from edgeopt.testing.device_conformance import small_wheel

pytestmark = pytest.mark.slow

ELSEWHERE = Interpreter(
    version="3.9",
    platforms=("manylinux_2_31_riscv64", "linux_riscv64"),
    markers={
        "implementation_name": "cpython",
        "implementation_version": "3.9.2",
        "os_name": "posix",
        "platform_machine": "riscv64",
        "platform_python_implementation": "CPython",
        "platform_release": "6.1",
        "platform_system": "Linux",
        "platform_version": "1",
        "python_full_version": "3.9.2",
        "python_version": "3.9",
        "sys_platform": "linux",
    },
)


def wheel_that_needs(folder, name, *needs):
    """Returns a wheel with requirements."""
    path = small_wheel(folder, name)
    with zipfile.ZipFile(path) as old:
        files = {entry: old.read(entry).decode() for entry in old.namelist()}
    info = f"{name}-1.0.dist-info"
    files[f"{info}/METADATA"] += "".join(f"Requires-Dist: {need}\n" for need in needs)
    rows = [row for row in files[f"{info}/RECORD"].splitlines() if "METADATA" not in row]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/METADATA,,"]) + "\n"
    with zipfile.ZipFile(path, "w") as new:
        for entry, text in files.items():
            new.writestr(entry, text)
    return path


def test_conditions_are_those_of_the_other_machine(tmp_path):
    (tmp_path / "wheels").mkdir()
    there = small_wheel(tmp_path / "wheels", "only_there")
    here = small_wheel(tmp_path / "wheels", "only_here")
    wheel = wheel_that_needs(
        tmp_path,
        "main_one",
        f"only_there @ file://{there} ; platform_machine == 'riscv64' and python_version < '3.10'",
        f"only_here @ file://{here} ; platform_machine != 'riscv64'",
    )
    install_wheels([str(wheel)], tmp_path / "site", where="there", python=ELSEWHERE)
    assert sorted(p.name for p in (tmp_path / "site").glob("*.py")) == [
        "main_one.py",
        "only_there.py",
    ]
    install_wheels([str(wheel)], tmp_path / "local", where="here")
    assert sorted(p.name for p in (tmp_path / "local").glob("*.py")) == [
        "main_one.py",
        "only_here.py",
    ]


def tagged(folder, name, tag):
    return str(small_wheel(folder, name).rename(folder / f"{name}-1.0-{tag}.whl"))


def test_wheels_that_fit_the_other_machine_are_taken(tmp_path):
    tags = ["py3-none-any", "cp39-cp39-manylinux_2_31_riscv64", "cp38-abi3-linux_riscv64"]
    wheels = [tagged(tmp_path, f"probe{i}", tag) for i, tag in enumerate(tags)]
    install_wheels(wheels, tmp_path / "site", where="there", python=ELSEWHERE)
    assert len(list((tmp_path / "site").glob("probe?.py"))) == 3


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_31_riscv64",
        "cp39-cp39-manylinux_2_35_riscv64",
        "cp39-cp39-manylinux2014_x86_64",
    ],
)
def test_wheels_that_do_not_are_refused_by_name(tmp_path, tag):
    wheel = tagged(tmp_path, "edgeopt_probe", tag)
    with pytest.raises(DeviceError, match=r"edgeopt_probe.* is not a supported wheel"):
        install_wheels([wheel], tmp_path / "site", where="there", python=ELSEWHERE)
    assert not (tmp_path / "site").exists()


def test_a_failed_install_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    install_wheels([str(small_wheel(tmp_path))], tmp_path / "site", where="here")
    before = sorted(path.name for path in (tmp_path / "site").rglob("*"))
    with pytest.raises(DeviceError, match="edgeopt-no-such-thing==9") as caught:
        install_wheels(
            [str(small_wheel(tmp_path, version="2.0")), "edgeopt-no-such-thing==9"],
            tmp_path / "site",
            where="here",
        )
    assert "no wheel" in caught.value.what
    assert sorted(path.name for path in (tmp_path / "site").rglob("*")) == before
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".draft")] == []


def test_a_source_distribution_is_not_built(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "edgeopt_src-1.0.tar.gz").write_bytes(b"never read")
    with pytest.raises(DeviceError, match="edgeopt-src"):
        install_wheels(["edgeopt-src"], tmp_path / "site", where="here")


def installed(root, name, version, **files):
    info = root / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    rows = []
    for path, text in files.items():
        file = root / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        rows.append(f"{file.relative_to(root)},,")
    (info / "RECORD").write_text("\n".join([*rows, f"{info.name}/RECORD,,", ""]))
    return root


def test_distributions_that_share_a_folder_go_on_sharing(tmp_path):
    site = installed(tmp_path / "site", "one", "1", google__one="1", google__old="1")
    installed(site, "two", "1", google__two="1")
    new = installed(tmp_path / "new", "One", "2", google__one="2")
    merge_installed(new, site)
    assert {p.name: p.read_text() for p in (site / "google").iterdir()} == {"one": "2", "two": "1"}
    assert sorted(p.name for p in site.glob("*.dist-info")) == [
        "One-2.dist-info",
        "two-1.dist-info",
    ]


def test_a_record_cannot_remove_what_is_outside(tmp_path):
    (tmp_path / "precious").write_text("x")
    site = installed(tmp_path / "site", "one", "1", module="1")
    (site / "one-1.dist-info" / "RECORD").write_text(
        f"module,,\n../precious,,\n{tmp_path / 'precious'},,\none-1.dist-info/RECORD,,\n"
    )
    merge_installed(installed(tmp_path / "new", "one", "2", other="2"), site)
    assert (tmp_path / "precious").read_text() == "x"
    assert not (site / "module").exists()
