"""What the figures of a suite come to. Takes records as JSON has them; imports no torch, so that
charts and pages can be made from files alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

# The size from which weights count as large in bars for packing.
LARGE_WEIGHT = 100_000

# The layers that more threads are expected to help.
LARGE_MULTIPLY_ADDS = 50_000_000

Records = list[dict[str, Any]]


def peers_of(records: Records) -> list[str]:
    """Every contestant but ours, in the order of the tables."""
    names = dict.fromkeys(name for record in records for name in record["contestants"])
    names.update(dict.fromkeys(name for r in records for name in r.get("refusals", {})))
    return [name for name in names if name != "ours"]


def summary(records: Records) -> dict[str, dict[str, Any]]:
    """By peer: geometric mean and worst of the ratios its time / ours, microseconds for a network.

    A peer that refuses some layers is compared on the others.
    """
    result = {}
    for peer in peers_of(records):
        taken = [r for r in records if peer in r["contestants"]]
        if not taken:
            continue
        ratios = {r["name"]: r["contestants"][peer]["ratio"]["median"] for r in taken}
        worst = min(ratios, key=ratios.__getitem__)
        result[peer] = {
            "layers": len(taken),
            "geometric_mean": round(statistics.geometric_mean(ratios.values()), 3),
            "worst": ratios[worst],
            "worst_layer": worst,
            "below_1": [name for name, ratio in ratios.items() if ratio < 1],
            "largest_error": max(r["contestants"][peer]["error"]["largest"] for r in taken),
            "network_microseconds": _network(taken, peer),
            "our_network_microseconds": _network(taken, "ours"),
        }
    return result


def _network(records: Records, contestant: str) -> float:
    """All layers of the network, each as often as it occurs."""
    return round(
        sum(r["count"] * r["contestants"][contestant]["microseconds"]["median"] for r in records), 1
    )


def prepack_summary(records: Records) -> dict[str, Any]:
    """Ratios to the other engines, of large weights and of all, and our GB/s by kernel size."""
    result: dict[str, Any] = {"ratios": {}, "gb_s": {}}
    large = [r for r in records if r["weight_bytes"] >= LARGE_WEIGHT]
    for peer in peers_of(records):
        result["ratios"][peer] = {
            f"{size} weights, {memory} memory": _prepack_ratios(taken, peer, memory)
            for size, taken in (("large", large), ("all", records))
            for memory in ("reused", "fresh")
            if taken
        }
    for kernel in sorted({"x".join(map(str, r["kernel"])) for r in large}):
        speeds = [
            r["contestants"]["ours"]["gb_s"]
            for r in large
            if "x".join(map(str, r["kernel"])) == kernel
        ]
        result["gb_s"][kernel] = _lowest_and_median(speeds)
    return result


def _prepack_ratios(records: Records, peer: str, memory: str) -> dict[str, Any]:
    ratios = {r["name"]: r["contestants"][peer][memory]["ratio"]["median"] for r in records}
    worst = min(ratios, key=ratios.__getitem__)
    return {
        "geometric_mean": round(statistics.geometric_mean(ratios.values()), 2),
        "worst": ratios[worst],
        "worst_layer": worst,
    }


def _lowest_and_median(values: Iterable[float]) -> dict[str, float]:
    values = list(values)
    return {"lowest": min(values), "median": statistics.median(values)}


def scaling_summary(records: Records, threads: str) -> dict[str, Any]:
    """The speed-up on so many threads: geometric means of all layers and of large ones, and worst.

    A mean of no layers is None.
    """
    ratios = {r["name"]: r["threads"][threads]["speedup"]["median"] for r in records}
    large = [ratios[r["name"]] for r in records if r["multiply_adds"] > LARGE_MULTIPLY_ADDS]
    worst = min(ratios, key=ratios.__getitem__)
    return {
        "geometric_mean": round(statistics.geometric_mean(ratios.values()), 3),
        "large": round(statistics.geometric_mean(large), 3) if large else None,
        "worst": ratios[worst],
        "worst_layer": worst,
    }
