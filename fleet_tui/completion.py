"""Completion scripts for shells, written from the table of verbs. Pure and static: a script asks nobody anything."""

from collections.abc import Callable

from fleet_tui.cli import GLOBAL
from fleet_tui.verbs import VERBS, Arg, Verb

EVERYWHERE = [*(flag for flags, _ in GLOBAL for flag in flags), "--help"]
ALONE = ["--version", "--daemon", "--tcp", "--no-detach"]

BASH = """\
_fleet() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= said
    for said in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $said in %(names)s) command=$said; break ;; esac
    done
    case $command:$before in
%(choices)s
        *:--home) COMPREPLY=($(compgen -d -- "$word")); return ;;
    esac
    case $command in
%(commands)s
        *) said="%(top)s" ;;
    esac
    COMPREPLY=($(compgen -W "$said" -- "$word"))
}
complete -F _fleet fleet
"""


def bash() -> str:
    """For bash 4 and newer."""
    names = [verb.name for verb in VERBS]
    choices = [
        f"        {'|'.join(f'{verb.name}:{flag}' for flag in one.flags)})"
        f' COMPREPLY=($(compgen -W "{" ".join(map(str, one.how["choices"]))}" -- "$word")); return ;;'
        for verb in VERBS
        for one in verb.args
        if "choices" in one.how and one.flags[0].startswith("-")
    ]
    commands = [f'        {verb.name}) said="{" ".join([*_words(verb), *EVERYWHERE])}" ;;' for verb in VERBS]
    parts = {
        "names": "|".join(names),
        "choices": "\n".join(choices),
        "commands": "\n".join(commands),
        "top": " ".join([*names, *ALONE, *EVERYWHERE]),
    }
    return BASH % parts


def zsh() -> str:
    """For zsh, through its own bash layer."""
    return "autoload -U +X bashcompinit && bashcompinit\n" + bash()


def fish() -> str:
    """For fish."""
    lines = ["complete -c fleet -f"]
    for flags, how in GLOBAL:
        lines.append(f"complete -c fleet {_fish_flags(flags)} -d {_quoted(how['help'])}")
    for verb in VERBS:
        lines.append(f"complete -c fleet -n __fish_use_subcommand -a {verb.name} -d {_quoted(verb.help)}")
        lines += [_fish_arg(verb, one) for one in verb.args if _is_flag(one) or "choices" in one.how]
    return "\n".join(lines) + "\n"


def _fish_arg(verb: Verb, one: Arg) -> str:
    choices = f" -x -a {_quoted(' '.join(map(str, one.how['choices'])))}" if "choices" in one.how else ""
    flags = f" {_fish_flags(one.flags)}" if _is_flag(one) else ""
    about = f" -d {_quoted(one.how['help'])}" if "help" in one.how else ""
    return f"complete -c fleet -n '__fish_seen_subcommand_from {verb.name}'{flags}{choices}{about}"


def _fish_flags(flags: tuple[str, ...]) -> str:
    return " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in flags)


def _words(verb: Verb) -> list[str]:
    """What may follow a command: its flags, and the choices of its positional arguments."""
    flags = [flag for one in verb.args if _is_flag(one) for flag in one.flags if flag.startswith("--")]
    return [word for one in verb.args if not _is_flag(one) for word in one.how.get("choices", ())] + flags


def _is_flag(one: Arg) -> bool:
    return one.flags[0].startswith("-")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
