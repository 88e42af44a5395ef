import pytest

from builder.errors import ExitCode, PreflightError
from builder.settings import Settings
from builder.vm.sizes import resolve_size

BIG = {"host_cpus": 64, "host_memory_mib": 1 << 20}


@pytest.mark.parametrize(
    ("name", "cpus", "memory"),
    [
        ("Standard_D1_v2", 1, 3584),
        ("standard_d2S_V5", 2, 8192),
        ("Standard_B1ls", 1, 512),
        ("Standard_DS1_v2", 1, 3584),
        ("Standard_D2ds_v4", 2, 8192),
        ("Standard_A1_v2", 1, 2048),
        ("Standard_E64s_v3", 64, 432 * 1024),
        ("Standard_F4s_v2", 4, 8192),
        ("Standard_D2ls_v6", 2, 4096),
        (" Standard_D2as_v6 ", 2, 8192),
    ],
)
def test_known_sizes_without_regard_to_case(name, cpus, memory):
    size = resolve_size(name, Settings(), **BIG)
    assert (size.cpus, size.memory_mib, size.notes) == (cpus, memory, ())


def test_empty_means_the_settings_defaults():
    size = resolve_size("", Settings(default_cpus=3, default_memory_mib=3000), **BIG)
    assert (size.name, size.cpus, size.memory_mib) == ("", 3, 3000)


def test_unknown_size_names_close_ones():
    with pytest.raises(PreflightError) as caught:
        resolve_size("Standard_D2_v22", Settings(), **BIG)
    assert "Standard_D2_v2" in caught.value.details[0]
    assert caught.value.exit_code is ExitCode.BAD_TEMPLATE


def test_size_without_its_prefix_is_recognised():
    with pytest.raises(PreflightError) as caught:
        resolve_size("D2s_v5", Settings(), **BIG)
    assert "Standard_D2s_v5" in caught.value.details[0]


def test_nonsense_gets_no_suggestion_but_a_hint():
    with pytest.raises(PreflightError) as caught:
        resolve_size("???", Settings(), **BIG)
    assert caught.value.details == ()
    assert caught.value.hint is not None


def test_arm64_is_refused_as_such():
    with pytest.raises(PreflightError, match="Arm64"):
        resolve_size("Standard_D2ps_v5", Settings(), **BIG)


def test_bounded_by_the_host_and_said():
    size = resolve_size("Standard_D16s_v5", Settings(), host_cpus=4, host_memory_mib=8192)
    assert (size.cpus, size.memory_mib) == (4, 7168)
    assert len(size.notes) == 2
    assert "16 vCPUs" in size.notes[0]
    assert "65536 MiB" in size.notes[1]


def test_a_tiny_host_still_gives_the_least():
    assert resolve_size("", Settings(), host_cpus=1, host_memory_mib=300).memory_mib == 512


def test_a_constrained_size_has_the_memory_of_the_whole_one_and_fewer_cpus():
    size = resolve_size("Standard_E4-2s_v5", Settings(), host_cpus=64, host_memory_mib=1 << 20)
    assert (size.cpus, size.memory_mib, size.notes) == (2, 32768, ())


@pytest.mark.parametrize(
    ("name", "cpus"),
    [
        ("Standard_NC4as_T4_v3", 4),
        ("Standard_NV6ads_A10_v5", 6),
        ("Standard_HB120rs_v3", 120),
        ("Standard_DC2s_v3", 2),
        ("Standard_M8ms", 8),
        ("Standard_ND96amsr_A100_v4", 96),
    ],
)
def test_a_size_of_a_special_family_is_taken_by_its_name_and_said(name, cpus):
    size = resolve_size(name, Settings(), host_cpus=128, host_memory_mib=1 << 20)
    assert (size.name, size.cpus, size.memory_mib) == (name, cpus, cpus * 4096)
    assert "not in the table" in size.notes[0]


def test_what_a_host_can_spare_comes_in_steps():
    """Otherwise no memory snapshot would ever fit the next build."""
    seen = {
        resolve_size("Standard_E64s_v3", Settings(), host_cpus=2, host_memory_mib=free).memory_mib
        for free in (20_000, 20_100, 19_990)
    }
    assert seen == {18 * 1024 + 1024}
