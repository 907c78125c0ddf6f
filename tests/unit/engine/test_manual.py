"""The help teaches what is true: examples can be typed, every command speaks to machines."""

from __future__ import annotations

import argparse
import ast
import inspect
import shlex
import sys

import pytest

from engine import cli, commands, commands_manual

PROCESSES = {"up", "gateway", "stage", "projector", "tracer", "localnet"}
"""They run until they are stopped, and say one line."""
PARSER = commands.parser(commands.names())
LEAVES = {leaf.prog: leaf for leaf in commands_manual.leaves(PARSER)}


def words(example: str) -> list[str]:
    """What the shell would hand to `engine`."""
    parts = shlex.split(example.split(" > ", maxsplit=1)[0])
    while "=" in parts[0]:
        del parts[0]
    assert parts[0] == "engine"
    return parts[1:]


@pytest.mark.parametrize("name", commands.names())
def test_every_example_can_be_typed_and_is_of_its_command(name: str) -> None:
    examples = commands.command(name).EXAMPLES
    assert examples
    for example in examples:
        assert PARSER.parse_args(words(example)).command == name


@pytest.mark.parametrize("name", commands.names())
def test_the_help_of_a_command_has_its_examples_and_its_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    command = commands.command(name)
    assert all(example in out for example in command.EXAMPLES)
    assert all(f"  {code:<3} {meaning}" in out for code, meaning in command.EXITS.items())
    assert 0 in command.EXITS


@pytest.mark.parametrize("called", [c for c in LEAVES if c.split()[1] not in PROCESSES])
def test_every_command_that_prints_does_so_for_machines(called: str) -> None:
    options = [
        word
        for action in commands_manual.arguments(LEAVES[called])
        for word in action.option_strings
    ]
    assert "--json" in options


@pytest.mark.parametrize("called", LEAVES)
def test_every_argument_has_a_help_text(called: str) -> None:
    silent = [
        a.dest for a in commands_manual.arguments(LEAVES[called]) if not (a.help or a.choices)
    ]
    assert silent == []


@pytest.mark.parametrize("name", commands.names())
def test_a_command_reads_only_arguments_that_it_declares(name: str) -> None:
    declared = {
        action.dest
        for called, leaf in LEAVES.items()
        if called.split()[1] == name
        for action in commands_manual.arguments(leaf)
    }
    commands.command(name)
    tree = ast.parse(inspect.getsource(sys.modules[f"{commands.__name__}.{name}"]))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "args"
    }
    assert read <= declared | {"what"}  # the word that chooses a subcommand


def test_a_code_with_two_meanings_has_both() -> None:
    every = commands_manual.every({2: "the records cannot be read"})[2]
    assert every == "the records cannot be read; or an invalid argument or setting"


def test_a_tree_of_commands_is_walked_to_its_leaves() -> None:
    top = argparse.ArgumentParser(prog="x")
    below = top.add_subparsers()
    below.add_parser("b").add_subparsers().add_parser("c")
    below.add_parser("a")
    assert [leaf.prog for leaf in commands_manual.leaves(top)] == ["x a", "x b c"]
