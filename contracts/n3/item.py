"""NEP-11 tokens that can't be divided. The deployer makes them."""
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

OWNER = b'\x02'


def metadata() -> NeoMetadata:
    meta = NeoMetadata()
    meta.name = 'Item'
    meta.description = 'NEP-11 tokens that can not be divided'
    meta.supported_standards = ['NEP-11']
    meta.add_permission(methods=['onNEP11Payment'])
    return meta


@public(safe=True)
def symbol() -> str:
    return 'ITEM'


@public(safe=True)
def decimals() -> int:
    return 0


@public(name='ownerOf', safe=True)
def owner_of(tokenId: bytes) -> UInt160:
    owner = storage.get_uint160(OWNER + tokenId)
    assert len(storage.get(OWNER + tokenId)) == 20, 'no such token'
    return owner


@public(safe=True)
def tokens() -> Iterator:
    return find(OWNER, options=FindOptions.KEYS_ONLY | FindOptions.REMOVE_PREFIX)


@public(safe=True)
def properties(tokenId: bytes) -> dict[Any, Any]:
    owner_of(tokenId)
    return {'name': 'item ' + to_str(tokenId)}


@public
def transfer(to: UInt160, tokenId: bytes, data: Any) -> bool:
    assert len(to) == 20, 'not an account'
    owner = owner_of(tokenId)
    if not check_witness(owner):
        return False
    if owner != to:
        _move(owner, tokenId, -1)
        _move(to, tokenId, 1)
    on_transfer(owner, to, 1, tokenId)
    _tell(owner, to, tokenId, data)
    return True


@public
def mint(account: UInt160, tokenId: bytes):
    assert check_witness(storage.get_uint160(MAKER)), 'not the maker'
    assert len(account) == 20 and 0 < len(tokenId) <= 32, 'nothing to mint'
    assert len(storage.get(OWNER + tokenId)) == 0, 'there is such a token'
    storage.put_int(SUPPLY, storage.get_int(SUPPLY) + 1)
    _move(account, tokenId, 1)
    on_transfer(None, account, 1, tokenId)
    _tell(None, account, tokenId, None)


def _move(account: UInt160, tokenId: bytes, by: int):
    storage.put_int(BALANCE + account, storage.get_int(BALANCE + account) + by)
    if by > 0:
        storage.put_uint160(OWNER + tokenId, account)
        storage.put_int(OF_ACCOUNT + account + tokenId, 1)
    else:
        storage.delete(OF_ACCOUNT + account + tokenId)


def _tell(from_address: UInt160 | None, to: UInt160, tokenId: bytes, data: Any):
    if ContractManagement.get_contract(to) is not None:
        call_contract(to, 'onNEP11Payment', [from_address, 1, tokenId, data])
