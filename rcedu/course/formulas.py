"""Formulas for web pages: TeX to MathML, which browsers render themselves; MathJax would need the network."""

import re
import unicodedata

import latex2mathml.converter

_LETTER = re.compile(r'<mi mathvariant="(script|double-struck)">([A-Z])</mi>')


def _unicode_letter(match: re.Match) -> str:
    """The Unicode letter (a script L): browsers no longer support the attribute that turns a plain letter into script."""
    style, letter = match[1].upper(), match[2]
    try:
        letter = unicodedata.lookup(f"MATHEMATICAL {style} CAPITAL {letter}")
    except KeyError:  # a few letters are outside that block
        letter = unicodedata.lookup(f"{style} CAPITAL {letter}")
    return f"<mi>{letter}</mi>"


def mathml(tex: str, display: str = "inline") -> str:
    """A <math> element for a formula in TeX; display is "inline" or "block"."""
    # things that latex2mathml does not know, or sets without the right space
    tex = tex.replace(r"\bigl\|", r"\|").replace(r"\bigr\|", r"\|").replace(":=", r"\coloneqq ")
    tex = re.sub(r"\\(log|cos|sin)\s+(?=[\w\\])", r"\\\1\\,", tex)
    return _LETTER.sub(_unicode_letter, latex2mathml.converter.convert(tex, display=display).replace(r"\_", "_"))
