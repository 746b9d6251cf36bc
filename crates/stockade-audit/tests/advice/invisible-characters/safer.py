# rule: invisible_characters
import regex

INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")

def clean(description: str) -> str:
    return INVISIBLE.sub("", description)
