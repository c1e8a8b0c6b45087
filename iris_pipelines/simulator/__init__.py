"""Believable traffic, the same for the same seed."""

from iris_pipelines.simulator.plan import InvalidPlan, TrafficPlan
from iris_pipelines.simulator.simulation import DayTraffic, Simulation, TrafficBatch, simulate

__all__ = ["DayTraffic", "InvalidPlan", "Simulation", "TrafficBatch", "TrafficPlan", "simulate"]
