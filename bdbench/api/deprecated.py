"""How the contract changes without breaking plugins: the warnings about what will go.

A hook that will go gets ``hookspec(warn_on_impl=...)``, an argument of one
``hookspec(warn_on_impl_args={"name": ...})``. pluggy then warns whoever implements the hook or
asks for the argument, with file and line, when the plugin is loaded; the plugin works as before.
Each such warning stands here under a name of its own, says what to write instead, and is removed
with its hook when the major number of `API_VERSION` rises. At present nothing is deprecated.
"""

from __future__ import annotations

__all__ = ["RemovedInApi2Warning"]


class RemovedInApi2Warning(DeprecationWarning):
    """Something that API 2.0 will not have.

    pytest shows it, and ``python -W default -m bdbench plugins`` does; the users of a plugin,
    who cannot mend it, are left in peace. Filters name it in full,
    ``bdbench.api.deprecated.RemovedInApi2Warning``.
    """
