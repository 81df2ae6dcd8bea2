"""scikit-learn: one pickled estimator (azureml-v1 reference, 2.2.1)."""

from __future__ import annotations

from modelport.domain import models
from modelport.domain.errors import WebserviceException
from modelport.usecases.no_code.estimators import EstimatorFound, find_estimator
from modelport.usecases.no_code.interface import ModelFolder, Plan, Requirements, only_file
from modelport.usecases.no_code.requirements import BASE, agreed_version, bounds, only_wheels, pinned

SUFFIXES = (".pkl", ".pickle", ".joblib", ".sav", ".model")


class ScikitLearn:
    """The framework."""

    name = models.Framework.SCIKITLEARN

    def recognises(self, model: ModelFolder) -> bool:
        if len(model.files) != 1 or model.path.suffix.lower() not in SUFFIXES:
            return False
        try:
            return find_estimator(model, model.files[0]).module.startswith("sklearn.")
        except WebserviceException:
            return False

    def plan(self, model: ModelFolder) -> Plan:
        estimator = find_estimator(model, only_file(model, SUFFIXES, what="a pickled estimator"))
        version, notes = agreed_version(model, estimator.version, package="scikit-learn")
        decisive = pinned("scikit-learn", version)
        return plan_of_estimator(
            model,
            estimator,
            framework=self.name,
            summary=f"scikit-learn {version or '(newest)'}, {estimator.class_name}",
            decisive=decisive,
            others=(*estimator.packages, *bounds("scikit-learn", version)),
            notes=notes,
        )


def plan_of_estimator(
    model: ModelFolder,
    estimator: EstimatorFound,
    *,
    framework: str,
    summary: str,
    decisive: str,
    others: tuple[str, ...],
    notes: tuple[str, ...],
) -> Plan:
    """The plan for an object with scikit-learn's methods, of whatever package."""
    wheels = only_wheels("scikit-learn", "numpy", "scipy", "pandas")
    required = dict.fromkeys([decisive, "pandas", "joblib", *BASE, *others])
    return Plan(
        framework=framework,
        summary=summary,
        script="score_estimator.py",
        facts={
            "framework": framework,
            "model": model.relative(estimator.path),
            "loader": estimator.loader,
            "input": dict(estimator.input),
        },
        requirements=Requirements(pip=(*wheels, *required), decisive=decisive),
        notes=(*notes, *_notes(estimator)),
    )


def _notes(estimator: EstimatorFound) -> tuple[str, ...]:
    if estimator.input["kind"] == "matrix" and estimator.input["columns"] is None:
        return ("The file does not tell how many columns the estimator takes: the service does not check that.",)
    return ()
