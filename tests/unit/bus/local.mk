# tests/unit/bus
