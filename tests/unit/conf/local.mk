# tests/unit/conf
