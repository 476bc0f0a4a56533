"""The numbers of a mark: how a sentence writes them, and whether a cell prints them.

Every number in the text of a mark, ``[57](#cell-id=across-inputs)``, must be one that the cell
prints, rounded to the digits that the sentence gives.
"""

import re

NUMBER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?(?:e[-+]?\d+)?)(%?)(?![\w]|\.\d)", re.IGNORECASE)
# How a sentence writes what a cell prints as 1.8e-05 and 1437.
AS_PRINTED = (
    (re.compile(r"\{,\}|\\,|(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\s*(?:\\cdot|\\times|·|×)\s*10\^\{?(-?\d+)\}?"), r"e\1"),
    (re.compile(r"(?<![\d.e])10\^\{?(-?\d+)\}?"), r"1e\1"),
    (re.compile(r"\\(?=%)|[$−]"), ""),
)


def numerals(text: str) -> list[str]:
    """Return the numbers in a text as they are printed, without their signs."""
    for pattern, replacement in AS_PRINTED:
        text = pattern.sub(replacement, text)
    return ["".join(found) for found in NUMBER.findall(text)]


def is_printed(numeral: str, output: str) -> bool:
    """Return whether an output holds a number, in as many digits or more; 69% may be 0.688."""
    value, percent = float(numeral.rstrip("%")), numeral.endswith("%")
    mantissa = numeral.rstrip("%").lower().split("e")[0].replace(".", "").lstrip("0")
    form = f".{max(len(mantissa), 1) - 1}e"
    for printed in numerals(output):
        number = float(printed.rstrip("%")) * (100 if percent and printed[-1] != "%" else 1)
        if (percent or printed[-1] != "%") and f"{number:{form}}" == f"{value:{form}}":
            return True
    return False
