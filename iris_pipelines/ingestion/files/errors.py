"""What can be wrong with a file as a whole."""

from __future__ import annotations

from iris_pipelines.domain.errors import IrisError


class UnreadableFile(IrisError):
    """A file that cannot be read to its end as what it claims to be: nothing of it is loaded."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.problem = problem
