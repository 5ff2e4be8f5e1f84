"""Faults that other servers had, a file for each class: here no request and no folder can bring them about.

Elsewhere: keys forgotten on a route (`tests/service/layers/test_keys.py` walks over all of them), sizes in the binary
tensors of the Open Inference Protocol (`tests/service/routes/test_open_inference.py`), error texts of the framework
(`tests/service/layers/test_problems.py`), gzip bombs and limits (`tests/service/routes/test_limits.py`).
"""
