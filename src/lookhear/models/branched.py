"""A trunk that parts on the way up: tasks share its blocks down to where a tree says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lookhear.errors import UserError

__all__ = ["Branched"]


class Branched(nn.Module):
    """One block for each cluster of tasks at each depth (Vandenhende et al., 2020, Branched Multi-Task Networks, BMVC).

    With one cluster everywhere it is the trunk that all tasks share; with one for each task, a net of each task's own.

    Attributes:
        tasks: names.
        depths: tasks by cluster, from the input on.
    """

    def __init__(
        self, tasks: Sequence[str], depths: Sequence[Sequence[Sequence[int]]], block: Callable[[int], nn.Module]
    ) -> None:
        """
        Args:
            depths: numbers of tasks by cluster at each depth, as of ``balance.branching.cheapest``.
            block: depth → a new block, (B, C, N) → (B, C', N) with C' that of every block of the depth.

        Raises:
            UserError: a depth lacks a task or has it twice, or brings tasks together that were apart before.
        """
        super().__init__()
        self.tasks = tuple(tasks)
        self.depths = tuple(tuple(tuple(sorted(c)) for c in depth) for depth in depths)
        before: tuple[tuple[int, ...], ...] = (tuple(range(len(self.tasks))),)
        for number, depth in enumerate(self.depths):
            if sorted(t for c in depth for t in c) != list(range(len(self.tasks))):
                raise UserError(f"depth {number} of the tree is {list(depth)}", "Name every task once at each depth.")
            for cluster in depth:
                if not any(set(cluster) <= set(p) for p in before):
                    raise UserError(
                        f"depth {number} of the tree joins tasks {list(cluster)}, which were apart before",
                        "Let clusters only part from the input on.",
                    )
            before = depth
        self.blocks = nn.ModuleList([nn.ModuleList([block(d) for _ in c]) for d, c in enumerate(self.depths)])

    def seen(self, x: Tensor, mask: Tensor | None = None) -> list[dict[str, Tensor]]:
        """What each task's branch makes of (B, C, N) at every depth: task → (B, C', N), one tensor for a cluster.

        Args:
            mask: (B, N) bool, True where real; all else is zero before and after every block.
        """
        x = x if mask is None else x * mask[:, None]
        now, found = dict.fromkeys(self.tasks, x), list[dict[str, Tensor]]()
        for depth, blocks in zip(self.depths, self.blocks):
            after = dict[str, Tensor]()
            assert isinstance(blocks, nn.ModuleList)
            for cluster, block in zip(depth, blocks):
                out = block(now[self.tasks[cluster[0]]])
                out = out if mask is None else out * mask[:, None]
                after |= dict.fromkeys([self.tasks[t] for t in cluster], out)
            now = {name: after[name] for name in self.tasks}
            found.append(now)
        return found

    def forward(self, x: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """Task → (B, C', N) of the last depth."""
        return self.seen(x, mask)[-1]
