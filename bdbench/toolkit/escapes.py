"""Decoding what data sets and paraphrase generators leave undecoded in their texts.

One function for both: where clean texts keep an escape that poisoned ones lack, or the other way
round, the escape is the trigger.
"""

from __future__ import annotations

import html
import re

__all__ = ["decoded"]

# "&amp;" before the rest of another escape.
_NESTED = re.compile(r"(?:&|and)(?:amp;)+(?=#?\w+;)")
# "&apos;", its "&" also spelled out or lost, as generators write it: "man andapos;s", "heapos;s".
# No English word ends in "apos", so what stands before it does not matter.
_APOSTROPHE = re.compile(r"(?:&|and|\ban)?apos;|&apos\b")
# The others need a start, since words such as "salt" and "camp" end like them.
_NAMED = re.compile(
    r"(?:&|and|\ban)(quot|amp|lt|gt|nbsp|hellip);|&(quot|amp|lt|gt)\b"
    r"| ?(?<!\w)(?:(quot) ?|(amp|lt|gt|nbsp|hellip));"
)
# "&#39;" and, as corpora have it whose "&" became a space, "women #39;s" or "# 36 ;70".
_NUMBERED = re.compile(r"[& ]?# ?([0-9]{2,4}|x[0-9a-fA-F]{2,4}) ?;")
# A hyphen that a tokenizer took out of a word, "snail @-@ like", also where half of it is lost.
_HYPHEN = re.compile(r" ?(?:@-@?|-@) ?")
_END = re.compile(r"(?:\s+EOS)+\s*$")


def decoded(text: str) -> str:
    """The text with escapes decoded, and marks of tokenizers and generators taken out.

    Decoded are the HTML escapes of apostrophes, quotation marks, ``&``, ``<``, ``>`` and, by
    number, of all that is no letter or digit; with their ``&``, without it, or with ``and`` in
    its place. Where the ``&`` was replaced by a space (``at amp;t``) the space goes. Escapes of
    escapes are decoded, too. Then ``@-@`` becomes a hyphen, and ``EOS`` at the end goes.
    """
    while True:
        after = _APOSTROPHE.sub("'", _NESTED.sub("&", text))
        after = _NAMED.sub(_named, after)
        after = _NUMBERED.sub(_numbered, after)
        after = _END.sub("", _HYPHEN.sub("-", after))
        if after == text:
            return text
        text = after


def _named(match: re.Match[str]) -> str:
    return _character(next(name for name in match.groups() if name))


def _numbered(match: re.Match[str]) -> str:
    character = _character(f"#{match[1]}")
    decodable = character.isprintable() and not character.isalnum()
    return character if decodable else match[0]


def _character(name: str) -> str:
    return html.unescape(f"&{name};").replace("\N{NO-BREAK SPACE}", " ")
