"""Train a ridge regression on the diabetes data set (10 features) and write it to a file."""

import sys

import joblib
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge


def train(path: str) -> None:
    features, progression = load_diabetes(return_X_y=True)
    model = Ridge(alpha=0.03).fit(features, progression)
    joblib.dump(model, path)


if __name__ == "__main__":
    train(sys.argv[1] if len(sys.argv) > 1 else "sklearn_regression_model.pkl")
