# src/host
