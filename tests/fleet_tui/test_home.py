"""The home a command works on, with what may be wrong in it."""

import json
from pathlib import Path

import pytest

from engine.configured import configured
from engine.errors import FleetError
from fleet_tui.cli import main


def refused(home: Path, text: str = "", **env: str) -> FleetError:
    """What is said of this configuration."""
    (home / "config.toml").write_text(text)
    with pytest.raises(FleetError) as caught:
        configured(home, env)
    assert caught.value.code == "usage.config"
    assert caught.value.next_step
    return caught.value


def test_a_configuration_that_is_a_folder(tmp_path: Path) -> None:
    """What cannot be read is named, with what to do; it is no mistake of ours."""
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(FleetError) as caught:
        configured(tmp_path)
    assert caught.value.code == "usage.config"
    assert caught.value.next_step


UNFIT = {
    "a rung that is none": "[repair]\nlevels = [9]",
    "a share above all": "[watch]\ndescriptors = 2.0",
    "a time without end": "[mail]\nretry_s = inf",
    "everybody's name": '[node]\nname = "all"',
    "a name that is a path": '[node]\nname = "../x"',
    "a preset that is a list": 'preset = ["lan"]',
    "lists without end": "a=" + "[" * 100_000,
    "a time beyond numbers": "[mail]\ncascade_s = 1e309",
    "a time that is no number": "[mail]\ncascade_s = nan",
    "a count beyond counting": "[store]\nkeep_days = 99999999999999999999",
    "a hub that is an option": '[git]\nhub = "--upload-pack=x"',
    "a hub that shows a password": '[git]\nhub = "https://me:secret@host/x.git"',
    "an address that is none": '[net]\nlisten = "$(x)"',
    "an address for others that is none": '[net]\nadvertise = ["-x"]',
    "a home of somebody else": '[cloud]\nsecret_file = "~nosuchuser/secret"',
    "a file's name with a NUL": '[ssh]\nkeys = ["/x", "a\\u0000b"]',
    "a user that is an option": '[ssh]\nuser = "-oProxyCommand=x"',
}


@pytest.mark.parametrize("text", UNFIT.values(), ids=UNFIT.keys())
def test_a_value_that_cannot_work_does_not_fit(home: Path, text: str) -> None:
    """`config check` looks at values, not only at types."""
    assert str(home / "config.toml") in refused(home, text).detail


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FLEET_NET_HTTP_PORT", "abc"),
        ("FLEET_NODE_NAME", "a,b"),
        ("FLEET_PRESET", "moon"),
        ("FLEET_CLOUD_SECRET_FILE", "~nosuchuser/secret"),
        ("FLEET_SSH_KEYS", "~nosuchuser/id_rsa"),
    ],
)
def test_a_variable_that_does_not_fit_is_named(home: Path, variable: str, value: str) -> None:
    """Not the file, which says nothing of it and need not exist."""
    said = refused(home, "", **{variable: value}).detail
    assert (variable in said, "config.toml" in said) == (True, False)


def test_a_variable_overrides_a_preset_of_the_file(home: Path) -> None:
    """The file's own is known, and not in force."""
    (home / "config.toml").write_text('preset = "wan"')
    assert configured(home, {"FLEET_PRESET": "solo"}).config.net.listen == "127.0.0.1"


@pytest.mark.parametrize("name", ["all", "role:x", "a,b", "../x", "-", "", "Mac 2", "x" * 300, "\x1b[2J"])
def test_what_cannot_be_a_name_makes_no_home(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Refused before anything is made, with one that can."""
    folder = home / "new"
    assert main(["--home", str(folder), "init", "--", name]) == 2
    assert not folder.exists()
    assert capsys.readouterr().err.count("x") < 200


def test_a_configured_home_is_named_in_the_next_step(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`restart` alone would be another node's."""
    assert main(["--home", str(home), "init", "atlas"]) == 0
    assert main(["--home", str(home), "init", "birch"]) == 2
    assert f"`fleet --home {home} restart`" in capsys.readouterr().err


def test_the_doctor_finds_a_configuration_that_does_not_fit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It looks at everything else with the defaults."""
    (home / "config.toml").write_text("[net]\nhttp_prt = 1\n")
    assert main(["--home", str(home), "doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in found if not one["ok"]].count("config.unfit") == 1
    assert "disk" in {one["check"] for one in found}


def test_what_the_environment_sets_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defaults are in force but for these; a variable that sets nothing is told, with the one that may be meant."""
    check = ["--home", str(home), "config", "check"]
    assert main(check) == 0
    assert capsys.readouterr().out == f"{home / 'config.toml'}: no file, the defaults are in force\n"
    for name, value in {"NET_HTTP_PORT": "9000", "NET_HTPP_PORT": "1", "COLOUR": "red", "HOME": str(home)}.items():
        monkeypatch.setenv(f"FLEET_{name}", value)
    assert main(check) == 0
    said, *strange = capsys.readouterr().out.splitlines()
    assert said.endswith("the defaults are in force; before it goes what the environment sets: FLEET_NET_HTTP_PORT")
    assert strange == ["FLEET_COLOUR names no key", "FLEET_NET_HTPP_PORT names no key; FLEET_NET_HTTP_PORT does"]
    main(["--home", str(home), "doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [one["subject"] for one in found if one["code"] == "config.variable"] == [
        "FLEET_COLOUR",
        "FLEET_NET_HTPP_PORT",
    ]
