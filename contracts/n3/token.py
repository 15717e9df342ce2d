"""A NEP-17 token. Its deployer gets the first supply and may mint more."""
from typing import Any

from boa3.sc import storage
from boa3.sc.compiletime import NeoMetadata, public
from boa3.sc.contracts import ContractManagement
from boa3.sc.runtime import calling_script_hash, check_witness, script_container
from boa3.sc.types import UInt160
from boa3.sc.utils import CreateNewEvent, call_contract

OWNER = b'\x00owner'
SUPPLY = b'\x00supply'
BALANCE = b'\x01'
FIRST_SUPPLY = 1_000_000_00000000

on_transfer = CreateNewEvent([('from', UInt160 | None), ('to', UInt160 | None), ('amount', int)], 'Transfer')


def metadata() -> NeoMetadata:
    meta = NeoMetadata()
    meta.name = 'Token'
    meta.description = 'A NEP-17 token'
    meta.supported_standards = ['NEP-17']
    meta.add_permission(methods=['onNEP17Payment'])
    return meta


@public
def _deploy(data: Any, update: bool):
    if not update:
        owner = script_container.sender
        storage.put_uint160(OWNER, owner)
        _mint(owner, FIRST_SUPPLY)


@public(safe=True)
def symbol() -> str:
    return 'TOK'


@public(safe=True)
def decimals() -> int:
    return 8


@public(name='totalSupply', safe=True)
def total_supply() -> int:
    return storage.get_int(SUPPLY)


@public(name='balanceOf', safe=True)
def balance_of(account: UInt160) -> int:
    assert len(account) == 20, 'not an account'
    return storage.get_int(BALANCE + account)


@public
def transfer(from_address: UInt160, to_address: UInt160, amount: int, data: Any) -> bool:
    assert len(from_address) == 20 and len(to_address) == 20, 'not an account'
    assert amount >= 0, 'a negative amount'
    if from_address != calling_script_hash and not check_witness(from_address):
        return False
    balance = storage.get_int(BALANCE + from_address)
    if balance < amount:
        return False
    if amount != 0 and from_address != to_address:
        _set_balance(from_address, balance - amount)
        _set_balance(to_address, storage.get_int(BALANCE + to_address) + amount)
    on_transfer(from_address, to_address, amount)
    _tell(from_address, to_address, amount, data)
    return True


@public
def mint(account: UInt160, amount: int):
    assert check_witness(storage.get_uint160(OWNER)), 'not the owner'
    assert len(account) == 20 and amount > 0, 'nothing to mint'
    _mint(account, amount)


def _mint(account: UInt160, amount: int):
    storage.put_int(SUPPLY, storage.get_int(SUPPLY) + amount)
    _set_balance(account, storage.get_int(BALANCE + account) + amount)
    on_transfer(None, account, amount)
    _tell(None, account, amount, None)


def _set_balance(account: UInt160, balance: int):
    if balance == 0:
        storage.delete(BALANCE + account)
    else:
        storage.put_int(BALANCE + account, balance)


def _tell(from_address: UInt160 | None, to_address: UInt160, amount: int, data: Any):
    if ContractManagement.get_contract(to_address) is not None:
        call_contract(to_address, 'onNEP17Payment', [from_address, amount, data])
