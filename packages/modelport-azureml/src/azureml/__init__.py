"""The ``azureml`` names of existing scripts, served by Modelport: doors to ``modelport``, and what services need.

Outside of services, the vendor's packages in the same environment are refused: half of each would be no SDK at all. In
a service they are not: the environment is the user's, a model may need other ``azureml`` distributions, and this
package lies in another folder. There they stay importable beside it; where both have a module of the same name, this
package's is taken, but for those in ``_fallback``, which are here only where nobody else has them.
"""

import os
from pkgutil import extend_path

_own_folder = __path__[0]
_in_service = __spec__ is not None and __spec__.loader_state == "in a service"  # the worker's importer says so
__path__ = extend_path(__path__, __name__)

from azureml import _absent, _modelport, _neighbours, _old_joblib  # noqa: E402 - found on the path above

_modelport.IN_SERVICE = _in_service
_neighbours.refuse_mixture([_own_folder] if _in_service else list(__path__))
__path__.append(os.path.join(_own_folder, "_fallback"))
_old_joblib.offer()
_absent.explain()

IS_MODELPORT = True
"""The vendor's package of this name has no such attribute."""

__all__ = ["IS_MODELPORT"]
