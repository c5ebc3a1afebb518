"""Checks a command line before Hydra composes it, so that one message names every mistake.

Hydra stops at the first mistake. Here the same overrides, read with Hydra's own parser, are held against the
groups that exist and against the schema: every option, every field, every value of every comma list.
What fields mean together is checked after composition, by `validate`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import OmegaConf

from pipelines.config import fields
from pipelines.config.mistakes import Mistake, did_you_mean, refuse, unknown_field, wrong_value
from pipelines.config.override_lines import SETTINGS, Line, assignments, read_line
from pipelines.config.schema import MLPConfig, TrialConfig
from pipelines.config.scopes import belongs_to_command
from pipelines.config.sweepers import FIELDS as SWEEPER_FIELDS, unknown_setting

_CONFIG = "config"  # the root of the tree
_SEARCH_SPACE = "sweep"  # the group whose options hold comma lists of their own
_LEAVES_OUT = "optuna"  # the sweeper that gives a trial only what its options have
_ONE_SWEEP = "stack"  # the launcher that makes all trials one sweep; others run each as a command of its own
_SWITCHES = {  # what a field of a net is for: nothing at all unless another field has this value
    "model.frequencies": ("numbers", "periodic"),
    "model.frequency_scale": ("numbers", "periodic"),
    "model.number_width": ("numbers", "periodic"),
    "model.bins": ("numbers", "piecewise"),
    "model.embedding_width": ("categories", "embedding"),
}


@dataclass(frozen=True)
class _Tree:
    """Hydra's view of conf/: which options each group has, and what they compose to."""

    loader: ConfigLoader
    hydra_overrides: list[str]

    def options(self) -> dict[str, list[str]]:
        groups = self._listed("", ObjectType.GROUP)
        return {group: self._listed(group, ObjectType.CONFIG) for group in groups if group != "hydra"}

    def compose(self, choices: Sequence[str]) -> Any:
        return self.loader.load_configuration(_CONFIG, [*self.hydra_overrides, *choices], run_mode=RunMode.MULTIRUN)

    def _listed(self, group: str, kind: ObjectType) -> list[str]:
        return self.loader.get_group_options(group, kind, overrides=self.hydra_overrides)


def check_overrides(overrides: Sequence[str], conf_dir: Path, *, extra_dir: Path | None = None) -> None:
    """Refuse a command line that names what does not exist, or gives a field what it does not take.

    Args:
        overrides: as typed, without flags.
        conf_dir: the folder of `config.yaml`.
        extra_dir: a folder of the user's own options (Hydra's `--config-dir`).

    Raises:
        UserError: lists every unknown group, option and field with the nearest right name, and every wrong value.
        HydraException: the tree cannot be composed for another reason.
    """
    searched = [] if extra_dir is None else [f"hydra.searchpath=['file://{extra_dir.absolute()}']"]
    with initialize_config_dir(str(conf_dir.absolute()), version_base="1.3"):
        refuse(list(_mistakes(overrides, GlobalHydra.instance().config_loader(), searched)))


def _mistakes(overrides: Sequence[str], loader: ConfigLoader, searched: Sequence[str]) -> Iterator[Mistake]:
    read = [read_line(text, loader) for text in overrides]
    yield from (item for item in read if isinstance(item, Mistake))
    every_line = [item for item in read if isinstance(item, Line)]
    lines = [line for line in every_line if not line.is_of_hydra]
    of_hydra = [line for line in every_line if line.is_of_hydra and not line.swept]
    tree = _Tree(loader, [*searched, *(line.text for line in of_hydra if not line.is_setting)])
    options = tree.options()
    if settings := [line for line in of_hydra if line.is_setting]:
        sweeper = str(tree.compose(next(_combinations(lines, options))).hydra.runtime.choices.get("hydra/sweeper"))
        unknown = [list(_unknown_settings(line, sweeper)) for line in settings]
        yield from chain.from_iterable(unknown)
        right = [line.text for line, found in zip(settings, unknown, strict=True) if not found]
        tree = replace(tree, hydra_overrides=[*tree.hydra_overrides, *right])
    composed = [tree.compose(choices) for choices in _combinations(lines, options)]
    lines = [*_of_search_space(composed[0], replaced={line.key for line in lines}, loader=loader), *lines]
    yield from _wrong_lines(lines, composed, options)


