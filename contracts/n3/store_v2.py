"""The store that replaces `store.py`: keeps what that one holds, appends to values, and counts its writes."""
from typing import Any

from boa3.sc import storage
from boa3.sc.compiletime import NeoMetadata, public
from boa3.sc.contracts import ContractManagement
from boa3.sc.runtime import check_witness, script_container
from boa3.sc.types import FindOptions, UInt160
from boa3.sc.utils import CreateNewEvent
from boa3.sc.utils.iterator import Iterator

OWNER = b'\x00owner'
WRITES = b'\x00writes'
ENTRY = b'\x01'

on_put = CreateNewEvent([('key', bytes), ('value', bytes)], 'Put')
on_delete = CreateNewEvent([('key', bytes)], 'Delete')


def metadata() -> NeoMetadata:
    meta = NeoMetadata()
    meta.name = 'Store'
    meta.description = 'A key-value store'
    meta.add_permission(contract='0xfffdc93764dbaddd97c48f252a53ea4643faa3fd', methods=['update'])
    return meta


@public
def _deploy(data: Any, update: bool):
    if not update:
        storage.put_uint160(OWNER, script_container.sender)


@public(safe=True)
def version() -> int:
    return 2


@public(safe=True)
def owner() -> UInt160:
    return storage.get_uint160(OWNER)


@public
def put(key: bytes, value: bytes):
    storage.put(ENTRY + key, value)
    storage.put_int(WRITES, storage.get_int(WRITES) + 1)
    on_put(key, value)


@public
def append(key: bytes, more: bytes):
    put(key, get(key) + more)


@public(safe=True)
def writes() -> int:
    """How often this version has written."""
    return storage.get_int(WRITES)


@public(name='putAs')
def put_as(account: UInt160, key: bytes, value: bytes):
    """Writes under an account, which must be a witness: what a signer's scope allows is seen here."""
    assert check_witness(account), 'not a witness'
    put(account + key, value)


@public(name='putAll')
def put_all(entries: dict[bytes, bytes]):
    for key in entries.keys():
        put(key, entries[key])


@public(safe=True)
def get(key: bytes) -> bytes:
    return storage.get(ENTRY + key)


@public(safe=True)
def find(prefix: bytes) -> Iterator:
    return storage.find(ENTRY + prefix, storage.get_read_only_context(), FindOptions.REMOVE_PREFIX)


@public
def delete(key: bytes):
    storage.delete(ENTRY + key)
    on_delete(key)


@public
def update(nef: bytes, manifest: bytes, data: Any):
    assert check_witness(storage.get_uint160(OWNER)), 'not the owner'
    ContractManagement.update(nef, manifest, data)
