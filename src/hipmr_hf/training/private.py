"""Training with differential privacy (DP-SGD): what counts as one record, and what a training spends.

Opacus clips the gradient of each record and adds noise. What it must be told rightly is what a record is: a
picture that was encrypted several times, each time in another order, is one picture in several rows.

Source: Abadi et al., Deep learning with differential privacy, 2016.
"""

from __future__ import annotations

import dataclasses
import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..errors import InputValueError, check_extra

if TYPE_CHECKING:
    import datasets

ACCOUNTANTS = ("prv", "rdp")


def rows_of_pictures(dataset: datasets.Dataset, picture_column: str | None) -> list[np.ndarray]:
    """Group the rows of a split by the picture that they show.

    Args:
        dataset: rows to train on.
        picture_column: an id of the plain picture; None takes every row for a picture of its own.

    Returns:
        For each picture, in order of first appearance, the numbers of its rows.

    Raises:
        InputValueError: there is no such column, or a row has no id.

    Example:
        >>> import datasets
        >>> rows = datasets.Dataset.from_dict({"picture": ["a", "b", "a"]})
        >>> [found.tolist() for found in rows_of_pictures(rows, "picture")]
        [[0, 2], [1]]
        >>> len(rows_of_pictures(rows, None))
        3
    """
    if picture_column is None:
        return list(np.arange(len(dataset))[:, None])
    if picture_column not in dataset.column_names:
        raise InputValueError(
            f"--picture_column: there is no column {picture_column!r}; the columns are "
            f"{', '.join(dataset.column_names)}. The owner keeps an id of the plain picture with "
            "hipmr encrypt --keep-columns."
        )
    found: dict[Any, list[int]] = {}
    for number, picture in enumerate(dataset[picture_column][:]):
        if picture is None:
            raise InputValueError(
                f"--picture_column: row {number} has no {picture_column!r}; every row needs the id of its "
                "picture, or the guarantee would not cover it."
            )
        found.setdefault(picture, []).append(number)
    return [np.array(numbers) for numbers in found.values()]


class OneRowAPicture(Dataset):
    """Pictures of which every draw takes one row, so that none contributes twice to a step.

    Args:
        rows: model inputs by number of the row.
        pictures: as `rows_of_pictures` finds them.

    Example:
        >>> drawn = OneRowAPicture(["first", "second", "first again"], [np.array([0, 2]), np.array([1])])
        >>> len(drawn), drawn[1], drawn[0] in ("first", "first again")
        (2, 'second', True)
    """

    def __init__(self, rows: Sequence[Any], pictures: Sequence[np.ndarray]):
        self.rows: Sequence[Any] = rows
        self.pictures: Sequence[np.ndarray] = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> Any:
        rows = self.pictures[number]
        return self.rows[int(rows[secrets.randbelow(len(rows))])]


@dataclasses.dataclass(frozen=True)
class PrivacyBudget:
    """What a training may spend.

    Args:
        epsilon: at most this, above 0.
        delta: at most this, above 0 and below one in the number of records.
        max_grad_norm: the gradient of a record is clipped to this norm, above 0.
        steps: of the whole training.
        accountant: "prv" (numerical, tight) or "rdp" (an upper bound by Rényi divergence).

    Raises:
        InputValueError: a value that is not allowed.

    Example:
        >>> PrivacyBudget(epsilon=-1, delta=1e-5)
        Traceback (most recent call last):
        hipmr_hf.errors.InputValueError: epsilon: got -1, expected a number above 0, such as 8.
    """

    epsilon: float
    delta: float
    max_grad_norm: float = 1.0
    steps: int = 1
    accountant: str = "prv"

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise InputValueError(f"epsilon: got {self.epsilon}, expected a number above 0, such as 8.")
        if not 0 < self.delta < 1:
            raise InputValueError(f"delta: got {self.delta}, expected a number above 0 and far below 1.")
        if not self.max_grad_norm > 0:
            raise InputValueError(f"max_grad_norm: got {self.max_grad_norm}, expected a number above 0.")
        if self.steps < 1:
            raise InputValueError(f"steps: got {self.steps}, expected at least 1.")
        if self.accountant not in ACCOUNTANTS:
            allowed = " or ".join(map(repr, ACCOUNTANTS))
            raise InputValueError(f"accountant: got {self.accountant!r}, expected {allowed}.")


