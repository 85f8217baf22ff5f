"""Reports as plain data: what `--json` prints, without its schema version."""

from dataclasses import asdict, replace
from typing import Any

from snndeploy.bundle import Bundle
from snndeploy.deployment import Deployment
from snndeploy.estimation import Estimate
from snndeploy.inference import Answer
from snndeploy.ir.arrays import AnyArray
from snndeploy.verdict import Verdict


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain data, its line included."""
    return {**asdict(verdict), "line": verdict.line()}


def answer_record(answer: Answer) -> dict[str, Any]:
    """Return decisions, accuracy and clipping; the arrays themselves go to `--output`."""
    return {
        "backend": answer.backend,
        "accuracy": answer.accuracy,
        "clipped": dict(answer.clipped),
        "outputs": {
            name: {"shape": list(y.shape), "decision": answer.decision[name].tolist()}
            for name, y in answer.y.items()
        },
    }


def answer_arrays(answer: Answer) -> dict[str, AnyArray]:
    """Return answers as they are saved: `y` for one output, `y.<output>` for several."""
    if len(answer.y) == 1:
        return {"y": next(iter(answer.y.values()))}
    return {f"y.{name}": y for name, y in answer.y.items()}


def estimate_record(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate as plain data; counts are exact, joules are floats per sample."""
    record = asdict(replace(estimate, trace=None))
    del record["trace"]
    return {
        **record,
        "verdict": estimate.verdict and verdict_record(estimate.verdict),
        "dynamic_j": estimate.dynamic_j if estimate.is_priced else None,
        "neurobench": estimate.neurobench.record(),
        "neurobench_conditions": asdict(estimate.neurobench.conditions),
    }


def deployment_record(deployment: Deployment) -> dict[str, Any]:
    """Return what `compile` found and wrote."""
    compiled = deployment.compiled
    return {
        "target": compiled.target.name,
        "origin": compiled.model.origin,
        "options": asdict(compiled.options),
        "verdict": verdict_record(deployment.verdict),
        "layers": [asdict(layer) for layer in compiled.layers],
        "notes": [asdict(note) for note in compiled.model.notes],
        "estimate": estimate_record(deployment.estimate) if deployment.estimate else None,
        "float_accuracy": deployment.float_accuracy,
        "bundle": str(deployment.bundle.path) if deployment.bundle else None,
        "digest": deployment.bundle.digest if deployment.bundle else None,
    }


def bundle_record(bundle: Bundle) -> dict[str, Any]:
    """Return what a bundle says of itself."""
    manifest = bundle.manifest
    return {
        "digest": bundle.digest,
        "tool": manifest.tool,
        "target": manifest.target,
        "origin": manifest.origin,
        "options": asdict(manifest.options),
        "verdict": verdict_record(manifest.verdict),
        "layers": [asdict(layer) for layer in manifest.layers],
        "notes": list(manifest.notes),
        "probes": list(manifest.probes),
        "files": dict(manifest.files),
    }
