"""``python -m azureml_inference_server_http``: the command ``azmlinfsrv``."""

from __future__ import annotations

import sys

from modelport_scoring.stand_alone.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
