"""NEP-11 tokens that can be divided. The deployer makes them, each of 100 parts."""
from typing import Any

from boa3.sc import storage
from boa3.sc.compiletime import NeoMetadata, public
from boa3.sc.contracts import ContractManagement
from boa3.sc.runtime import check_witness, script_container
from boa3.sc.storage import find
from boa3.sc.types import FindOptions, UInt160
from boa3.sc.utils import call_contract, to_str
from boa3.sc.utils.iterator import Iterator
from parts.nep11 import BALANCE, MAKER, OF_ACCOUNT, SUPPLY, _deploy, balance_of, on_transfer, tokens_of, total_supply

TOKEN = b'\x02'
OF_TOKEN = b'\x04'
WHOLE = 100


def metadata() -> NeoMetadata:
    meta = NeoMetadata()
    meta.name = 'Share'
    meta.description = 'NEP-11 tokens that can be divided'
    # The compiler claims NEP-11 by itself; told to, it asks for the methods of the other kind.
    meta.add_permission(methods=['onNEP11Payment'])
    return meta


@public(safe=True)
def symbol() -> str:
    return 'SHARE'


@public(safe=True)
def decimals() -> int:
    return 2


@public(name='balanceOf', safe=True)
def balance_of_token(owner: UInt160, tokenId: bytes) -> int:
    assert len(owner) == 20, 'not an account'
    return storage.get_int(OF_ACCOUNT + owner + tokenId)


@public(name='ownerOf', safe=True)
def owners_of(tokenId: bytes) -> Iterator:
    _check(tokenId)
    return find(OF_TOKEN + tokenId, options=FindOptions.KEYS_ONLY | FindOptions.REMOVE_PREFIX)


@public(safe=True)
def tokens() -> Iterator:
    return find(TOKEN, options=FindOptions.KEYS_ONLY | FindOptions.REMOVE_PREFIX)


@public(safe=True)
def properties(tokenId: bytes) -> dict[Any, Any]:
    _check(tokenId)
    return {'name': 'share ' + to_str(tokenId)}


@public(name='transfer')
def transfer_whole(to: UInt160, tokenId: bytes, data: Any) -> bool:
    owner = script_container.sender
    if storage.get_int(OF_ACCOUNT + owner + tokenId) != WHOLE:
        return False
    return transfer(owner, to, WHOLE, tokenId, data)


@public
def transfer(from_address: UInt160, to: UInt160, amount: int, tokenId: bytes, data: Any) -> bool:
    assert len(from_address) == 20 and len(to) == 20, 'not an account'
    assert 0 <= amount <= WHOLE, 'not an amount'
    _check(tokenId)
    if not check_witness(from_address) or storage.get_int(OF_ACCOUNT + from_address + tokenId) < amount:
        return False
    if from_address != to:
        _move(from_address, tokenId, -amount)
        _move(to, tokenId, amount)
    on_transfer(from_address, to, amount, tokenId)
    _tell(from_address, to, amount, tokenId, data)
    return True


@public
def mint(account: UInt160, tokenId: bytes):
    assert check_witness(storage.get_uint160(MAKER)), 'not the maker'
    # Of one size, so that no token's key begins another's.
    assert len(account) == 20 and len(tokenId) == 4, 'nothing to mint'
    assert storage.get_int(TOKEN + tokenId) == 0, 'there is such a token'
    storage.put_int(TOKEN + tokenId, 1)
    storage.put_int(SUPPLY, storage.get_int(SUPPLY) + WHOLE)
    _move(account, tokenId, WHOLE)
    on_transfer(None, account, WHOLE, tokenId)
    _tell(None, account, WHOLE, tokenId, None)


def _check(tokenId: bytes):
    assert storage.get_int(TOKEN + tokenId) == 1, 'no such token'


def _move(account: UInt160, tokenId: bytes, by: int):
    storage.put_int(BALANCE + account, storage.get_int(BALANCE + account) + by)
    left = storage.get_int(OF_ACCOUNT + account + tokenId) + by
    if left == 0:
        storage.delete(OF_ACCOUNT + account + tokenId)
        storage.delete(OF_TOKEN + tokenId + account)
    else:
        storage.put_int(OF_ACCOUNT + account + tokenId, left)
        storage.put_int(OF_TOKEN + tokenId + account, left)


def _tell(from_address: UInt160 | None, to: UInt160, amount: int, tokenId: bytes, data: Any):
    if ContractManagement.get_contract(to) is not None:
        call_contract(to, 'onNEP11Payment', [from_address, amount, tokenId, data])
