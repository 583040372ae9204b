"""This machine as a target, and others from what their systems say."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from edgeopt.errors import TargetError
from edgeopt.registry import detect_host, find_target, targets
from edgeopt.registry.cpuinfo import parse_cpuinfo
from edgeopt.registry.descriptor_rules import broken_rules
from edgeopt.registry.host import MachineFacts, _arch, host_target
from edgeopt.registry.limits import fast_cores, max_mhz, memory_mb, usable_cores

PI4 = """\
processor\t: {n}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""
PI5 = PI4.replace("0xd08", "0xd0b").replace(
    "fp asimd evtstrm crc32 cpuid",
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop"
    " asimddp",
)
PI4_32_BIT = """\
processor\t: 0
model name\t: ARMv7 Processor rev 3 (v7l)
Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32
CPU implementer\t: 0x41
CPU part\t: 0xd08
Hardware\t: BCM2711
"""
N100 = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) N100
flags\t\t: fpu sse sse2 ht pni pclmulqdq ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt aes xsave avx\
 f16c lahf_lm abm bmi1 avx2 bmi2 sha_ni avx_vnni gfni vaes vpclmulqdq
"""
HASWELL = N100.replace(" avx_vnni gfni vaes vpclmulqdq", "").replace("N100", "Core i5-4590")
VISIONFIVE = """\
processor\t: 0
hart\t\t: 1
isa\t\t: rv64imafdc_zicntr_zicsr_zifencei_zba_zbb
mmu\t\t: sv39
uarch\t\t: sifive,u74-mc
"""


def _facts(text: str, arch: str, *, system: str = "Linux", board: str = "") -> MachineFacts:
    return MachineFacts(
        system=system,
        arch=arch,  # type: ignore[arg-type]
        processor=parse_cpuinfo(text, arch, board=board),  # type: ignore[arg-type]
        cores=4,
        fast_cores=0,
        max_mhz=0,
        memory_mb=0,
        os_name="Debian",
        glibc="2.36",
        python="3.11",
    )


def test_this_machine() -> None:
    host = detect_host()
    assert host.name == "host"
    assert host.os.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert 1 <= host.cpu.cores <= (os.cpu_count() or 1)
    assert host.memory_mb > 0
    assert host.cpu.model
    assert broken_rules(host) == []
    assert find_target("host") == find_target("LocalHost") == targets()["host"] == host


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_this_machine_has_the_features_that_the_kernel_lists() -> None:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    isa = detect_host().cpu.isa
    for kernel, ours in (("avx2", "avx2"), ("avx512_vnni", "avx512_vnni"), ("asimddp", "dotprod")):
        assert (f" {kernel} " in text) == (ours in isa)


def test_a_pi_4() -> None:
    text = "\n".join(PI4.format(n=n) for n in range(4))
    board = "Raspberry Pi 4 Model B Rev 1.4"
    host, known = host_target(_facts(text, "aarch64", board=board)), find_target("rpi4")
    assert host.soc == board
    assert set(host.cpu.isa) == set(known.cpu.isa)
    assert (host.cpu.model, host.cpu.mcpu) == (known.cpu.model, known.cpu.mcpu)
    assert host.cpu.vector_bits == known.cpu.vector_bits
    assert host.quantization == known.quantization
    assert host.backends == known.backends
    assert host.cpu.triple == known.cpu.triple


def test_a_pi_5() -> None:
    host, known = host_target(_facts(PI5, "aarch64")), find_target("rpi5")
    assert set(host.cpu.isa) == set(known.cpu.isa)
    assert host.cpu.mcpu == known.cpu.mcpu


def test_a_big_little_chip_is_its_big_core_with_the_features_of_both() -> None:
    little = PI5.replace("0xd0b", "0xd05").replace(" asimddp", "")
    host = host_target(_facts(little + PI5, "aarch64"))
    assert host.cpu.mcpu == "cortex-a76"
    assert "dotprod" not in host.cpu.isa
    assert "fp16" in host.cpu.isa


def test_a_32_bit_system_on_a_64_bit_core() -> None:
    host = host_target(_facts(PI4_32_BIT, "armv7"))
    assert host.cpu.isa == ("neon", "vfpv3", "vfpv4", "crc")
    assert host.cpu.triple == "arm-linux-gnueabihf"
    assert host.soc == "BCM2711"
    assert _arch("aarch64", bits=32) == "armv7"


def test_an_n100_has_vnni_and_so_8_bit_weights() -> None:
    host = host_target(_facts(N100, "x86_64"))
    known = find_target("nuc-n100")
    assert set(host.cpu.isa) == set(known.cpu.isa)
    assert host.quantization == known.quantization
    assert host.cpu.mcpu == "alderlake"


def test_an_avx2_machine_gets_7_bit_weights() -> None:
    host = host_target(_facts(HASWELL, "x86_64"))
    assert host.quantization == find_target("generic-x86-64-v3").quantization
    assert host.cpu.mcpu == "x86-64-v3"
    assert host.backends[0] == "openvino"


def test_a_risc_v_board() -> None:
    host = host_target(_facts(VISIONFIVE, "riscv64", board="StarFive VisionFive 2"))
    assert host.cpu.isa == ("i", "m", "a", "f", "d", "c", "zba", "zbb")
    assert host.cpu.vector_bits == 0
    assert host.cpu.mcpu == find_target("generic-riscv64").cpu.mcpu
    assert host.backends == ("tvm",)
    assert broken_rules(host) == []


def test_a_mac_has_a_triple_of_its_own() -> None:
    host = host_target(_facts("", "aarch64", system="Darwin"))
    assert host.cpu.triple == "arm64-apple-macosx"
    assert broken_rules(host) == []


def test_an_empty_cpuinfo_claims_nothing() -> None:
    host = host_target(_facts("", "x86_64"))
    assert host.cpu.isa == ()
    assert host.quantization.weight_bits == 7
    assert host.cpu.mcpu == "x86-64"


def test_an_emulated_program_is_not_fooled_by_the_features_of_the_machine_below() -> None:
    host = host_target(_facts(N100, "aarch64"))
    assert host.cpu.isa == ("neon",)
    assert (host.cpu.mcpu, host.cpu.vector_bits) == ("generic", 128)


def test_a_family_that_nobody_knows() -> None:
    with pytest.raises(TargetError, match="family 's390x', which edgeopt does not know"):
        _arch("s390x", bits=64)


def test_a_container_limits_cores_and_memory(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text(f"{256 * 2**20}\n")
    assert usable_cores(tmp_path) == 1
    assert memory_mb(tmp_path) == 256


def test_a_container_of_the_old_kind(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "memory").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{128 * 2**20}\n")
    assert usable_cores(tmp_path) == 1
    assert memory_mb(tmp_path) == 128


def test_a_container_without_limits(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    whole = memory_mb(tmp_path / "nothing")
    assert usable_cores(tmp_path) == len(os.sched_getaffinity(0))
    assert memory_mb(tmp_path) == whole > 0


def test_clocks_tell_fast_cores_from_slow_ones(tmp_path: Path) -> None:
    first, *others = sorted(os.sched_getaffinity(0))
    for cpu, khz in [(first, 2400000), *((cpu, 1800000) for cpu in others)]:
        folder = tmp_path / f"cpu{cpu}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(f"{khz}\n")
    assert max_mhz(tmp_path) == 2400
    assert fast_cores(tmp_path) == (1 if others else 0)
    assert max_mhz(tmp_path / "nothing") == fast_cores(tmp_path / "nothing") == 0


def test_the_system_is_named() -> None:
    assert detect_host().os.name
    assert detect_host().os.glibc == (
        platform.libc_ver()[1] if platform.libc_ver()[0] == "glibc" else ""
    )