def _wrong_lines(
    lines: Sequence[Line], composed: Sequence[Any], options: Mapping[str, Sequence[str]]
) -> Iterator[Mistake]:
    """What is wrong with overrides of a trial, held against all that the command line may compose to."""
    chosen = _chosen(lines, composed, options)
    choices = composed[0].hydra.runtime.choices
    leaves_out = choices.get("hydra/sweeper") == _LEAVES_OUT
    if choices.get("hydra/launcher") == _ONE_SWEEP:
        yield from _swept_settings(lines)
        yield from _settings_that_differ(lines, composed)
    yield from _without_effect(lines, composed)
    for line in lines:
        if _is_choice(line, options):
            found = _in_options(line, options[line.key])
        else:
            found = _in_fields(line, _having(line, chosen) if leaves_out and line.swept else chosen)
        yield from (replace(mistake, where=mistake.where + line.origin) for mistake in found)


def _unknown_settings(line: Line, sweeper: str) -> Iterator[Mistake]:
    for path, _ in line.assignments():
        name = path.removeprefix(f"{SETTINGS}.").partition(".")[0]
        if sweeper in SWEEPER_FIELDS and name not in (*SWEEPER_FIELDS[sweeper], "_target_"):
            yield unknown_setting(name, sweeper=sweeper)


def _is_choice(line: Line, options: Mapping[str, Sequence[str]]) -> bool:
    return line.key in options and not any(isinstance(element, dict) for element in line.elements)


