"""What all NEP-11 tokens of this directory have in common, whether they can be divided or not."""
from typing import Any

from boa3.sc import storage
from boa3.sc.compiletime import public
from boa3.sc.runtime import script_container
from boa3.sc.storage import find
from boa3.sc.types import FindOptions, UInt160
from boa3.sc.utils import CreateNewEvent
from boa3.sc.utils.iterator import Iterator

MAKER = b'\x00maker'
SUPPLY = b'\x00supply'
BALANCE = b'\x01'
OF_ACCOUNT = b'\x03'

on_transfer = CreateNewEvent(
    [('from', UInt160 | None), ('to', UInt160 | None), ('amount', int), ('tokenId', bytes)], 'Transfer'
)


@public
def _deploy(data: Any, update: bool):
    if not update:
        storage.put_uint160(MAKER, script_container.sender)


@public(name='totalSupply', safe=True)
def total_supply() -> int:
    return storage.get_int(SUPPLY)


@public(name='balanceOf', safe=True)
def balance_of(owner: UInt160) -> int:
    assert len(owner) == 20, 'not an account'
    return storage.get_int(BALANCE + owner)


@public(name='tokensOf', safe=True)
def tokens_of(owner: UInt160) -> Iterator:
    assert len(owner) == 20, 'not an account'
    return find(OF_ACCOUNT + owner, options=FindOptions.KEYS_ONLY | FindOptions.REMOVE_PREFIX)
