"""The prompt of the judge. A change makes the calibration of the judge invalid."""

PROMPT = """A customer received this answer: {output}
The right number of days is {days}. Is the answer right? Say yes or no."""
