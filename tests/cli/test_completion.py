"""Shell completion: the scripts that --install-completion writes, and the words that they then offer."""

from pathlib import Path

import pytest
from calls import called

from convlstm_cli.cli.app import COMMANDS, NAME
from convlstm_cli.training.config import TrainConfig

SCRIPTS = {
    "bash": (".bash_completions/convlstm.sh", "complete -o default -F _convlstm_completion convlstm"),
    "zsh": (".zfunc/_convlstm", "#compdef convlstm"),
    "fish": (".config/fish/completions/convlstm.fish", "complete --command convlstm"),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder to install into."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_a_shell_is_shown_and_installed(shell: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: (shell, f"/bin/{shell}"))
    file, line = SCRIPTS[shell]
    script = called("--show-completion", cwd=home).stdout
    assert line in script
    assert "_CONVLSTM_COMPLETE" in script
    assert f"{shell} completion installed" in called("--install-completion", cwd=home).stdout
    assert (home / file).read_text().strip() == script.strip()


def offered(line: str, cwd: Path) -> set[str]:
    """The words that bash offers for a line, whose last word is being typed."""
    environment = {
        "_CONVLSTM_COMPLETE": "complete_bash",
        "COMP_WORDS": f"{NAME} {line}",
        "COMP_CWORD": str(len(line.split(" "))),
    }
    return set(called(cwd=cwd, environment=environment).stdout.split())


def test_commands_options_and_choices_are_offered(tmp_path: Path) -> None:
    assert offered("", tmp_path) == set(COMMANDS)
    assert offered("ex", tmp_path) == {"explain", "export"}
    assert {"--epochs", "--epoch-steps"} == offered("train --epoch", tmp_path)
    assert offered("train --fit ", tmp_path) == {"pad", "crop", "stretch"}
    assert offered("train --preset b", tmp_path) == {"base"}
    assert TrainConfig.loss in offered("train --loss ", tmp_path)
