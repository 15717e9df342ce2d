"""Fails in every way that a contract can, so that whoever calls it can show what they make of that."""
from typing import Any

from boa3.sc import storage
from boa3.sc.compiletime import NeoMetadata, public
from boa3.sc.types import UInt160
from boa3.sc.utils import CreateNewEvent, abort, call_contract

on_put = CreateNewEvent([('key', bytes), ('value', bytes)], 'Put')


def metadata() -> NeoMetadata:
    meta = NeoMetadata()
    meta.name = 'Faulty'
    meta.description = 'Fails as it is told'
    meta.add_permission(contract='*', methods='*')
    return meta


@public
def put(key: bytes, value: bytes):
    storage.put(key, value)
    on_put(key, value)


@public(safe=True)
def get(key: bytes) -> bytes:
    return storage.get(key)


@public(name='throw')
def throw_(message: str):
    raise Exception(message)


@public(name='abort')
def abort_():
    abort()


@public(name='abortWith')
def abort_with(message: str):
    abort(message)


@public(name='assertThat')
def assert_that(condition: bool):
    assert condition


@public(name='assertWith')
def assert_with(condition: bool, message: str):
    assert condition, message


@public(name='putThenThrow')
def put_then_throw(key: bytes, value: bytes, message: str):
    put(key, value)
    raise Exception(message)


@public(name='putThenAbort')
def put_then_abort(key: bytes, value: bytes, message: str):
    put(key, value)
    abort(message)


@public(name='loop')
def loop():
    """Ends when its GAS does."""
    turns = 0
    while turns >= 0:
        turns += 1


@public(safe=True)
def divide(a: int, b: int) -> int:
    return a // b


@public(safe=True)
def element(values: list, index: int) -> Any:
    return values[index]


@public(name='callMissing')
def call_missing(contract: UInt160):
    call_contract(contract, 'noSuchMethod', [])


@public(name='writeInSafe', safe=True)
def write_in_safe():
    """A method marked safe may not write: the node faults it."""
    storage.put(b'safe', b'no')


@public(name='attempt')
def attempt(contract: UInt160, method: str, args: list) -> bool:
    """Calls another contract and survives what it throws, which also undoes what it wrote.

    Nobody survives ABORT, a method that does not exist, or the end of the GAS.
    """
    try:
        call_contract(contract, method, args)
    except BaseException:
        return False
    return True