def _combinations(lines: Sequence[Line], options: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """The choices to compose: those that stand for the whole command line, once for every swept experiment.

    An experiment may choose the options of other groups, so each one is composed to see which. A sweep over any
    other group is read from the command line itself, and what is no option is left out.
    """
    right = [line for line in lines if _is_choice(line, options) and not list(_in_options(line, options[line.key]))]
    fixed = [line.text for line in right if not line.swept]
    swept = [line for line in right if line.swept and line.key not in fields.groups()]
    for combination in product(*([f"{line.key}={element}" for element in line.elements] for line in swept)):
        yield [*fixed, *combination]


def _of_search_space(composed: Any, *, replaced: Collection[str], loader: ConfigLoader) -> Iterator[Line]:
    """The lists of the chosen search space, save for those that the command line replaces."""
    origin = f" (from {_SEARCH_SPACE}={composed.hydra.runtime.choices.get(_SEARCH_SPACE)})"
    for key, value in (composed.hydra.sweeper.get("params") or {}).items():
        line = read_line(f"{key}={value}", loader, origin)
        if isinstance(line, Line) and line.key not in replaced:
            yield line


def _chosen(
    lines: Sequence[Line], composed: Sequence[Any], options: Mapping[str, Sequence[str]]
) -> dict[str, tuple[Any, ...]]:
    """Every option that some trial may have, by group."""
    kinds = {
        group: tuple(OmegaConf.select(config, f"{group}.kind") for config in composed) for group in fields.groups()
    }
    named = {line.key: line.elements for line in lines if _is_choice(line, options) and line.elements}
    return {group: named.get(group, kinds[group]) for group in kinds}


def _having(line: Line, chosen: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
    """The options that have this field; all of them if none has, so that the message names them."""
    group, _, rest = line.key.partition(".")
    name = rest.partition(".")[0]
    having = [
        option
        for option in chosen.get(group, ())
        if any(name in fields.fields_of(owner) for owner in _classes(group, option))
    ]
    return {**chosen, group: having} if having else chosen


def _swept_settings(lines: Sequence[Line]) -> Iterator[Mistake]:
    """What the command line sweeps although the trials of one command share it."""
    for line in lines:
        paths = dict(line.assignments()) if line.swept else ()
        yield from (_of_the_command(path, line.origin) for path in paths if belongs_to_command(path))


def _settings_that_differ(lines: Sequence[Line], composed: Sequence[Any]) -> Iterator[Mistake]:
    """Likewise what swept experiments choose, save for what the command line puts in its place."""
    origin = f" (from {' '.join(line.text for line in lines if line.swept and line.key not in fields.groups())})"
    replaced = {path for line in lines for path, _ in line.assignments()}
    settings = [_settings(config) for config in composed]
    for path in dict.fromkeys(chain.from_iterable(settings)):
        if path not in replaced and any(other.get(path) != settings[0].get(path) for other in settings):
            yield _of_the_command(path, origin)


def _settings(composed: Any) -> dict[str, Any]:
    """What belongs to the command, by path. An interpolation is one value, though each table may make another of it."""
    values: Any = OmegaConf.to_container(composed, resolve=False)
    found = chain.from_iterable(assignments(group, [values[group]]) for group in fields.groups())
    return {path: value for path, [value] in found if belongs_to_command(path)}


def _of_the_command(path: str, origin: str) -> Mistake:
    return Mistake(f"{path}{origin}", "belongs to the command, not to a trial; give one value")


def _without_effect(lines: Sequence[Line], composed: Sequence[Any]) -> Iterator[Mistake]:
    """Fields that are given while they are switched off; swept, they would train one net as several architectures."""
    if any(line.key == "model" and line.swept for line in lines):
        return  # each of them may have them on or off
    given = [(path, values, line.origin) for line in lines for path, values in line.assignments()]
    set_to = {path: values for path, values, _ in given if values}
    for path, _, origin in given:
        if path in set_to and path in _SWITCHES:
            name, needed = _SWITCHES[path]
            switch = f"model.{name}"
            values = set_to.get(switch, [OmegaConf.select(config, switch) for config in composed])
            off = [choice for choice in fields.choices_of(fields.fields_of(MLPConfig)[name]) if choice != needed]
            if all(value in off for value in values):  # neither on, nor another mistake
                now = " and ".join(f"{switch}={value}" for value in dict.fromkeys(values))
                yield Mistake(f"{path}{origin}", f"does nothing with {now}; give {switch}={needed} as well")


def _in_options(line: Line, options: Sequence[str]) -> Iterator[Mistake]:
    if line.key == _SEARCH_SPACE and line.swept:
        yield Mistake(line.text, f"only one can be searched at a time (has: {', '.join(options)})")
    for element in line.elements:
        if element not in options:
            near = did_you_mean(str(element), options, prefix=f"{line.key}=")
            written = "null" if element is None else element
            yield Mistake(f"{line.key}={written}", f"no such option{near} (has: {', '.join(options)})")


def _in_fields(line: Line, chosen: Mapping[str, Sequence[Any]]) -> Iterator[Mistake]:
    top = fields.fields_of(TrialConfig)
    for path, elements in line.assignments():
        group, _, rest = path.partition(".")
        name, _, deeper = rest.partition(".")
        if group in chosen and name:
            for option in chosen[group]:
                yield from _in_group(group, option, name, () if deeper else elements)
        elif path in top and path not in chosen:
            yield from _wrong_elements(path, elements, top[path])
        elif path not in chosen:
            near = did_you_mean(path, _every_path(chosen))
            yield Mistake(path, f"no such field{near or '; the groups are ' + ', '.join(chosen)}")


def _in_group(group: str, option: object, name: str, elements: Sequence[Any]) -> Iterator[Mistake]:
    classes = _classes(group, option)
    known = dict.fromkeys(chain.from_iterable(fields.fields_of(owner) for owner in classes))
    if name not in known:
        owner = fields.label(group, option) if len(classes) == 1 else group
        yield unknown_field(f"{group}.{name}", owner=owner, known=known)
        return
    annotation = next(fields.fields_of(owner)[name] for owner in classes if name in fields.fields_of(owner))
    yield from _wrong_elements(f"{group}.{name}", elements, annotation)


def _classes(group: str, option: object) -> tuple[type, ...]:
    """What the group may be: one class, or any if the option is misspelled or of the user's own making."""
    owner = fields.class_of(group, option)
    return fields.groups()[group] if owner is None else (owner,)


def _wrong_elements(path: str, elements: Sequence[Any], annotation: Any) -> Iterator[Mistake]:
    for element in elements:
        if isinstance(element, str) and "${" in element:
            continue  # an interpolation: its value is known only after composition
        try:
            fields.checked(annotation, element)
        except fields.WrongValueError:
            yield wrong_value(path, element, annotation)


def _every_path(chosen: Mapping[str, Sequence[Any]]) -> list[str]:
    owners = [(group, owner) for group in chosen for option in chosen[group] for owner in _classes(group, option)]
    names = [f"{group}.{name}" for group, owner in owners for name in fields.fields_of(owner)]
    return list(dict.fromkeys([*fields.fields_of(TrialConfig), *names]))
