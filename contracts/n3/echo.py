"""Gives back what it was given, by type: shows how arguments are read and results are shown."""
from typing import Any

from boa3.sc.compiletime import NeoMetadata, public
from boa3.sc.types import ECPoint, UInt160, UInt256


def metadata() -> NeoMetadata:
    meta = NeoMetadata()
    meta.name = 'Echo'
    meta.description = 'Gives back what it was given'
    return meta


@public(safe=True)
def anything(value: Any) -> Any:
    return value


@public(safe=True)
def boolean(value: bool) -> bool:
    return value


@public(safe=True)
def integer(value: int) -> int:
    return value


@public(safe=True)
def text(value: str) -> str:
    return value


@public(name='bytes', safe=True)
def byte_string(value: bytes) -> bytes:
    return value


@public(safe=True)
def hash160(value: UInt160) -> UInt160:
    assert len(value) == 20, 'not 20 bytes'
    return value


@public(safe=True)
def hash256(value: UInt256) -> UInt256:
    assert len(value) == 32, 'not 32 bytes'
    return value


@public(name='publicKey', safe=True)
def public_key(value: ECPoint) -> ECPoint:
    assert len(value) == 33, 'not 33 bytes'
    return value


@public(safe=True)
def array(value: list) -> list:
    return value


@public(name='map', safe=True)
def mapping(value: dict) -> dict:
    return value


@public(name='all', safe=True)
def everything(flag: bool, number: int, words: str, data: bytes, account: UInt160, values: list, pairs: dict) -> list:
    return [flag, number, words, data, account, values, pairs]


@public(safe=True)
def nothing():
    pass
