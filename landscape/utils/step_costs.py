"""Durations of the steps of jobs, learned while they run, and the share of the work done."""

from collections.abc import Mapping, Sequence

UNSEEN = 0.25  # cost of a step that nobody has timed, in units of the mean of those timed
EARLY = 0.02  # share of a step before which its pace says nothing


class StepCosts:
    """Share of the work of several jobs, each a sequence of steps of unequal length.

    jobs: the steps of each job by its label. A step counts by its time, the mean over the jobs in
    which it ended or is under way; a step that has not begun anywhere counts little, so that time
    left is never many times too long. Before any is timed all steps count alike.
    """

    def __init__(self, jobs: Mapping[str, Sequence[str]]):
        self.jobs, self.finished = jobs, set[str]()
        self._at: dict[str, tuple[int, float]] = {}  # by job: the step's position, its share
        self._since: dict[str, float] = {}  # by job: when that step began
        self._heard: dict[str, float] = {}  # by job: when it was heard last
        self._seconds: dict[tuple[str, str], float] = {}  # by job and step, estimated or measured

    def hear(self, job: str, step: str, share: float, now: float) -> None:
        """Take in that a share of a step of a job is done at the time `now`, in seconds."""
        position = self.jobs[job].index(step)
        before = self._at.get(job, (0, 0.0))[0]
        self._since.setdefault(job, now)
        if position != before:
            self._since[job] = self._heard.get(job, now)
        self._at[job], self._heard[job] = (position, share), now
        if share >= EARLY and now > self._since[job]:
            self._seconds[job, step] = (now - self._since[job]) / share

    def finish(self, job: str) -> None:
        """Count a job as done."""
        self.finished.add(job)
        self._at.pop(job, None)

    @property
    def done(self) -> float:
        """Number of jobs that are done, with shares of those that run."""
        costs = self._costs()
        return len(self.finished) + sum(self._share(job, costs) for job in self._at)

    def _share(self, job: str, costs: Mapping[str, float]) -> float:
        """The share of a job that is done."""
        steps, (position, share) = self.jobs[job], self._at[job]
        spent = sum(costs[step] for step in steps[:position]) + share * costs[steps[position]]
        return spent / sum(costs[step] for step in steps)

    def _costs(self) -> dict[str, float]:
        """Seconds of each step; 1 for all where none was timed."""
        times: dict[str, list[float]] = {}
        for (_, step), seconds in self._seconds.items():
            times.setdefault(step, []).append(seconds)
        means = {step: sum(each) / len(each) for step, each in times.items()}
        unseen = UNSEEN * sum(means.values()) / len(means) if means else 1.0
        return {step: means.get(step, unseen) for steps in self.jobs.values() for step in steps}
