"""DER (X.690), as far as time-stamps need it."""

from __future__ import annotations

Der = tuple[int, bytes, bytes]
"""Tag, content, and the whole encoding of a value."""


def der(tag: int, *parts: bytes) -> bytes:
    """A DER value (X.690) of these parts."""
    content = b"".join(parts)
    count = len(content)
    if count < 0x80:
        return bytes([tag, count]) + content
    size = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def der_number(value: int) -> bytes:
    """INTEGER, not negative."""
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def der_oid(text: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *rest = (int(part) for part in text.split("."))
    out = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return der(0x06, bytes(out))


def der_values(data: bytes) -> list[Der]:
    """The values that follow one another in `data`. Raises ValueError."""
    found = []
    at = 0
    while at < len(data):
        begin = at
        tag, count = data[at], data[at + 1 : at + 2]
        if not count or tag & 0x1F == 0x1F:
            raise ValueError("it is not valid DER")
        length, at = count[0], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise ValueError("it is not valid DER")
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("it ends too soon")
        found.append((tag, data[at : at + length], data[begin : at + length]))
        at += length
    return found


def inside(data: bytes, *tags: int) -> list[Der]:
    """The values inside the one value of `data`, going into the first of each further one.
    Raises ValueError."""
    values = der_values(data)
    if len(values) != 1:
        raise ValueError("one value was expected")
    for tag in tags:
        if not values or values[0][0] != tag:
            raise ValueError(f"a value of the kind {tag:#x} was expected")
        values = der_values(values[0][1])
    return values


def read_oid(value: Der) -> str:
    """The dotted form. Raises ValueError when it is not an OBJECT IDENTIFIER."""
    if value[0] != 0x06 or not value[1]:
        raise ValueError("an object identifier was expected")
    numbers = []
    number = 0
    for byte in value[1]:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(one) for one in (first, numbers[0] - 40 * first, *numbers[1:]))
