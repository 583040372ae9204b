"""Every descriptor that is shipped: complete, sourced, and its derived figures recomputed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest

import edgeopt_targets
from edgeopt.registry import find_target, targets
from edgeopt.registry.descriptor import read_descriptor
from edgeopt.registry.isa import FEATURES, saturates, vector_bits

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.contracts import Target

FILES = sorted(edgeopt_targets.descriptors().glob("*.toml"))
PROMISED = {
    "rpi3", "rpi4", "rpi5", "rpi-zero2w", "jetson-orin-nano", "rock-5b", "imx8mp", "beagleplay",
    "nuc-n100", "nuc-12", "atom-x6425e", "xeon-spr", "core-ultra", "generic-aarch64",
    "generic-armv7", "generic-riscv64", "generic-x86-64-v2", "generic-x86-64-v3",
    "pico", "pico2", "pico2-riscv", "nano33ble", "portenta-h7", "stm32l4", "stm32u5", "alif-e7",
    "corstone-300-u55", "esp32-c3", "esp32-c6", "imx93", "generic-cortex-m0plus",
    "generic-cortex-m3", "generic-cortex-m4f", "generic-cortex-m7", "generic-cortex-m33", "generic-cortex-m55", "generic-rv32imc",
}  # fmt: skip
CYCLES = re.compile(r"(\d+) cores x ([\d.]+) GHz x (\d+) (?:FLOP|OP)/cycle")
BUS = re.compile(r"^(\d+) x (\d+) bit x (\d+) MT/s")


@pytest.fixture(params=FILES, ids=[path.stem for path in FILES])
def target(request: pytest.FixtureRequest) -> Target:
    path: Path = request.param
    read = read_descriptor(path)
    assert read.name == path.stem
    return read


def test_all_that_are_promised_are_there() -> None:
    assert {path.stem for path in FILES} == PROMISED
    assert set(targets()) == PROMISED | {"host"}


def test_every_figure_has_a_source(target: Target) -> None:
    needed = {"soc", "cpu.model", "cpu.cores", "cpu.isa", "cpu.mcpu", "cpu.vector_bits"}
    micro = target.microcontroller
    if micro is None:
        needed |= {"os.name", "os.glibc", "os.python"}
    else:
        needed |= {"microcontroller.regions", "microcontroller.zig_cpu"}
        needed |= {"microcontroller.emulator"} if micro.emulator else set()
        needed |= {"microcontroller.reserved_flash_kb"} if micro.reserved_flash_kb else set()
        needed |= {"microcontroller.reserved_ram_kb"} if micro.reserved_ram_kb != 4 else set()
    needed |= {"npu.model", "npu.system", "npu.memory_mode"} if target.npu else set()
    needed |= {"memory_mb"} if target.memory_mb else set()
    needed |= {"cpu.max_mhz"} if target.cpu.max_mhz else set()
    needed |= {"cpu.fast_cores"} if target.cpu.fast_cores else set()
    needed |= {"quantization.weight_bits"} if target.quantization.weight_bits != 8 else set()
    assert needed - set(target.sources) == set()


def test_features_are_known_and_fit_the_vectors_and_the_integers(target: Target) -> None:
    assert set(target.cpu.isa) <= FEATURES[target.cpu.arch]
    assert vector_bits(target.cpu.isa, target.cpu.arch) == target.cpu.vector_bits
    assert saturates(target.cpu.isa, target.cpu.arch) == (target.quantization.weight_bits == 7)
    assert (target.quantization.activations == "uint8") == (target.cpu.arch == "x86_64")


def test_derived_rates_are_what_their_arithmetic_gives(target: Target) -> None:
    for rate in target.rates:
        cycles = CYCLES.findall(rate.source)
        bus = BUS.match(rate.source)
        if cycles:
            giga = sum(int(n) * float(ghz) * int(ops) for n, ghz, ops in cycles)
            assert rate.value == pytest.approx(giga, rel=1e-3)
            assert sum(int(n) for n, _, _ in cycles) == target.cpu.cores
            assert max(float(ghz) for _, ghz, _ in cycles) * 1000 <= target.cpu.max_mhz
        elif bus:
            channels, bits, mega = map(int, bus.groups())
            assert rate.value == pytest.approx(channels * bits / 8 * mega / 1000, rel=1e-3)
        else:
            assert rate.what == "memory_gb_s", "a computing rate shows its arithmetic"
            assert f"{rate.value:g} GB/s" in rate.source


def test_a_device_with_a_known_clock_has_a_peak_rate(target: Target) -> None:
    if target.cpu.max_mhz and target.cpu.arch != "riscv32":  # their manuals time no instruction
        expected = "int8_gops" if target.microcontroller else "fp32_gflops"
        assert expected in {rate.what for rate in target.rates}


def test_backends_are_preferred_by_architecture(target: Target) -> None:
    first = {"aarch64": "tflite", "armv7": "tflite", "riscv64": "tvm", "x86_64": "openvino"}
    assert target.backends[0] == first.get(target.cpu.arch, "micro")
    assert set(target.backends) <= {"tflite", "openvino", "tvm", "micro"}


def test_every_alias_finds_its_target(target: Target) -> None:
    for alias in target.aliases:
        assert find_target(alias) == target


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("raspberry-pi-4", "rpi4"),
        ("raspberrypi4", "rpi4"),
        ("Raspberry Pi 4", "rpi4"),
        ("pi4", "rpi4"),
        ("RPI_4", "rpi4"),
        ("rpi_zero_2w", "rpi-zero2w"),
        ("raspberry pi zero 2 w", "rpi-zero2w"),
        ("i.MX8MP", "imx8mp"),
        ("NUC12", "nuc-12"),
        ("x86_64-v3", "generic-x86-64-v3"),
        ("arm64", "generic-aarch64"),
        ("Raspberry Pi Pico 2", "pico2"),
        ("RP2040", "pico"),
        ("Arduino Nano 33 BLE", "nano33ble"),
        ("STM32H747", "portenta-h7"),
        ("ESP32C3", "esp32-c3"),
        ("cortex-m55", "generic-cortex-m55"),
    ],
)
def test_names_as_people_say_them(said: str, meant: str) -> None:
    assert find_target(said).name == meant


LLVM_NAMES = {
    "fp16": "fullfp16", "vfpv3": "vfp3", "vfpv4": "vfp4", "sse4_1": "sse4.1", "sse4_2": "sse4.2",
    "pclmulqdq": "pclmul", "sha_ni": "sha", "bmi1": "bmi", "lahf_lm": "sahf",
    "amx_int8": "amx-int8", "avx_vnni": "avxvnni", "amx_tile": "amx-tile", "amx_bf16": "amx-bf16",
}  # fmt: skip


@pytest.mark.slow
def test_llvm_knows_the_core_and_agrees_on_its_features(target: Target) -> None:
    if target.microcontroller is not None:
        target = msgspec.structs.replace(target, cpu=msgspec.structs.replace(target.cpu, isa=()))
    tvm = pytest.importorskip("tvm", reason="asks the LLVM inside TVM")
    machine = tvm.target.Target(
        {"kind": "llvm", "mtriple": target.cpu.triple, "mcpu": target.cpu.mcpu}
    )
    assert target.cpu.mcpu in map(str, tvm.target.codegen.llvm_get_cpu_archlist(machine))
    has = set(map(str, tvm.target.codegen.llvm_get_cpu_features(machine)))
    ours = {LLVM_NAMES.get(name, name.replace("avx512_", "avx512")) for name in target.cpu.isa}
    assert ours - has == set()
