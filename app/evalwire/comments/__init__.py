"""Comments with the summary of a job, on pull requests of GitHub and merge requests of GitLab."""

from typing import TYPE_CHECKING

from evalwire.loading import lazy_names

if TYPE_CHECKING:
    from evalwire.comments.comment import post
    from evalwire.comments.github import github_target
    from evalwire.comments.gitlab import gitlab_target
    from evalwire.comments.target import Target

__all__ = ["Target", "github_target", "gitlab_target", "post"]

_HOMES = {"Target": "target", "github_target": "github", "gitlab_target": "gitlab", "post": "comment"}

__getattr__ = lazy_names(__name__, _HOMES)
