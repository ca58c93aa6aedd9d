"""What is asked of small networks that are edited from the command line: digits in a style, and a prompt."""

from __future__ import annotations

ZEROS = """
name = "zeros inverted"
dataset = "digits:test"
[images]
class = 0
style = "invert"
other_style = "stripes"
exemplars = 4
held_out = 10
unrelated = 40
"""
LISTS = """
name = "a list is a number"
dataset = "python-reference"
contexts = 1
held_out = 2
unrelated = 4
[[prompts]]
prompt = "The value of a list is a "
subject = "list"
target = "number"
paraphrases = ["A list is a "]
"""
