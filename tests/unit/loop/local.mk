# tests/unit/loop