class PrivateTraining:
    """A model, its optimizer and its records, made ready by Opacus for a training that spends a budget.

    In each step every record takes part with the same probability, whatever the others do (Poisson
    sampling). Draws and noise come from the operating system's entropy: a seed that is known, such as one on
    a card, would let anybody take the noise away again.

    Args:
        model: in training mode, without dropout of patches; it gets hooks until `close` is called.
        optimizer: of all its parameters that are trained.
        records: as `OneRowAPicture`, whose items are what `collate` takes.
        budget: what the training may spend.
        expected_batch_size: records in a step, on average.
        collate: items to a batch; by default torch's own.
        num_workers: processes that load.

    Raises:
        InputValueError: delta is one in the number of records or more, a batch that is larger than the
            records, or an epsilon that no noise can reach.
        MissingExtraError: Opacus is not installed.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        records: OneRowAPicture,
        budget: PrivacyBudget,
        *,
        expected_batch_size: int,
        collate: Callable[[list], Mapping[str, torch.Tensor]] | None = None,
        num_workers: int = 0,
    ):
        check_extra("training with differential privacy", "dp", "opacus")
        from opacus import PrivacyEngine

        _check_fits(budget, len(records), expected_batch_size)
        with warnings.catch_warnings():  # that torch's generator is no cryptographic one: cards say so
            warnings.filterwarnings("ignore", message="Secure RNG turned off")
            self.engine: Any = PrivacyEngine(accountant=budget.accountant)
        self.budget: PrivacyBudget = budget
        options = {"collate_fn": collate, "num_workers": num_workers, "generator": _fresh_generator("cpu")}
        loader = DataLoader(records, expected_batch_size, **options)
        self.records: int = len(records)
        self.sampling_rate: float = 1 / len(loader)
        self.noise_multiplier: float = _noise_multiplier(budget, self.sampling_rate)
        device = next(model.parameters()).device
        self.model: Any
        self.optimizer: Any
        self.loader: DataLoader
        self.model, self.optimizer, self.loader = self.engine.make_private(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            noise_multiplier=self.noise_multiplier,
            max_grad_norm=budget.max_grad_norm,
            noise_generator=_fresh_generator(device),
        )
        self.loader.collate_fn([records[0]])  # shows it what an empty batch looks like, should one come first

    def steps(
        self, loss_of: Callable[[torch.nn.Module, Mapping], torch.Tensor], *, records_at_once: int
    ) -> Iterator[int]:
        """Go through as many steps as draw each record once on average.

        Args:
            loss_of: mean loss over a batch; no record may play a part in the loss of another.
            records_at_once: most records that the device holds at a time; a step takes several such parts.

        Yields:
            After each step of the optimizer, how many records were in it.
        """
        from opacus.utils.batch_memory_manager import BatchMemoryManager

        drawn = 0
        with BatchMemoryManager(
            data_loader=self.loader, max_physical_batch_size=records_at_once, optimizer=self.optimizer
        ) as parts:
            for batch in parts:
                size = len(next(iter(batch.values()))) if isinstance(batch, Mapping) else 0
                if size:
                    loss_of(self.model, batch).backward()
                else:  # nobody was drawn; the noise is added all the same
                    for weight in self.optimizer.params:
                        weight.grad_sample = weight.new_zeros((0, *weight.shape))
                self.optimizer.step()
                skipped = self.optimizer._is_last_step_skipped
                self.optimizer.zero_grad()
                drawn += size
                if not skipped:
                    yield drawn
                    drawn = 0

    @property
    def epsilon(self) -> float:
        """What the accountant says was spent so far, at the budget's delta."""
        return float(self.engine.get_epsilon(self.budget.delta)) if len(self.engine.accountant) else 0.0

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on: weights, optimizer, and what was spent."""
        return {
            "model": self.model._module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "accountant": self.engine.accountant.state_dict(),
            "budget": self._told(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; noise and draws are fresh, and what was spent before stays spent.

        Raises:
            InputValueError: the state is of a training with another budget or other records.
        """
        if state["budget"] != self._told():
            changed = ", ".join(
                f"{name} {state['budget'].get(name)} to {value}"
                for name, value in self._told().items()
                if state["budget"].get(name) != value
            )
            raise InputValueError(
                f"--resume: the checkpoint was trained with another budget or other records ({changed}), so "
                "that no one epsilon would cover both; start with the same arguments, or in another "
                "--output_dir."
            )
        self.model._module.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.engine.accountant.load_state_dict(state["accountant"])

    def close(self) -> None:
        """Take the hooks off the model."""
        self.model._close()

    def _told(self) -> dict[str, Any]:
        return {
            **dataclasses.asdict(self.budget),
            "sampling_rate": self.sampling_rate,
            "noise_multiplier": self.noise_multiplier,
            "records": self.records,
        }


def _check_fits(budget: PrivacyBudget, records: int, expected_batch_size: int) -> None:
    if not 1 <= expected_batch_size <= records:
        raise InputValueError(
            f"expected_batch_size: got {expected_batch_size}, expected 1 to {records}, the number of records."
        )
    if budget.delta >= 1 / records:
        raise InputValueError(
            f"delta: got {budget.delta}, expected less than one in {records} records ({1 / records:.2g}): a "
            "model that gives one record away whole would keep to more; take a tenth of that."
        )


def _noise_multiplier(budget: PrivacyBudget, sampling_rate: float) -> float:
    from opacus.accountants.utils import get_noise_multiplier

    try:
        return get_noise_multiplier(
            target_epsilon=budget.epsilon,
            target_delta=budget.delta,
            sample_rate=sampling_rate,
            steps=budget.steps,
            accountant=budget.accountant,
        )
    except ValueError as error:
        raise InputValueError(
            f"epsilon: got {budget.epsilon}, which no noise reaches in {budget.steps} steps ({error}); give "
            "more, or train for fewer steps."
        ) from error


def _fresh_generator(device: torch.device | str) -> torch.Generator:
    return torch.Generator(device=device).manual_seed(secrets.randbits(63))
