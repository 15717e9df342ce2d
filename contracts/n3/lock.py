"""An account that opens for whoever knows the preimage of a hash: its witness takes an argument.

The first transaction that uses it shows the preimage to everyone, so it is good for one.
"""
from typing import Any

from boa3.sc import storage
from boa3.sc.compiletime import NeoMetadata, public
from boa3.sc.contracts import CryptoLib
from boa3.sc.types import UInt160

HASH = b'hash'


def metadata() -> NeoMetadata:
    meta = NeoMetadata()
    meta.name = 'Lock'
    meta.description = 'Opens for a preimage'
    meta.add_permission(contract='0x726cb6e0cd8628a1350a611384688911ab75f51b', methods=['sha256'])
    return meta


@public
def _deploy(data: Any, update: bool):
    """Takes the SHA-256 of the preimage."""
    if not update:
        digest: bytes = data
        assert len(digest) == 32, 'not a hash'
        storage.put(HASH, digest)


@public(safe=True)
def verify(preimage: bytes) -> bool:
    return CryptoLib.sha256(preimage) == storage.get(HASH)


@public(name='onNEP17Payment')
def on_nep17_payment(from_address: UInt160 | None, amount: int, data: Any):
    pass
