"""Where groups of units begin: criteria (a file each), their calibration, and segmenting by them.

Needs numpy only, and this module nothing at all, so that the command line may read it at once.
"""

# The paper's own (M1): what is meant where nothing else is said.
DEFAULT_CRITERION = "global"
# Which unit of its group fires; section 3.3 of the paper, to the letter, has the last.
BOUNDARIES = ("first", "last")
MATCHES = ("set", "speaker", "utterance")  # on what thresholds may be resolved
DEFAULT_RATE = 15.0  # Hz
