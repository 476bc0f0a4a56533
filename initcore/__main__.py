"""Look at the weights of a file: ``python -m initcore diagnose weights.safetensors``.

Exits with 0 if no fault was found, with 1 if one was, with 2 if the files or options do not do.
"""

from __future__ import annotations

import argparse
import json
import sys

from initcore.diagnosis import of_weights
from initcore.diagnosis.report import Report


def main(arguments: list[str] | None = None) -> int:
    """Print the report of a file, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m initcore")
    command = parser.add_subparsers(required=True).add_parser("diagnose")
    command.add_argument("weights", help="a safetensors or npz file")
    command.add_argument("--activation", help="of all layers but the last, such as relu")
    command.add_argument("--inputs", help="an npz or safetensors file with x, and perhaps y")
    command.add_argument("--layout", help="torch: units first; keras: units last")
    command.add_argument("--json", action="store_true", help="print all numbers as JSON")
    options = parser.parse_args(arguments)
    try:
        batch = of_weights.read(options.inputs) if options.inputs else {"x": None}
        if "x" not in batch:
            raise ValueError(f"{options.inputs} has no x")
        if options.inputs and not options.activation:
            raise ValueError("--inputs needs the activation too: --activation relu, for example")
        weights, how = of_weights.read(options.weights), (options.activation, options.layout)
        look = of_weights.look(weights, batch["x"], batch.get("y"), None, None, *how)
        remark = "no --activation named: scales that no rule gives are compared with a gain of 1"
        report = Report([look], "" if options.activation else remark)
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, OSError) and error.strerror:
            error = f"cannot read {error.filename}: {error.strerror.lower()}"
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) if options.json else report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
