# rule: invisible_characters
import re

INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")

def clean(description: str) -> str:
    return INVISIBLE.sub("", description)
