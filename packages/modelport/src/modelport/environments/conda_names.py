"""What well-known conda packages are called on PyPI.

Only packages that are known to be the same project under both names are here: a name that is not known may belong to
somebody else's package there, and is never tried. Source: the recipes of conda-forge, which say
where the archive comes from.
"""

from __future__ import annotations

_SAME = """
    absl-py aiohttp altair arrow astropy attrs autopep8 azure-storage-blob babel bcrypt beautifulsoup4 black bokeh
    boto3 botocore bottleneck catalogue catboost certifi cffi chardet click cloudpickle colorama configparser
    cryptography cycler cython cytoolz deap decorator dill distributed docutils entrypoints fastapi fbprophet
    feather-format filelock flask flask-cors fsspec future gast gensim geopandas gevent gitpython google-auth
    greenlet grpcio gunicorn h5py holidays httpx hyperopt idna imageio imbalanced-learn ipykernel ipython
    ipython_genutils ipywidgets itsdangerous jinja2 jmespath joblib jsonschema jupyter keras kiwisolver lightgbm
    lime llvmlite lxml lz4 mako markdown markupsafe matplotlib mlflow mlxtend mock more-itertools mypy networkx nltk
    notebook numba numexpr numpy onnx onnxruntime openpyxl opt-einsum optuna orjson packaging pandas paramiko
    pathlib2 patsy pillow plotly ply prettytable prometheus_client prophet protobuf psutil psycopg2-binary py4j
    pyarrow pyasn1 pycparser pydantic pydot pyjwt pymongo pymysql pynacl pyod pyodbc pyopenssl pyparsing pyproj
    pyspark pytest python-dateutil python-dotenv python-json-logger python-snappy pytz pywavelets pyyaml pyzmq regex
    requests rsa ruamel.yaml s3fs scikit-image scikit-learn scikit-optimize scipy seaborn setuptools shap shapely
    simplejson six sklearn-pandas smart_open sortedcontainers spacy sqlalchemy sqlparse statsmodels sympy tabulate
    tenacity tensorboard tensorflow tensorflow-estimator tensorflow-gpu tensorflow-hub termcolor textblob
    threadpoolctl toml toolz torchvision tornado tqdm traitlets transformers typing_extensions tzlocal ujson
    umap-learn urllib3 uvicorn waitress werkzeug wheel wrapt xarray xgboost xlrd xlsxwriter xlwt yarl zipp
"""

_OTHER = {
    "dask-core": "dask",
    "dask": "dask[complete]",
    "keras-base": "keras",
    "keras-gpu": "keras",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "numpy-base": "numpy",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "py-lightgbm": "lightgbm",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "psycopg2": "psycopg2-binary",
    "ruamel_yaml": "ruamel.yaml",
    "tensorflow-base": "tensorflow",
    "tensorflow-mkl": "tensorflow",
    "torchvision-cpu": "torchvision",
}

_IN_WHEELS = """
    _libgcc_mutex _openmp_mutex blas blosc bzip2 ca-certificates cudatoolkit cudnn freetype hdf5 icc_rt icu intel-openmp
    jpeg libblas libcblas libffi libgcc libgcc-ng libgfortran libgfortran-ng libgomp liblapack libopenblas libpng
    libprotobuf libstdcxx-ng libtiff llvm-openmp lz4-c mkl mkl-service mkl_fft mkl_random nccl ncurses nomkl numpy-devel
    openblas openssl readline snappy sqlite tk xz zlib zstd
"""


def on_pypi(name: str) -> str | None:
    """What the conda package ``name`` is called on PyPI; None where that is not known."""
    return _NAMES.get(name)


def is_in_wheels(name: str) -> bool:
    """Whether the conda package is a library that wheels carry inside, or a switch that only conda understands."""
    return name in _LIBRARIES


_NAMES = {**{name: name for name in _SAME.split()}, **_OTHER}
_LIBRARIES = frozenset(_IN_WHEELS.split())


def known_on_conda() -> frozenset[str]:
    """The names of the conda packages above."""
    return frozenset(_NAMES) | _LIBRARIES


def known_on_pypi() -> frozenset[str]:
    """What they are called on PyPI, without extras."""
    return frozenset(name.partition("[")[0] for name in _NAMES.values())
