"""The lecture's claims as numbers: `python -m lecture` writes `docs/lecture.md` and its pictures from the models."""
